#include "tools/ringc/KernelPlace.h"

#include "ringc/attention/Context.h"
#include "ringc/attention/device/DeviceCode.h"
#include "ringc/jit/DeviceCompiler.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/tune/DevicePeak.h"
#include "ringc/tune/HostPeak.h"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstring>
#include <stdexcept>

namespace ringc::cli {

namespace {

using Kind = KernelArgument::Kind;

/// p0, p1, KV heads, batch.
std::array<int64_t, 4> gridOf(const CompiledKernel &kernel, const KernelExtents &extents) {
  std::array<int64_t, 4> grid = {1, 1, 1, 1};
  for (size_t axis = 0; axis < kernel.grid.size(); ++axis) {
    const auto &[name, step] = kernel.grid[axis];
    int64_t length = extentOf(extents, name) * (name == "Nq" ? kernel.groupSize : 1);
    grid[axis] = (length + step - 1) / step;
  }
  if (kernel.perHead) {
    grid[2] = extents.at("Hkv");
    grid[3] = extents.at("B");
  }
  return grid;
}

uint64_t slotOf(const ArgumentValue &value, ElementType type) {
  if (auto *truth = std::get_if<bool>(&value))
    return *truth ? 1 : 0;
  auto *whole = std::get_if<int64_t>(&value);
  if (type != ElementType::F32)
    return uint64_t(*whole);
  return std::bit_cast<uint32_t>(whole ? float(*whole) : float(std::get<double>(value)));
}

/// The arguments of a launch that is the first and the last of its state.
std::vector<uint64_t> slotsOf(const CompiledKernel &kernel, const KernelData &data) {
  std::vector<uint64_t> slots(size_t(kernel.slotCount));
  for (const KernelArgument &argument : kernel.arguments) {
    uint64_t *slot = slots.data() + argument.slot;
    switch (argument.kind) {
    case Kind::View: {
      const Tensor &view = data.views.at(argument.name);
      slot[0] = std::bit_cast<uint64_t>(view.data());
      // One that nobody reads has the axes that it is written with.
      int implicit = view.rank() - int(argument.axes.size());
      for (int axis = implicit; axis < view.rank(); ++axis)
        slot[1 + axis - implicit] = uint64_t(view.stride(axis));
      break;
    }
    case Kind::Positions: {
      bool ofQueries = std::ranges::count(data.queryPositions, argument.name) > 0;
      slot[0] = uint64_t(ofQueries ? data.firstQuery : 0);
      slot[1] = slot[2] = 1;
      break;
    }
    case Kind::Carry: {
      constexpr uint64_t begins = 1, ends = 2;
      slot[1] = begins | ends;
      break;
    }
    case Kind::Scalar:
      slot[0] = slotOf(data.scalars.at(argument.name), argument.type);
      break;
    case Kind::Extent:
      slot[0] = uint64_t(extentOf(data.extents, argument.name));
      break;
    }
  }
  return slots;
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
    HostCode code = context.kernels->get(spec, sources);
    std::vector<uint64_t> slots = slotsOf(*code.kernel, placed.data);
    HostLaunch launch{.kernel = code.entry,
                      .slots = slots,
                      .grid = gridOf(*code.kernel, placed.data.extents),
                      .scratchBytes = size_t(code.kernel->scratchBytes),
                      .rows = code.kernel->serialAxis0 ? HostLaunch::Rows::Serial
                                                       : HostLaunch::Rows::Parallel};
    auto begin = std::chrono::steady_clock::now();
    for (int time = 0; time < times; ++time)
      context.pool->run(launch);
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
        .count();
  }

  void get(const Tensor &view, const Tensor &host) override {
    std::memcpy(host.data(), view.data(), size_t(view.byteCount()));
  }

  MachinePeak peak(DType dtype, F32Products) override { return hostPeak(*context.pool, dtype); }

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
    DeviceCode code = context.kernels->get(spec, sources);
    const CompiledKernel &kernel = *code.kernel;
    std::vector<uint64_t> slots = slotsOf(kernel, placed.data);
    auto [p0, p1, heads, batch] = gridOf(kernel, placed.data.extents);
    // A second grid axis takes the place of the heads, which such a kernel does not have.
    CudaGrid grid{.blocks = {p0, kernel.grid.size() > 1 ? p1 : heads, batch},
                  .threads = kernel.threads,
                  .sharedBytes = kernel.sharedBytes};
    before.record(stream);
    for (int time = 0; time < times; ++time)
      code.function.launch(stream, grid, slots);
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
