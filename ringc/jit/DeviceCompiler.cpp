#include "ringc/jit/DeviceCompiler.h"

#include "ringc/Env.h"
#include "ringc/compiler/spec/Target.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/support/Error.h"

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

std::optional<Schedule> DeviceCompiler::schedule(Pass pass, const Spec &forward,
                                                 const SourceSet &sources, const KernelWork &work,
                                                 const SequenceLayout &layout) {
  return tuned ? tuned->schedule(pass, forward, sources, target, work, layout) : std::nullopt;
}

std::string DeviceCompiler::build() const { return compilerBuild(); }

DeviceCode DeviceCompiler::get(Spec spec, const SourceSet &sources, const KernelWork &work) {
  spec.target = target.name;
  KernelRequest request =
      compilerRequest(spec, sources, target,
                      tuned ? tuned->find(spec, sources, target, work).config : std::nullopt);
  std::shared_ptr<Loaded> entry;
  {
    std::lock_guard lock(mutex);
    std::shared_ptr<Loaded> &known = loaded[request];
    if (!known)
      known = std::make_shared<Loaded>();
    entry = known;
  }
  std::lock_guard lock(entry->compiling);
  if (!entry->code)
    entry->code =
        DeviceCode::load(device, cache->get(request, [&] { return compileOrThrow(request); }));
  return *entry->code;
}

Target targetFor(const CudaDeviceFacts &device) {
  try {
    return gpuTargetFor(device.sm);
  } catch (const InputError &error) {
    throw InputError(device.describe() + ": " + error.what());
  }
}

DeviceContext deviceContext(int ordinal, TuneTable::Warn tell) {
  Env env = Env::read();
  auto device = std::make_shared<CudaDevice>(CudaDriver::open(env.cudaLibrary), ordinal);
  auto tuned = std::make_shared<TunedConfigs>(tuneTablePath(env), KernelCache::warnOnStderr,
                                              compilerTiles, std::move(tell));
  return {.kernels = std::make_shared<DeviceCompiler>(std::make_shared<KernelCache>(env), device,
                                                      std::move(tuned)),
          .device = device};
}

} // namespace ringc
