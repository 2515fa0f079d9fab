#include "ringc/comm/Transport.h"

#include <cassert>

namespace ringc {

std::string_view nameOf(Channel channel) {
  switch (channel) {
  case Channel::Keys:
    return "keys";
  case Channel::Gradients:
    return "gradients";
  case Channel::Results:
    return "results";
  case Channel::Plans:
    return "plans";
  }
  assert(false && "not a Channel");
  return {};
}

PeerError::PeerError(int rank, int peer, int hop, Channel channel, std::string_view what)
    : std::runtime_error("rank " + std::to_string(rank) + ": hop " + std::to_string(hop) + ", " +
                         std::string(nameOf(channel)) + ", peer " + std::to_string(peer) + ": " +
                         std::string(what)),
      peerRank(peer), hopNumber(hop) {}

} // namespace ringc
