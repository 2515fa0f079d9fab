#include "runtime/jit/DeviceCompiler.h"

#include "compiler/spec/Target.h"
#include "runtime/Env.h"
#include "runtime/Error.h"
#include "runtime/jit/HostCompiler.h"

#include <utility>

namespace ringc {

DeviceCompiler::DeviceCompiler(std::shared_ptr<KernelCache> kernels,
                               std::shared_ptr<const CudaDevice> on,
                               std::shared_ptr<TunedConfigs> tables)
    : cache(std::move(kernels)), device(std::move(on)), tuned(std::move(tables)),
      target(targetFor(device->facts())) {}

SourceSet DeviceCompiler::sources(std::vector<SourceText> user) {
  return compilerSources(std::move(user));
}

std::string DeviceCompiler::build() const { return compilerBuild(); }

DeviceCode DeviceCompiler::get(Spec spec, const SourceSet &sources, const KernelWork &work) {
  spec.target = target.name;
  KernelRequest request = compilerRequest(
      spec, sources, target, tuned ? tuned->find(spec, sources, target, work) : std::nullopt);
  std::lock_guard lock(
      mutex); // compiling beside loading would gain little: few kernels are asked for
  auto known = loaded.find(request);
  if (known == loaded.end()) {
    auto kernel = cache->get(request, [&] { return compileOrThrow(request); });
    known = loaded.emplace(request, DeviceCode::load(device, std::move(kernel))).first;
  }
  return known->second;
}

Target targetFor(const CudaDeviceFacts &device) {
  try {
    return gpuTargetFor(device.sm);
  } catch (const InputError &error) {
    throw InputError(device.describe() + ": " + error.what());
  }
}

DeviceContext deviceContext(int ordinal) {
  Env env = Env::read();
  auto device = std::make_shared<CudaDevice>(CudaDriver::open(env.cudaLibrary), ordinal);
  auto tuned =
      std::make_shared<TunedConfigs>(tuneTablePath(env), KernelCache::warnOnStderr, compilerTiles);
  return {.kernels = std::make_shared<DeviceCompiler>(std::make_shared<KernelCache>(env), device,
                                                      std::move(tuned)),
          .device = device};
}

} // namespace ringc
