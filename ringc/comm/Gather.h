#pragma once

#include "ringc/comm/Transport.h"

#include <cstddef>
#include <span>
#include <vector>

namespace ringc {

/// What each of `ranks`, the transport's among them, gives to the same call: pieces of one size, in
/// the order of `ranks`. Returns when all have called it; throws PeerError when one fails or the
/// deadline passes. Each rank posts log2 of their number messages, of memory of the host.
std::vector<std::vector<std::byte>> gather(Transport &transport, std::span<const int> ranks,
                                           std::span<const std::byte> own);

} // namespace ringc
