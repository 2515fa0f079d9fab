#include "ringc/tune/DevicePeak.h"

#include "ringc/driver/CudaMemory.h"
#include "ringc/driver/CudaModule.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <exception>

namespace ringc {

namespace {

constexpr int sums = 8, perRound = 4; ///< products of a round: each sum so often

/// One mma.sync, and numbers between 1 and 2 for its operands.
struct Product {
  const char *shape; ///< and types
  const char *name;
  double flops;
  const char *one;      ///< bits of 1, in each half of a word, or in the word
  const char *fraction; ///< bits that may be anything
};

Product productOf(DType dtype) {
  constexpr double ofK16 = 2.0 * 16 * 8 * 16, ofK8 = 2.0 * 16 * 8 * 8;
  if (dtype == DType::BF16)
    return {"m16n8k16.row.col.f32.bf16.bf16.f32", "mma.sync bf16", ofK16, "0x3f803f80",
            "0x007f007f"};
  if (dtype == DType::F16)
    return {"m16n8k16.row.col.f32.f16.f16.f32", "mma.sync f16", ofK16, "0x3c003c00", "0x03ff03ff"};
  return {"m16n8k8.row.col.f32.tf32.tf32.f32", "mma.sync tf32", ofK8, "0x3f800000", "0x007fe000"};
}

/// "{%c4, %c5, %c6, %c7}"
std::string registers(const char *prefix, int first, int count) {
  std::string text = "{";
  for (int at = first; at < first + count; ++at)
    text += (at == first ? "%" : ", %") + (prefix + std::to_string(at));
  return text + "}";
}

double fastestMilliseconds(const CudaStream &stream, int repeats, const auto &work) {
  CudaEvent begin(stream.device(), CudaEvent::Timing::On),
      end(stream.device(), CudaEvent::Timing::On);
  work(); // with what the first run has to do besides
  double fastest = 0;
  for (int at = 0; at < repeats; ++at) {
    begin.record(stream);
    work();
    end.record(stream);
    end.synchronize();
    double took = end.since(begin);
    fastest = at == 0 ? took : std::min(fastest, took);
  }
  return fastest;
}

constexpr int repeats = 6;
constexpr double millisecondsPerSecond = 1000;

double productsOf(const std::shared_ptr<const CudaDevice> &device, DType dtype) {
  CudaModule module(device, peakPtx(dtype), "ringc_peak");
  CudaFunction function = module.function("ringc_peak");
  CudaStream stream(device);
  constexpr int64_t warps = 8, warpThreads = 32, blocksPerMultiprocessor = 2, rounds = 8192;
  int64_t blocks = blocksPerMultiprocessor * device->facts().multiprocessors;
  std::array<uint64_t, 2> slots = {uint64_t(rounds), 0};
  double ms = fastestMilliseconds(stream, repeats, [&] {
    function.launch(stream, {.blocks = {blocks, 1, 1}, .threads = warps * warpThreads}, slots);
  });
  double products = double(blocks * warps) * double(rounds) * sums * perRound;
  return products * productOf(dtype).flops / ms * millisecondsPerSecond;
}

double bandwidthOf(const std::shared_ptr<const CudaDevice> &device) {
  constexpr int64_t most = int64_t(1) << 30, shareOfFree = 8;
  int64_t bytes = std::min(most, device->memory().freeBytes / shareOfFree);
  CudaStream stream(device);
  DeviceMemory from(device, bytes), to(device, bytes);
  stream.clear(from.data(), bytes);
  double ms =
      fastestMilliseconds(stream, repeats, [&] { stream.copy(to.data(), from.data(), bytes); });
  constexpr double readAndWritten = 2;
  return readAndWritten * double(bytes) / ms * millisecondsPerSecond;
}

} // namespace

std::string peakPtx(DType dtype) {
  Product product = productOf(dtype);
  std::string text = ".version 7.0\n"
                     ".target sm_80\n"
                     ".address_size 64\n"
                     ".visible .entry ringc_peak(.param .align 8 .b8 slots[16])\n"
                     "{\n"
                     "  .reg .pred %again, %silent;\n"
                     "  .reg .b32 %thread, %left, %a<4>, %b<2>;\n"
                     "  .reg .f32 %c<" +
                     std::to_string(4 * sums) +
                     ">;\n"
                     "  .reg .b64 %rounds, %out;\n"
                     "  ld.param.u64 %rounds, [slots];\n"
                     "  ld.param.u64 %out, [slots+8];\n"
                     "  cvt.u32.u64 %left, %rounds;\n"
                     "  mov.u32 %thread, %tid.x;\n";
  // Bits that differ from thread to thread and from register to register: zeros would cost less
  // power, and be faster, than what kernels multiply.
  for (int at = 0; at < 6; ++at) {
    std::string name = at < 4 ? "%a" + std::to_string(at) : "%b" + std::to_string(at - 4);
    text += "  add.u32 " + name + ", %thread, " + std::to_string(1000 * at + 1) + ";\n";
    text += "  mul.lo.u32 " + name + ", " + name + ", 0x9e3779b1;\n";
    text += "  and.b32 " + name + ", " + name + ", " + product.fraction + ";\n";
    text += "  or.b32 " + name + ", " + name + ", " + product.one + ";\n";
  }
  for (int at = 0; at < 4 * sums; ++at)
    text += "  mov.f32 %c" + std::to_string(at) + ", 0f00000000;\n";
  text += "AGAIN:\n";
  for (int time = 0; time < perRound; ++time)
    for (int sum = 0; sum < sums; ++sum) {
      std::string own = registers("c", 4 * sum, 4);
      text += "  mma.sync.aligned." + (product.shape + (" " + own)) + ", " + registers("a", 0, 4) +
              ", " + registers("b", 0, 2) + ", " + own + ";\n";
    }
  text += "  sub.u32 %left, %left, 1;\n"
          "  setp.ne.u32 %again, %left, 0;\n"
          "  @%again bra AGAIN;\n"
          "  setp.eq.u64 %silent, %out, 0;\n"
          "  @%silent bra DONE;\n"; // the assembler cannot know, and keeps the products
  for (int at = 1; at < 4 * sums; ++at)
    text += "  add.f32 %c0, %c0, %c" + std::to_string(at) + ";\n";
  return text + "  cvta.to.global.u64 %out, %out;\n"
                "  st.global.f32 [%out], %c0;\n"
                "DONE:\n"
                "  ret;\n"
                "}\n";
}

MachinePeak devicePeak(const std::vector<std::shared_ptr<const CudaDevice>> &devices, DType dtype,
                       F32Products f32Products) {
  MachinePeak peak;
  std::string where =
      devices.size() == 1 ? std::string() : ", " + std::to_string(devices.size()) + " devices";
  bool three = dtype == DType::F32 && f32Products == F32Products::Tf32x3;
  try {
    double products = 0, bandwidth = 0;
    for (const auto &device : devices)
      bandwidth += bandwidthOf(device);
    peak.bytesPerSecond = bandwidth;
    peak.memory = "copy within a device" + where;
    for (const auto &device : devices)
      products += productsOf(device, dtype);
    constexpr double tf32OfF32 = 3;
    peak.flopsPerSecond = three ? products / tf32OfF32 : products;
    peak.products =
        productOf(dtype).name + std::string(three ? ", three for one of f32" : "") + where;
  } catch (const std::exception &error) {
    peak.problem = error.what();
  }
  return peak;
}

} // namespace ringc
