#include "ringc/comm/OrderedSum.h"

#include <algorithm>
#include <functional>
#include <vector>

namespace ringc {

std::span<float> SumExchanges::shareOf(int rank, int world, std::span<float> numbers) {
  constexpr size_t together = 16 / sizeof(float);
  size_t of = numbers.size() / together / size_t(world) * together;
  return rank == world - 1 ? numbers.subspan(of * size_t(rank))
                           : numbers.subspan(of * size_t(rank), of);
}

SumExchanges::SumExchanges(int rank, int world, std::span<float> numbers, std::span<float> received)
    : share(shareOf(rank, world, numbers)),
      parts{.hop = 0, .channel = Channel::Gradients, .sends = {}, .receives = {}},
      sums{.hop = 1, .channel = Channel::Gradients, .sends = {}, .receives = {}} {
  for (int peer = 0; peer < world; ++peer) {
    if (peer == rank)
      continue;
    if (std::span<float> theirs = shareOf(peer, world, numbers); !theirs.empty()) {
      parts.sends.push_back({peer, std::as_bytes(theirs)});
      sums.receives.push_back({peer, std::as_writable_bytes(theirs)});
    }
    if (!share.empty()) {
      auto room = received.subspan(size_t(peer) * share.size(), share.size());
      parts.receives.push_back({peer, std::as_writable_bytes(room)});
      sums.sends.push_back({peer, std::as_bytes(share)});
    }
  }
}

void orderedSum(Transport &transport, std::span<float> numbers) {
  int world = transport.world(), self = transport.rank();
  if (world == 1 || numbers.empty())
    return;
  size_t count = SumExchanges::shareOf(self, world, numbers).size();
  std::vector<float> received(count * size_t(world));
  SumExchanges exchanges(self, world, numbers, received);
  if (!exchanges.parts.empty())
    transport.post(exchanges.parts)->wait();
  auto of = [&](int rank) { return std::span(received).subspan(size_t(rank) * count, count); };
  std::ranges::copy(exchanges.share, of(self).begin());
  std::ranges::fill(exchanges.share, 0.0f);
  for (int rank = 0; rank < world; ++rank)
    std::ranges::transform(exchanges.share, of(rank), exchanges.share.begin(), std::plus());
  if (!exchanges.sums.empty())
    transport.post(exchanges.sums)->wait();
}

} // namespace ringc
