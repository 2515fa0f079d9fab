#include "ringc/jit/HostCompiler.h"

#include "ringc/Env.h"
#include "ringc/compiler/Compiler.h"
#include "ringc/support/SourceError.h"

#include <utility>

namespace ringc {

SourceSet compilerSources(std::vector<SourceText> user) { return makeSources(std::move(user)); }

KernelRequest compilerRequest(const Spec &spec, const SourceSet &sources, const Target &target,
                              std::optional<TileConfig> config) {
  return makeRequest(spec, sources, target, std::move(config));
}

SourceTiles compilerTiles(const Spec &spec, const SourceSet &sources) {
  return sourceTilesOf(spec, sources);
}

std::string compilerBuild() { return compilerBuildId(); }

Target compilerHost() { return hostTarget(Env::read().cpuFeatures.value_or("")); }

Target compilerTarget(std::string_view name) { return targetCalled(name); }

std::vector<std::string> compilerStages(const Target &target) { return stageNames(target); }

StageOutput compileTo(const std::string &stage, const KernelRequest &request) {
  CompileOutput made = compile(request, {.stopAfter = stage});
  if (!made.kernel)
    return {.text = std::move(made.text), .diagnostics = std::move(made.diagnostics)};
  return {.text = std::move(made.kernel->code), .provenance = std::move(made.kernel->provenance)};
}

CompiledKernel compileOrThrow(const KernelRequest &request) {
  CompileOutput output = compile(request);
  if (!output.kernel)
    throw SourceError(output.diagnostics);
  return *std::move(output.kernel);
}

HostCompiler::HostCompiler(std::shared_ptr<KernelCache> kernelCache,
                           std::shared_ptr<TunedConfigs> tables)
    : cache(std::move(kernelCache)), tuned(std::move(tables)), target(compilerHost()) {}

KernelRequest HostCompiler::requestOf(const Spec &spec, const SourceSet &sources,
                                      const KernelWork &work) {
  return makeRequest(spec, sources, target,
                     tuned ? tuned->find(spec, sources, target, work).config : std::nullopt);
}

SourceSet HostCompiler::sources(std::vector<SourceText> user) {
  return makeSources(std::move(user));
}

HostCode HostCompiler::get(const Spec &spec, const SourceSet &sources, const KernelWork &work) {
  KernelRequest request = requestOf(spec, sources, work);
  std::shared_ptr<Linked> entry;
  {
    std::lock_guard lock(mutex);
    std::shared_ptr<Linked> &known = linked[request];
    if (!known)
      known = std::make_shared<Linked>();
    entry = known;
  }
  // No std::call_once: where libgcc is linked statically an exception does not find its way out.
  std::lock_guard lock(entry->compiling);
  if (!entry->ready) {
    std::shared_ptr<const CompiledKernel> kernel =
        cache->get(request, [&] { return compileOrThrow(request); });
    auto module = std::make_shared<HostModule>(*kernel);
    HostKernel code = module->entry();
    entry->code = {std::move(kernel), code, std::move(module)};
    entry->ready = true;
  }
  return entry->code;
}

std::optional<Schedule> HostCompiler::schedule(Pass pass, const Spec &forward,
                                               const SourceSet &sources, const KernelWork &work,
                                               const SequenceLayout &layout) {
  return tuned ? tuned->schedule(pass, forward, sources, target, work, layout) : std::nullopt;
}

std::string HostCompiler::build() const { return compilerBuildId(); }

bool HostCompiler::isWarm(const Spec &spec, const SourceSet &sources, const KernelWork &work) {
  KernelRequest request = requestOf(spec, sources, work);
  std::lock_guard lock(mutex);
  auto known = linked.find(request);
  return known != linked.end() && known->second->ready;
}

AttentionContext hostContext(int threads, TuneTable::Warn tell) {
  Env env = Env::read();
  return {.kernels = std::make_shared<HostCompiler>(
              std::make_shared<KernelCache>(env),
              std::make_shared<TunedConfigs>(tuneTablePath(env), KernelCache::warnOnStderr,
                                             sourceTilesOf, std::move(tell))),
          .pool = std::make_shared<HostPool>(threads)};
}

} // namespace ringc
