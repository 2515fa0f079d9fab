#pragma once

#include "ringc/attention/shared/CallAgreement.h"
#include "ringc/attention/shared/Parameters.h"
#include "ringc/compiler/spec/KernelRequest.h"
#include "ringc/compiler/spec/Spec.h"
#include "ringc/decode/Decode.h"
#include "ringc/kernel/Arguments.h"
#include "ringc/ring/Agreement.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace ringc {

struct CompiledKernel;

/// Where the keys of a call are, and how many an entry has, where its inputs have no lengths: as
/// the caller says, or all rows.
struct DecodePlace {
  DecodeKeys keys;
  std::optional<int64_t> length; ///< absent also where q and k are none at all

  /// Throws InputError where lengths are missing.
  static DecodePlace of(const DecodeOptions &options, const DecodeInputs &inputs,
                        const DecodeKeys &keys, int ranks);
};

/// One decode, checked: which kernel, its arguments but for the parts, and how it is cut.
class DecodeCall {
public:
  /// Where it will run.
  struct Target {
    /// Gives a kernel's parameters: it is compiled for it.
    std::function<std::shared_ptr<const CompiledKernel>(const Spec &)> compiled;
    /// Where kernels can read what the options say in tensors (slopes of ALiBi), by its name.
    std::function<Tensor(const std::string &name, const Tensor &onHost)> place;
    /// Keys of a tile, where the options do not say: a power of 2 up to 64.
    int64_t keysOfTile = 64;
    /// Rows of a tile at most, which then has no more than there are, rounded up to a power of two;
    /// where the options do not say. 0: those of the kernel's source.
    int64_t mostRowsOfTile = 0;
    /// Of K and V of all heads in a part, at most, where four tiles have less. 0: any number.
    int64_t bytesOfPart = 0;
    /// Of the tensors of the call.
    Memory memory = Memory::Host;
  };

  /// `options` are complete. `lengths`, i32 [b], those of `inputs` or as the place has them. Throws
  /// InputError.
  DecodeCall(const DecodeOptions &options, const DecodeInputs &inputs, const DecodeKeys &keys,
             const Tensor &lengths, const Target &target);

  const Spec &spec() const { return kernel; }
  int64_t batch() const { return inputs.q.dim(0); }
  int64_t queries() const { return inputs.q.dim(1); }
  /// Of an entry, in this rank.
  int64_t keyRows() const;

  /// Throws InputError where they do not fit.
  void checkResults(const Tensor &out, const Tensor &lse) const;

  /// What the calls of all ranks must have in common. Which keys each has, and how they lie there,
  /// is its own matter.
  Agreement agreement(int ranks, const SourceSet &sources, std::string_view compilerBuild) const;

  /// Into how many parts, of how many keys, where so many programs run at once.
  struct Parts {
    int64_t count, keys;
  };
  Parts parts(int64_t programsAtOnce) const;

  /// Of the decode kernel, with parts f32 [P, b, n_q, h, d_v] and logs f32 [P, b, h, n_q].
  KernelViews views(const Tensor &parts, const Tensor &logs) const;
  KernelValues values(const Parts &parts) const;

private:
  void check() const;
  void checkPages() const;
  void checkPositions() const;
  int64_t tileOfKeys() const;
  /// Query heads of a KV head, of all queries.
  int64_t packedRows() const;

  const DecodeOptions &options;
  const DecodeInputs &inputs;
  DecodeKeys keys;
  Tensor lengths;
  Memory memory;
  int64_t bytesOfPart;
  Spec kernel;
  std::shared_ptr<const CompiledKernel> compiled;
  NamedValues given; ///< to masks and scores
  predicate::ParameterValues scalars;
  KernelViews ofFunctions;
};

/// The spec of decode_merge.
Spec mergeSpecOf(const AttentionOptions &options, DType dtype);

} // namespace ringc
