#pragma once

#include "ringc/compiler/spec/KernelRequest.h"
#include "ringc/compiler/spec/Spec.h"
#include "ringc/decode/Decode.h"
#include "ringc/kernel/Arguments.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace ringc {

struct CompiledKernel;

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
  };

  /// `options` are complete. `lengths`, i32 [b], where there are none in `inputs`. Throws
  /// InputError.
  DecodeCall(const DecodeOptions &options, const DecodeInputs &inputs, const DecodeKeys &keys,
             const Tensor &lengths, const Target &target);

  const Spec &spec() const { return kernel; }
  int64_t batch() const { return inputs.q.dim(0); }
  int64_t queries() const { return inputs.q.dim(1); }
  /// Of an entry, in this rank.
  int64_t keyRows() const;

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
  int64_t tileOfKeys() const;

  const DecodeOptions &options;
  const DecodeInputs &inputs;
  DecodeKeys keys;
  Tensor lengths;
  Spec kernel;
  KernelViews ofFunctions;
  KernelValues valuesOfFunctions;
};

/// The spec of decode_merge.
Spec mergeSpecOf(const AttentionOptions &options, DType dtype);

} // namespace ringc
