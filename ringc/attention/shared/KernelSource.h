#pragma once

#include "ringc/compiler/spec/CompiledKernel.h"
#include "ringc/compiler/spec/KernelRequest.h"
#include "ringc/compiler/spec/Spec.h"
#include "ringc/driver/HostPool.h"
#include "ringc/ring/Plan.h"
#include "ringc/tune/KernelWork.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ringc {

/// A compiled kernel that is ready to run on the host, for as long as a copy of this lives.
struct HostCode {
  std::shared_ptr<const CompiledKernel> kernel;
  HostKernel entry = nullptr;
  std::shared_ptr<const void> memory; ///< where the code lies
};

/// Where kernels come from: compiled now (HostCompiler), or ahead. Safe to use from many threads.
class KernelSource {
public:
  virtual ~KernelSource() = default;

  /// The user's .tile texts together with the library's.
  virtual SourceSet sources(std::vector<SourceText> user) = 0;

  /// With the tile sizes that a table has for this work, or the compiler's choice. Throws
  /// InputError, with rendered diagnostics where a source is wrong.
  virtual HostCode get(const Spec &spec, const SourceSet &sources, const KernelWork &work) = 0;
  HostCode get(const Spec &spec, const SourceSet &sources) { return get(spec, sources, {}); }

  /// What the kernels come from: an id of the compiler, where there is one. Ranks whose kernels are
  /// not of one kind are refused.
  virtual std::string build() const { return {}; }

  /// The schedule that a table has for rings of processes with this forward kernel, layout and
  /// work, if one has.
  virtual std::optional<Schedule> schedule(Pass, const Spec &, const SourceSet &,
                                           const KernelWork &, const SequenceLayout &) {
    return {};
  }

  /// Whether `get` would take microseconds, so that a thread for it would cost more. May say no.
  virtual bool isWarm(const Spec &, const SourceSet &, const KernelWork &) { return false; }
};

} // namespace ringc
