#pragma once

#include "ringc/attention/Context.h"
#include "ringc/attention/shared/Launch.h"
#include "ringc/compiler/spec/KernelRequest.h"
#include "ringc/compiler/spec/Spec.h"
#include "ringc/kernel/Arguments.h"
#include "ringc/kernel/Binding.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringc {

/// A kernel with its arguments, on the host: names are resolved, extents are known. One thread at a
/// time calls it.
class KernelLaunch {
public:
  KernelLaunch(HostCode code, KernelBinding arguments);

  /// Another tensor of the same type and shape, or another value, from the next run on. Throws
  /// InputError.
  void set(std::string_view view, const Tensor &tensor) { arguments.set(launch, view, tensor); }
  void set(std::string_view name, const KernelValue &value);

  /// Over the whole grid; returns when all programs have run.
  void run(HostPool &pool);

private:
  KernelBinding arguments;
  std::unique_ptr<KeptMemory> state;
  Launch launch;
};

/// A kernel of a .tile file, compiled for this host; any number of threads may use one. Tile sizes
/// are those of the spec, else what `ringc tune` has found for the extents of a launch, else the
/// compiler's choice.
class Kernel {
public:
  /// `spec` says which kernel of which file, or of the library, and what its constants are bound
  /// to. Of the files that it names (sourceFiles) those in `texts` are not read. `table` is one of
  /// tuned tile sizes: absent the user's, "" none. Throws InputError, with rendered diagnostics
  /// where a source is wrong.
  Kernel(const AttentionContext &context, const Spec &spec, std::vector<SourceText> texts = {},
         std::optional<std::string> table = {});
  /// `sources` has all that is needed, the library too (KernelSource::sources).
  Kernel(const AttentionContext &context, SourceSet sources, const Spec &spec,
         std::optional<std::string> table);

  /// Of all views and values; compiles where these extents have tile sizes of their own. Throws
  /// InputError naming the argument, its value and what is allowed.
  KernelLaunch bind(const KernelViews &views, const KernelValues &values = {}) const;

private:
  std::shared_ptr<KernelSource> source;
  Spec spec;
  SourceSet sources;
  std::optional<std::string> table;
  std::shared_ptr<const CompiledKernel> compiled;
};

/// One launch over the whole grid, which has run when this returns. Throws as `Kernel::bind`, and
/// InputError for a running state that would go on.
void launch(const Kernel &kernel, const KernelViews &views, const KernelValues &values,
            HostPool &pool);

} // namespace ringc
