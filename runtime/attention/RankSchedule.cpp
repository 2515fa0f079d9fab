#include "runtime/attention/RankSchedule.h"

#include <cassert>
#include <numeric>
#include <utility>

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
    products = *options.backward == BackwardForm::Fused ? 3 * d + 2 * dv : 4 * d + 3 * dv;
    break;
  }
  return 2 * products * (options.causal ? 0.5 : 1.0);
}

} // namespace

RankSchedule::RankSchedule(const AttentionOptions &completeOptions, int ranks, bool ranksLend,
                           std::function<RingSpeed()> whenAsked)
    : options(completeOptions), ringSize(ranks), lends(ranksLend), measure(std::move(whenAsked)) {}

Schedule RankSchedule::choose(Pass pass, const RingProblem &problem, int64_t batch) {
  if (options.schedule)
    return *options.schedule;
  if (ringSize == 1)
    return Schedule::Ring;
  if (lends) // costs neither time nor memory
    return Schedule::AllGather;
  if (ringSize <= 2) // the same either way
    return Schedule::Ring;
  if (!speed)
    speed = measure();
  return chooseSchedule(problem, flopsPerPair(options, pass) * double(batch * options.heads),
                        *speed);
}

std::vector<int> ranksOfRing(int rank, int ringSize) {
  std::vector<int> ranks(static_cast<size_t>(ringSize));
  std::iota(ranks.begin(), ranks.end(), rank / ringSize * ringSize);
  return ranks;
}

double hostFlops(DType dtype, int threads) {
  // About half of what a core with vectors of 512 bits can do (docs/performance.md).
  return (dtype == DType::F32 ? 80e9 : 150e9) * threads;
}

double deviceFlops(DType dtype, F32Products f32Products, int multiprocessors) {
  // FlashAttention-2 and kernels like it, on an A100 and on an H100.
  constexpr double of16Bits = 2.2e12;
  if (dtype != DType::F32)
    return of16Bits * multiprocessors;
  switch (f32Products) {
  case F32Products::Tf32x3:
    return of16Bits / 6 * multiprocessors;
  case F32Products::Tf32:
    return of16Bits / 2 * multiprocessors;
  }
  assert(false && "not an F32Products");
  return of16Bits;
}

} // namespace ringc
