// Decodes that `ringc bench --device cuda` times, on the tests' own driver and NCCL.

#include "tests/gpu/FakeNcclWorld.h"
#include "tools/ringc/TimedDecode.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

/// Ranks of one process on devices, or one of those over NCCL.
class Devices final : public World {
public:
  Devices(int ranks, std::vector<DeviceContext> given)
      : count(ranks), own(size_t(ranks)), contexts(std::move(given)) {
    std::iota(own.begin(), own.end(), 0);
  }
  Devices(DeviceContext context, NcclTransport &transport)
      : count(transport.world()), own{transport.rank()}, contexts{std::move(context)},
        remote(&transport) {}

  int size() const override { return count; }
  std::vector<int> ranks() const override { return own; }
  const std::vector<DeviceContext> &devices() const override { return contexts; }
  std::unique_ptr<WorldRing> ring(const AttentionOptions &, const AttentionContext &,
                                  const AttentionInputs &, const Tensor &) override {
    return nullptr;
  }
  void onRanks(const std::function<void(const WorldRank &)> &body) override {
    body({.rank = own.front(), .device = contexts.data(), .remote = remote});
  }
  std::vector<double> gather(const std::vector<double> &given) override { return given; }
  std::string ofFirst(const std::string &given) override { return given; }
  void agree(const Agreement &) override {}
  double largest(double given) override { return given; }
  void abort(const std::string &) noexcept override {}

private:
  int count;
  std::vector<int> own;
  std::vector<DeviceContext> contexts;
  RemoteTransport *remote = nullptr;
};

cli::DecodeWork workOf(int64_t keys, int64_t page) {
  AttentionOptions options{
      .heads = 4, .kvHeads = 2, .headDim = 32, .valueHeadDim = 16, .dtype = DType::BF16};
  return {{.attention = options},
          {.batch = 2, .keys = keys, .heads = 4, .kvHeads = 2, .headDim = 32, .valueHeadDim = 16},
          page};
}

/// What is wrong, once at once and once replayed.
std::string faultOf(World &world, const cli::DecodeWork &work) {
  cli::DecodeWorkCheck check(work);
  std::unique_ptr<cli::TimedDecode> decode = cli::timedOnDevices(world, work);
  auto areRight = [&] {
    std::vector<cli::DecodeResults> all = decode->results();
    return all.size() == world.ranks().size() &&
           std::ranges::all_of(all, [&](const cli::DecodeResults &rank) {
             return std::ranges::all_of(
                 check.errorsOf(rank.out, rank.lse),
                 [](const cli::DecodeError &each) { return each.ours <= each.bar; });
           });
  };
  decode->run();
  if (!areRight())
    return "wrong at once";
  for (int turn = 0; turn < 2; ++turn) {
    std::vector<cli::DecodeTurn> took = decode->turn();
    if (!areRight())
      return "wrong in turn " + std::to_string(turn);
    if (took.size() != world.ranks().size())
      return "not a time a rank";
    for (const cli::DecodeTurn &each : took)
      if (each.launched.whole <= 0 || each.graph.whole <= 0 ||
          (each.launched.part > 0) != (world.size() > 1) ||
          (each.graph.part > 0) != (world.size() > 1))
        return "without a time";
  }
  return {};
}

} // namespace

TEST_CASE("timed decodes of ranks of one process on devices") {
  for (auto [ranks, devices] : {std::pair(1, 1), {2, 1}, {5, 3}})
    for (auto [keys, page] : {std::pair(130, 0), {128, 16}, {3, 0}, {3, 1}}) {
      CAPTURE(ranks);
      CAPTURE(keys);
      Devices world(ranks, fakeWorld(devices));
      CHECK(faultOf(world, workOf(keys, page)) == "");
    }
}

TEST_CASE("timed decodes of ranks over NCCL") {
  for (int ranks : {2, 3})
    for (auto [keys, page] : {std::pair(130, 0), {128, 16}, {2, 0}}) {
      NcclWorld nccl(ranks);
      std::vector<std::string> faults(static_cast<size_t>(ranks));
      auto errors = nccl.run([&](int rank, NcclTransport &transport) {
        Devices world(nccl.devices[size_t(rank)], transport);
        faults[size_t(rank)] = faultOf(world, workOf(keys, page));
      });
      for (int rank = 0; rank < ranks; ++rank) {
        CHECK(errors[size_t(rank)] == "nothing thrown");
        CHECK(faults[size_t(rank)] == "");
      }
    }
}
