#include "tests/gpu/FakeWorld.h"

#include "ringc/jit/HostCompiler.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <dlfcn.h>
#include <mutex>
#include <stdexcept>
#include <string_view>

namespace ringc::test {

namespace {

template <typename Function> Function find(const char *symbol) {
  static void *library = dlopen(RINGC_FAKE_CUDA, RTLD_NOW | RTLD_LOCAL);
  void *found = library ? dlsym(library, symbol) : nullptr;
  if (!found)
    throw std::runtime_error(std::string(RINGC_FAKE_CUDA) + " has no " + symbol);
  return reinterpret_cast<Function>(found);
}

} // namespace

CudaFake &fake() {
  static CudaFake *shared = find<CudaFake *(*)()>(cudaFakeSymbol)();
  return *shared;
}

namespace {

/// As the kernels of DeviceElementwise, by one thread for the 256 of a block; `width`: elements of
/// each.
void addBlock(const uint64_t *slots, int64_t block, int64_t, int64_t, int64_t, void *) {
  auto *sum = reinterpret_cast<float *>(slots[0]);
  auto *part = reinterpret_cast<const float *>(slots[1]);
  for (int64_t i = 256 * block; i < std::min<int64_t>(256 * (block + 1), int64_t(slots[2])); ++i)
    sum[i] += part[i];
}

template <DType to, int64_t width>
void roundBlock(const uint64_t *slots, int64_t row, int64_t, int64_t chunk, int64_t entry, void *) {
  int64_t rows = int64_t(slots[2]), wide = int64_t(slots[3]), d = int64_t(slots[4]);
  for (int64_t e = 256 * width * chunk; e < std::min(256 * width * (chunk + 1), wide); ++e) {
    auto *from = reinterpret_cast<const float *>(slots[0]) + (entry * rows + row) * wide + e;
    auto *target = reinterpret_cast<std::byte *>(slots[1]) + int64_t(slots[5]) * entry +
                   int64_t(slots[6]) * row + int64_t(slots[7]) * (e / d) +
                   int64_t(slots[8]) * (e % d);
    convert(Tensor(const_cast<float *>(from), DType::F32, {1}), Tensor(target, to, {1}));
  }
}

/// The host's kernels under the names of entries.
class HostKernels final : public DeviceKernelSource {
public:
  HostKernels(std::shared_ptr<KernelSource> from, std::shared_ptr<const CudaDevice> on)
      : host(std::move(from)), device(std::move(on)) {}

  SourceSet sources(std::vector<SourceText> user) override { return host->sources(user); }
  DeviceCode get(Spec spec, const SourceSet &sources, const KernelWork &work) override {
    static std::atomic<int> number = 0;
    HostCode code = host->get(spec, sources, work);
    auto kernel = std::make_shared<CompiledKernel>(*code.kernel);
    kernel->entry = "kernel" + std::to_string(++number);
    kernel->code = "PTX";
    kernel->threads = 1;
    auto slotOf = [&](std::string_view extent) {
      for (const KernelArgument &argument : kernel->arguments)
        if (argument.kind == KernelArgument::Kind::Extent && argument.name == extent)
          return argument.slot;
      return -1;
    };
    bool second = kernel->grid.size() > 1;
    CudaFake::Kernel made{kernel->entry,
                          code.entry,
                          size_t(kernel->scratchBytes),
                          size_t(kernel->slotCount),
                          kernel->perHead ? slotOf("B") : -1,
                          second && !kernel->perHead};
    if (second && kernel->perHead) {
      const GridAxis &axis = kernel->grid[1];
      made.secondSlot = slotOf(axis.extent);
      made.secondFactor = axis.extent == "Nq" ? kernel->groupSize : 1;
      made.secondStep = axis.step;
    }
    find<void (*)(const CudaFake::Kernel *)>("ringcCudaFakeAddKernel")(&made);
    std::lock_guard lock(mutex);
    codes.push_back(std::move(code));
    return DeviceCode::load(device, std::move(kernel));
  }

private:
  std::shared_ptr<KernelSource> host;
  std::shared_ptr<const CudaDevice> device;
  std::mutex mutex;
  std::vector<HostCode> codes;
};

} // namespace

const AttentionContext &hostWorld() {
  static const AttentionContext shared = hostContext();
  return shared;
}

DeviceContext fakeDevice(int ordinal) {
  auto device = std::make_shared<CudaDevice>(CudaDriver::open(RINGC_FAKE_CUDA), ordinal);
  return {std::make_shared<HostKernels>(hostWorld().kernels, device), device};
}

std::vector<DeviceContext> fakeWorld(int devices) {
  static unsigned seeds = 0; // each world has another order between streams
  setenv("RINGC_CUBLASLT_LIBRARY", RINGC_FAKE_CUBLASLT, /*overwrite=*/1);
  fake() = {};
  fake().kernels = {{"ringc_add_f32", addBlock, 0, 3},
                    {"ringc_round_f32", roundBlock<DType::F32, 1>, 0, 9},
                    {"ringc_round_f16", roundBlock<DType::F16, 1>, 0, 9},
                    {"ringc_round_bf16", roundBlock<DType::BF16, 1>, 0, 9},
                    {"ringc_round_f32_by_4", roundBlock<DType::F32, 4>, 0, 9},
                    {"ringc_round_f16_by_4", roundBlock<DType::F16, 4>, 0, 9},
                    {"ringc_round_bf16_by_4", roundBlock<DType::BF16, 4>, 0, 9}};
  fake().seed = ++seeds;
  fake().devices = 3;
  std::vector<DeviceContext> made;
  for (int ordinal = 0; ordinal < devices; ++ordinal)
    made.push_back(fakeDevice(ordinal));
  return made;
}

} // namespace ringc::test
