#include "ringc/ring/SubRings.h"

#include "ringc/support/Error.h"

#include <algorithm>

namespace ringc {

void SubRings::check() const {
  if (world < 1)
    throw InputError("world", std::to_string(world), "1 or more ranks");
  if (ringSize < 1 || world % ringSize != 0)
    throw InputError("ring size", std::to_string(ringSize),
                     "a divisor of the world, " + std::to_string(world));
}

BatchRange batchOfRing(int64_t batch, int rings, int ring) {
  if (batch < 0)
    throw InputError("batch", std::to_string(batch), "0 or more");
  if (rings < 1 || ring < 0 || ring >= rings)
    throw InputError("ring", std::to_string(ring), "0 to " + std::to_string(rings - 1));
  int64_t each = batch / rings, more = batch % rings;
  return {ring * each + std::min<int64_t>(ring, more), each + (ring < more ? 1 : 0)};
}

} // namespace ringc
