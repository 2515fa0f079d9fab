#include "tools/ringc/KernelPlace.h"

#include "ringc/jit/DeviceCompiler.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/kernel/DeviceKernel.h"
#include "ringc/kernel/Kernel.h"
#include "ringc/tune/DevicePeak.h"
#include "ringc/tune/HostPeak.h"

#include <chrono>
#include <cstring>

namespace ringc::cli {

namespace {

/// A spec's kernel with the arguments of `data`.
template <typename Kernel, typename Context>
auto bound(const Context &context, const Spec &spec, const SourceSet &sources,
           const KernelData &data) {
  constexpr const char *noTable = "";
  return Kernel(context, sources, spec, noTable).bind(launchViews(data), launchValues(data));
}

class HostPlace final : public KernelPlace {
public:
  HostPlace(const SourceSet &all, int threads) : sources(all), context(hostContext(threads)) {}

  void compile(const Spec &spec) override { (void)context.kernels->get(spec, sources); }

  PlacedData put(const KernelData &data) override {
    std::vector<HostTensor> memory;
    PlacedData placed;
    placed.data = dataLike(data, [&](int64_t bytes) {
      return memory.emplace_back(DType::Bool, std::initializer_list<int64_t>{bytes}).data();
    });
    for (const auto &[name, view] : data.views)
      std::memcpy(placed.data.views.at(name).data(), view.data(), size_t(view.byteCount()));
    placed.data.memory = std::move(memory);
    return placed;
  }

  double run(const Spec &spec, const PlacedData &placed, int times) override {
    KernelLaunch launch = bound<Kernel>(context, spec, sources, placed.data);
    auto begin = std::chrono::steady_clock::now();
    for (int time = 0; time < times; ++time)
      launch.run(*context.pool);
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
        .count();
  }

  void get(const Tensor &view, const Tensor &host) override {
    std::memcpy(host.data(), view.data(), size_t(view.byteCount()));
  }

  MachinePeak peak(DType dtype, F32Products) override {
    return hostPeak(*context.pool, compilerHost(), dtype);
  }

private:
  SourceSet sources;
  AttentionContext context;
};

class DevicePlace final : public KernelPlace {
public:
  explicit DevicePlace(const SourceSet &all)
      : sources(all), context(deviceContext()), stream(context.device),
        before(context.device, CudaEvent::Timing::On),
        behind(context.device, CudaEvent::Timing::On) {}

  void compile(const Spec &spec) override { (void)context.kernels->get(spec, sources); }

  int64_t spilledBytes(const Spec &spec) override {
    return context.kernels->get(spec, sources).function.localBytes();
  }

  PlacedData put(const KernelData &data) override {
    PlacedData placed;
    placed.data = dataLike(data, [&](int64_t bytes) {
      return placed.onDevice.emplace_back(context.device, bytes).data();
    });
    for (const auto &[name, view] : data.views)
      stream.upload(placed.data.views.at(name).data(), view.data(), view.byteCount());
    stream.synchronize();
    return placed;
  }

  double run(const Spec &spec, const PlacedData &placed, int times) override {
    DeviceKernelLaunch launch = bound<DeviceKernel>(context, spec, sources, placed.data);
    before.record(stream);
    for (int time = 0; time < times; ++time)
      launch.run(stream);
    behind.record(stream);
    behind.synchronize();
    return behind.since(before);
  }

  void get(const Tensor &view, const Tensor &host) override {
    stream.download(host.data(), view.data(), view.byteCount());
    stream.synchronize();
  }

  MachinePeak peak(DType dtype, F32Products f32Products) override {
    return devicePeak({context.device}, dtype, f32Products);
  }

private:
  SourceSet sources;
  DeviceContext context;
  CudaStream stream;
  CudaEvent before, behind;
};

} // namespace

std::unique_ptr<KernelPlace> hostPlace(const SourceSet &sources, int threads) {
  return std::make_unique<HostPlace>(sources, threads);
}

std::unique_ptr<KernelPlace> devicePlace(const SourceSet &sources) {
  return std::make_unique<DevicePlace>(sources);
}

} // namespace ringc::cli
