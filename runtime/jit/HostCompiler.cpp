#include "runtime/jit/HostCompiler.h"

#include "compiler/Compiler.h"
#include "runtime/Env.h"
#include "runtime/Error.h"

#include <utility>

namespace ringc {

SourceSet compilerSources(std::vector<SourceText> user) { return makeSources(std::move(user)); }

KernelRequest compilerRequest(const Spec &spec, const SourceSet &sources, const Target &target) {
  return makeRequest(spec, sources, target);
}

std::string compilerBuild() { return compilerBuildId(); }

CompiledKernel compileOrThrow(const KernelRequest &request) {
  CompileOutput output = compile(request);
  if (!output.kernel)
    throw InputError(output.diagnostics);
  return *std::move(output.kernel);
}

HostCompiler::HostCompiler(std::shared_ptr<KernelCache> kernelCache)
    : cache(std::move(kernelCache)), target(hostTarget()) {}

SourceSet HostCompiler::sources(std::vector<SourceText> user) {
  return makeSources(std::move(user));
}

HostCode HostCompiler::get(const Spec &spec, const SourceSet &sources) {
  KernelRequest request = makeRequest(spec, sources, target);
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

std::string HostCompiler::build() const { return compilerBuildId(); }

bool HostCompiler::isWarm(const Spec &spec, const SourceSet &sources) {
  KernelRequest request = makeRequest(spec, sources, target);
  std::lock_guard lock(mutex);
  auto known = linked.find(request);
  return known != linked.end() && known->second->ready;
}

AttentionContext hostContext(int threads) {
  return {.kernels = std::make_shared<HostCompiler>(std::make_shared<KernelCache>(Env::read())),
          .pool = std::make_shared<HostPool>(threads)};
}

} // namespace ringc
