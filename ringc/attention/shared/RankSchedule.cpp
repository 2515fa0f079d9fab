#include "ringc/attention/shared/RankSchedule.h"

#include <cassert>
#include <numeric>

namespace ringc {

namespace {

/// Of a query and a key in one head: products with two additions and multiplications for each of d,
/// or of d_v, elements.
double flopsPerPair(const AttentionOptions &options, Pass pass) {
  double d = double(options.headDim), dv = double(options.valueHeadDim);
  double products = 0;
  switch (pass) {
  case Pass::Forward:
    products = d + dv;
    break;
  case Pass::Backward:
    products = 4 * d + 3 * dv; // of either form: the default is not the same on all hosts
    break;
  }
  return 2 * products * (options.causal ? 0.5 : 1.0);
}

} // namespace

RankSchedule::RankSchedule(const AttentionOptions &completeOptions, int ranks, bool ranksLend,
                           const RingSpeed &typical)
    : options(completeOptions), ringSize(ranks), lends(ranksLend), speed(typical) {}

Schedule RankSchedule::choose(Pass pass, const RingProblem &problem, int64_t batch,
                              std::optional<Schedule> tuned) const {
  if (options.schedule)
    return *options.schedule;
  if (ringSize == 1)
    return Schedule::Ring;
  if (lends) // costs neither time nor memory
    return Schedule::AllGather;
  if (tuned)
    return *tuned;
  if (ringSize <= 2) // the same either way
    return Schedule::Ring;
  return chooseSchedule(problem, flopsPerPair(options, pass) * double(batch * options.heads),
                        speed);
}

std::vector<int> ranksOfRing(int rank, int ringSize) {
  std::vector<int> ranks(static_cast<size_t>(ringSize));
  std::iota(ranks.begin(), ranks.end(), rank / ringSize * ringSize);
  return ranks;
}

RingSpeed typicalHostSpeed(DType dtype) {
  // Of a core with vectors of 512 bits about half of what it can do (docs/performance.md).
  constexpr int cores = 8;
  return {.flops = (dtype == DType::F32 ? 80e9 : 150e9) * cores, .bytes = 5e9, .latency = 20e-6};
}

RingSpeed typicalDeviceSpeed(DType dtype, F32Products f32Products) {
  // FlashAttention-2 and kernels like it, on an A100 and on an H100.
  constexpr double of16Bits = 2.2e12 * 132;
  RingSpeed speed{.flops = of16Bits, .bytes = 100e9, .latency = 20e-6};
  if (dtype == DType::F32)
    speed.flops = of16Bits / (f32Products == F32Products::Tf32x3 ? 6 : 2);
  return speed;
}

} // namespace ringc
