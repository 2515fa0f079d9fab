#include "tools/ringc/TimedDecode.h"

#include "ringc/comm/Gather.h"

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <numeric>
#include <span>

namespace ringc::cli {

namespace {

/// None goes on before all have called it.
void meet(Transport &transport) {
  std::vector<int> all(size_t(transport.world()));
  std::iota(all.begin(), all.end(), 0);
  std::byte nothing{};
  (void)gather(transport, all, std::span(&nothing, 1));
}

double microseconds(const std::function<void()> &work) {
  auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
      .count();
}

/// A rank, and what it has.
class HostRank {
public:
  HostRank(const DecodeWork &work, const AttentionContext &context, int rank, int ranks)
      : share(work, rank, ranks), decode(work.options, context), alone(work.options, context),
        out(work.newOut()), outAlone(work.newOut()), lse(work.newLse()), lseAlone(work.newLse()) {}

  void run(Transport &transport) {
    if (transport.world() == 1)
      decode.run(share.inputs(), out, lse);
    else
      decode.run(share.inputs(), share.keys(), transport, out, lse);
  }

  DecodeTook turn(Transport &transport) {
    meet(transport);
    DecodeTook took{.whole = microseconds([&] { run(transport); })};
    if (transport.world() == 1)
      return took;
    DecodeInputs own = share.inputs();
    own.lengths = share.lengthsAlone();
    meet(transport);
    took.part = microseconds([&] { alone.run(own, outAlone, lseAlone); });
    return took;
  }

  DecodeResults results() const { return {HostTensor::copyOf(out), HostTensor::copyOf(lse)}; }

private:
  DecodeWorkShare share;
  HostDecode decode, alone;
  HostTensor out, outAlone, lse, lseAlone;
};

class HostRanks final : public TimedDecode {
public:
  HostRanks(World &of, const DecodeWork &work, const AttentionContext &context) : world(of) {
    for (int rank : world.ranks())
      ranks.emplace_back(work, context, rank, world.size());
  }

  void run() override {
    world.onRanks([&](const WorldRank &rank) { ranks[at(rank)].run(*rank.transport); });
  }

  std::vector<DecodeTurn> turn() override {
    std::vector<DecodeTurn> turns(ranks.size());
    world.onRanks([&](const WorldRank &rank) {
      turns[at(rank)].launched = ranks[at(rank)].turn(*rank.transport);
    });
    return turns;
  }

  std::vector<DecodeResults> results() const override {
    std::vector<DecodeResults> made;
    for (const HostRank &rank : ranks)
      made.push_back(rank.results());
    return made;
  }

private:
  size_t at(const WorldRank &rank) const { return size_t(rank.rank - world.ranks().front()); }

  World &world;
  std::deque<HostRank> ranks; ///< of this process
};

} // namespace

std::unique_ptr<TimedDecode> timedOnHost(World &world, const DecodeWork &work,
                                         const AttentionContext &context) {
  return std::make_unique<HostRanks>(world, work, context);
}

} // namespace ringc::cli
