#include "runtime/ring/SpeedProbe.h"

#include <algorithm>
#include <chrono>
#include <vector>

namespace ringc {

namespace {

using Clock = std::chrono::steady_clock;

/// Sends to the rank on the right what it receives from the left; the fastest of some rounds, for
/// what else a machine does only delays.
class Shifts {
public:
  Shifts(Transport &given, std::span<const int> ranks) : transport(given) {
    size_t self = size_t(std::ranges::find(ranks, transport.rank()) - ranks.begin());
    right = ranks[(self + 1) % ranks.size()];
    left = ranks[(self + ranks.size() - 1) % ranks.size()];
  }

  double seconds(size_t bytes, int rounds) {
    std::vector<std::byte> out(bytes), in(bytes);
    double fastest = 1e9;
    for (int round = 0; round < rounds; ++round) {
      Clock::time_point start = Clock::now();
      transport
          .post({.hop = number++,
                 .channel = Channel::Plans,
                 .sends = {{right, out}},
                 .receives = {{left, in}}})
          ->wait();
      fastest = std::min(fastest, std::chrono::duration<double>(Clock::now() - start).count());
    }
    return fastest;
  }

private:
  Transport &transport;
  int left, right, number = 0;
};

RingSpeed agreed(Transport &transport, std::span<const int> ranks, const RingSpeed &own) {
  std::vector<RingSpeed> all(ranks.size(), own);
  Exchange exchange{.channel = Channel::Plans, .sends = {}, .receives = {}};
  for (size_t i = 0; i < ranks.size(); ++i)
    if (ranks[i] != transport.rank()) {
      exchange.sends.push_back({ranks[i], std::as_bytes(std::span(&own, 1))});
      exchange.receives.push_back({ranks[i], std::as_writable_bytes(std::span(&all[i], 1))});
    }
  transport.post(exchange)->wait();
  return RingSpeed::slowest(all);
}

} // namespace

RingSpeed probeSpeed(Transport &transport, std::span<const int> ranks, double flops) {
  constexpr size_t large = 1 << 20;
  Shifts shifts(transport, ranks);
  double latency = shifts.seconds(8, 6), whole = shifts.seconds(large, 4);
  double moving = std::max(whole - latency, whole / 16); // a large message is not all latency
  return agreed(transport, ranks, {flops, double(large) / moving, latency});
}

} // namespace ringc
