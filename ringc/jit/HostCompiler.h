#pragma once

#include "ringc/attention/Context.h"
#include "ringc/jit/KernelCache.h"
#include "ringc/tune/TunedConfigs.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ringc {

/// Kernels compiled for this host when they are first asked for; the one way from the runtime to
/// the compiler. Linked code stays in memory for the object's life and that of every HostCode.
class HostCompiler final : public KernelSource {
public:
  /// `tuned` may be null: then all tile sizes are the compiler's choice.
  explicit HostCompiler(std::shared_ptr<KernelCache> cache,
                        std::shared_ptr<TunedConfigs> tuned = {});

  SourceSet sources(std::vector<SourceText> user) override;
  using KernelSource::get;
  HostCode get(const Spec &spec, const SourceSet &sources, const KernelWork &work) override;
  bool isWarm(const Spec &spec, const SourceSet &sources, const KernelWork &work) override;
  std::string build() const override;
  std::optional<Schedule> schedule(Pass pass, const Spec &forward, const SourceSet &sources,
                                   const KernelWork &work, const SequenceLayout &layout) override;

private:
  struct Linked {
    std::mutex compiling;
    HostCode code;
    std::atomic<bool> ready = false;
  };

  KernelRequest requestOf(const Spec &spec, const SourceSet &sources, const KernelWork &work);

  std::shared_ptr<KernelCache> cache;
  std::shared_ptr<TunedConfigs> tuned;
  Target target;
  std::mutex mutex;
  std::unordered_map<KernelRequest, std::shared_ptr<Linked>, KernelRequestHash> linked;
};

/// What others of the runtime ask of the compiler, which is reached through this file alone: the
/// user's .tile texts together with the library's, a complete request, and a kernel; InputError
/// with rendered diagnostics where a source is wrong.
SourceSet compilerSources(std::vector<SourceText> user);
KernelRequest compilerRequest(const Spec &spec, const SourceSet &sources, const Target &target,
                              std::optional<TileConfig> config);
/// What a kernel's source says of its tile sizes (ringc/compiler/Compiler.h).
SourceTiles compilerTiles(const Spec &spec, const SourceSet &sources);
CompiledKernel compileOrThrow(const KernelRequest &request);
std::string compilerBuild();
Target compilerHost(); ///< this processor, less what RINGC_CPU_FEATURES hides
/// What a spec's `target` names. Throws InputError.
Target compilerTarget(std::string_view name);

/// The names of a target's stages in their order, "code" the last.
std::vector<std::string> compilerStages(const Target &target);

/// What a stage puts out, or the diagnostics of a source that is wrong. Throws InputError for a
/// spec that cannot be, and for a stage that the target has not.
struct StageOutput {
  std::string text;
  std::string provenance; ///< of code: JSON of spec, tile sizes, target and compiler
  std::string diagnostics;
};
StageOutput compileTo(const std::string &stage, const KernelRequest &request);

/// Kernels from HostCompiler with the user's own cache folder, and a HostPool of `threads` threads,
/// which throws as its constructor does. `tell` hears once of each kernel which tile sizes it has,
/// and where they come from.
AttentionContext hostContext(int threads = 0, TuneTable::Warn tell = {});

} // namespace ringc
