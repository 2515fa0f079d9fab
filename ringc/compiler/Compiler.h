#pragma once

#include "ringc/compiler/spec/CompiledKernel.h"
#include "ringc/compiler/spec/KernelRequest.h"
#include "ringc/compiler/spec/TileSpace.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringc {

/// The processor that this runs on, as LLVM knows it, without the features that are to be hidden
/// ("-amx,-avx512bf16", RINGC_CPU_FEATURES) and the tiles that the kernel refuses. Throws
/// InputError for what cannot be hidden.
Target hostTarget(std::string_view hidden = {});

/// What a spec's `target` names: the host for "cpu" and "native", or a GPU. Throws InputError.
Target targetCalled(std::string_view name, std::string_view hidden = {});

/// Of this build: changes whenever the compiler's own code may have.
std::string compilerBuildId();

/// Of the LLVM that this process has loaded, which may be newer than the one that ringc was built
/// with: "22.1.8"; and with what tells builds of one version apart, "22.1.8+0a1b2c3d", where it is
/// a shared library.
std::string llvmVersion();
const std::string &llvmBuild();

/// The library's sources and the user's, for a request. `user` are the .tile files that the spec
/// names (sourceFiles(spec)), read by the caller under those names.
SourceSet makeSources(std::vector<SourceText> user);

/// A complete request: tile sizes from the cost model unless `config` gives them.
KernelRequest makeRequest(const Spec &spec, const SourceSet &sources, const Target &target,
                          std::optional<TileConfig> config = std::nullopt);

/// The tile sizes that the kernel's source leaves to whoever compiles it: constants such as BM = 64
/// that are a step of the grid or of a loop, which no view's shape depends on and the spec does not
/// fix. Throws InputError, with rendered diagnostics where a source is wrong.
SourceTiles sourceTilesOf(const Spec &spec, const SourceSet &sources);

/// Names of the stages in their order: spec, ast, tile, specialised, split, vector, llvm, ir, code;
/// for a GPU placed, staged and nvvm in place of vector.
std::vector<std::string> stageNames(const Target &target);

struct CompileOptions {
  std::string stopAfter; ///< a stage; empty: all
  std::string startFrom; ///< path of a stage's output as --dump or --stop-after writes it:
                         ///< "02.tile.mlir"; the stage is in its name
  std::string dump;      ///< folder for the output of every stage; empty: none
};

struct CompileOutput {
  std::optional<CompiledKernel> kernel; ///< unless there are diagnostics or `stopAfter` came first
  std::string text;                     ///< output of the stage `stopAfter`
  std::string diagnostics; ///< rendered errors of the .tile sources or of an edited stage; empty
                           ///< when all is well
};

/// Compiles, for a host to an ELF object, for a GPU to PTX text. Errors in sources come back as
/// diagnostics; InputError for a spec that cannot be (unknown kernel, missing constant, a target
/// that is not the request's) and for a host that this compiler makes no code for.
CompileOutput compile(const KernelRequest &request, const CompileOptions &options = {});

/// Host code made ready to run.
class HostModule {
public:
  using Entry = void (*)(const uint64_t *slots, int64_t p0, int64_t p1, int64_t kvHead,
                         int64_t batch, void *scratch);

  /// Throws std::runtime_error where the object cannot be linked.
  explicit HostModule(const CompiledKernel &kernel);
  ~HostModule();
  HostModule(HostModule &&) noexcept;
  HostModule &operator=(HostModule &&) noexcept;

  Entry entry() const;

private:
  struct Linked;
  std::unique_ptr<Linked> linked;
};

} // namespace ringc
