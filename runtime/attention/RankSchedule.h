#pragma once

#include "runtime/Attention.h"
#include "runtime/ring/ScheduleChoice.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace ringc {

/// Chooses the schedule of a rank's passes, as all ranks of its ring do.
class RankSchedule {
public:
  /// `options` are complete, and outlive it. `lends`: as the transport's. `measure` is called at
  /// most once, when speeds first matter: by all ranks of the ring, for it depends on nothing but
  /// the options and the ring's size.
  RankSchedule(const AttentionOptions &options, int ringSize, bool lends,
               std::function<RingSpeed()> measure);

  /// `batch`: of this rank's ring.
  Schedule choose(Pass pass, const RingProblem &problem, int64_t batch);

private:
  const AttentionOptions &options;
  int ringSize;
  bool lends;
  std::function<RingSpeed()> measure;
  std::optional<RingSpeed> speed;
};

/// The world ranks of the ring that `rank` is in.
std::vector<int> ranksOfRing(int rank, int ringSize);

/// A rough figure for the kernels of `threads` threads of a CPU, or of a GPU's multiprocessors.
double hostFlops(DType dtype, int threads);
double deviceFlops(DType dtype, F32Products f32Products, int multiprocessors);

} // namespace ringc
