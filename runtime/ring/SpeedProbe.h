#pragma once

#include "runtime/comm/Transport.h"
#include "runtime/ring/ScheduleChoice.h"

#include <span>

namespace ringc {

/// Times a few exchanges between host memory of `ranks`, of which this one is one, and tells them
/// all what was found: each gets the slowest of all, `flops` of its own kernels among them. Called
/// by all of them at once, in place of other exchanges; takes a few milliseconds, and waits for
/// them. Throws PeerError.
RingSpeed probeSpeed(Transport &transport, std::span<const int> ranks, double flops);

} // namespace ringc
