#pragma once

#include "ringc/ring/Plan.h"

#include <cstdint>

namespace ringc {

/// What the ranks of a ring can do; all of them go by the same numbers.
struct RingSpeed {
  double flops = 0;   ///< of one rank's kernels, a second
  double bytes = 0;   ///< into one rank, and out of it, a second
  double latency = 0; ///< seconds that an exchange takes besides
};

/// What a pass is expected to take, in seconds, with blocks of one size of which each rank sees
/// all.
///
/// A block's kernel takes c, an exchange of so many blocks takes x(blocks). A ring of N ranks takes
/// c + (N - 1) max(c, x(1)): each hop hides behind a kernel, or the kernel behind the hop. An
/// all-gather takes max(c, x(N - 1)) + (N - 1) c: only the own block hides the exchange, but its
/// latency comes once. So it gains where a kernel takes less than a latency, N - 2 times the
/// difference; a ring of two is the same either way.
struct ScheduleTimes {
  double ring = 0, allGather = 0;
};

/// `flopsPerPair`: of a query and a key, in all heads and batch entries of the rank.
ScheduleTimes expectedTimes(const RingProblem &problem, double flopsPerPair,
                            const RingSpeed &speed);

/// The faster one, if it gains enough to be worth its memory, and needs little of that: an
/// all-gather holds N - 1 blocks where a ring holds two. Throws InputError for a problem that
/// cannot be. `problem.schedule` does not matter.
Schedule chooseSchedule(const RingProblem &problem, double flopsPerPair, const RingSpeed &speed);

} // namespace ringc
