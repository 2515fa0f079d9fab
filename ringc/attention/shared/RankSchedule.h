#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/ring/ScheduleChoice.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace ringc {

/// Chooses the schedule of a rank's passes, as all ranks of its ring do: from options, sizes and
/// tables alone, so that a command's sums have the same order every time.
class RankSchedule {
public:
  /// `options` are complete, and outlive it. `lends`: as the transport's. `typical`: of its kind of
  /// processors and links.
  RankSchedule(const AttentionOptions &options, int ringSize, bool lends, const RingSpeed &typical);

  /// `batch`: of this rank's ring. `tuned`: what a table has for it, where one has.
  Schedule choose(Pass pass, const RingProblem &problem, int64_t batch,
                  std::optional<Schedule> tuned) const;

private:
  const AttentionOptions &options;
  int ringSize;
  bool lends;
  RingSpeed speed;
};

/// The world ranks of the ring that `rank` is in.
std::vector<int> ranksOfRing(int rank, int ringSize);

/// Of processes with a few cores each, on one host.
RingSpeed typicalHostSpeed(DType dtype);
/// Of GPUs like an H100, over NVLink.
RingSpeed typicalDeviceSpeed(DType dtype, F32Products f32Products);

} // namespace ringc
