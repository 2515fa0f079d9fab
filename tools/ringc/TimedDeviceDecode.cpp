#include "ringc/attention/device/RingDevices.h"
#include "ringc/decode/DeviceDecodeRing.h"
#include "ringc/driver/CudaStream.h"
#include "tools/ringc/PlacedDecode.h"
#include "tools/ringc/TimedDecode.h"

#include <cstddef>
#include <deque>
#include <functional>
#include <numeric>
#include <optional>
#include <span>

namespace ringc::cli {

namespace {

/// What a rank has, and room for its results with the others and alone.
class PlacedRank {
public:
  PlacedRank(const DecodeWork &work, const DecodeWorkShare &share, const DeviceContext &context)
      : of(work), stream(context.device),
        placed(stream, {share.inputs(), share.keys(), work.newOut(), work.newLse()}),
        whole(placed.call()), alone(whole) {
    alone.inputs.lengths = placed.put(share.lengthsAlone());
    alone.out = placed.put(work.newOut());
    alone.lse = placed.put(work.newLse());
  }

  const RankDecode &call() const { return whole; }
  void runAlone(DeviceDecode &decode, const CudaStream &order) const {
    decode.run(order, alone.inputs, alone.out, alone.lse);
  }
  DecodeResults results() const {
    DecodeResults made{of.newOut(), of.newLse()};
    placed.download(made.out, made.lse);
    return made;
  }

private:
  const DecodeWork &of;
  CudaStream stream; ///< of uploads and downloads
  PlacedDecode placed;
  RankDecode whole, alone;
};

/// What is given to a stream.
struct StreamWork {
  std::function<void()> whole, part; ///< no part of a rank alone
  std::function<void()> wait;        ///< for all that the stream was given
  std::function<void()> meet;        ///< the other ranks
};

/// Times it, at once and replayed.
class StreamClock {
public:
  explicit StreamClock(const CudaStream &on)
      : stream(on), start(on.device(), CudaEvent::Timing::On),
        end(on.device(), CudaEvent::Timing::On) {}

  DecodeTurn turn(const StreamWork &work) {
    if (!whole)
      capture(work);
    DecodeTurn made;
    made.launched.whole = microseconds(work, work.whole);
    made.graph.whole = microseconds(work, [&] { whole->launch(stream); });
    if (!part)
      return made;
    made.launched.part = microseconds(work, work.part);
    made.graph.part = microseconds(work, [&] { part->launch(stream); });
    return made;
  }

private:
  void capture(const StreamWork &work) {
    for (int run = 0; run < 2; ++run) { // which prepare, and allocate
      work.whole();
      if (work.part)
        work.part();
    }
    work.wait();
    work.meet(); // ranks may be threads of one process: none allocates while another captures
    whole = stream.capture(work.whole);
    if (work.part)
      part = stream.capture(work.part);
  }

  /// The host must not be what is measured: many calls between two events.
  double microseconds(const StreamWork &work, const std::function<void()> &give) const {
    constexpr int together = 20;
    work.meet();
    start.record(stream);
    for (int each = 0; each < together; ++each)
      give();
    end.record(stream);
    work.wait();
    return end.since(start) * 1e3 / together;
  }

  const CudaStream &stream;
  CudaEvent start, end;
  std::optional<CudaGraph> whole, part;
};

/// The only rank of this process.
class DeviceRank final : public TimedDecode {
public:
  DeviceRank(World &of, const DecodeWork &work)
      : world(of), context(of.devices().front()), stream(context.device),
        placed(work, {work, of.ranks().front(), of.size()}, context), decode(work.options, context),
        alone(work.options, context), clock(stream) {}

  void run() override {
    onRank([](const StreamWork &work) {
      work.whole();
      work.wait();
    });
  }

  std::vector<DecodeTurn> turn() override {
    std::vector<DecodeTurn> turns;
    onRank([&](const StreamWork &work) { turns.push_back(clock.turn(work)); });
    return turns;
  }

  std::vector<DecodeResults> results() const override {
    std::vector<DecodeResults> made;
    made.push_back(placed.results());
    return made;
  }

private:
  void onRank(const std::function<void(const StreamWork &)> &body) {
    world.onRanks(
        [&](const WorldRank &rank) { body(rank.remote ? workOver(*rank.remote) : workOfOne()); });
  }

  StreamWork workOfOne() {
    return {.whole =
                [this] {
                  const auto &[inputs, keys, out, lse] = placed.call();
                  decode.run(stream, inputs, out, lse);
                },
            .part = {},
            .wait = [this] { stream.synchronize(); },
            .meet = [] {}};
  }

  StreamWork workOver(RemoteTransport &transport) {
    return {.whole =
                [this, &transport] {
                  const auto &[inputs, keys, out, lse] = placed.call();
                  decode.run(stream, inputs, keys, transport, out, lse);
                },
            .part = [this] { placed.runAlone(alone, stream); },
            .wait = [this, &transport] { transport.wait(stream); },
            .meet =
                [&transport] {
                  std::vector<int> all(size_t(transport.world()));
                  std::iota(all.begin(), all.end(), 0);
                  std::byte nothing{};
                  (void)transport.gather(all, std::span(&nothing, 1));
                }};
  }

  World &world;
  DeviceContext context;
  CudaStream stream;
  PlacedRank placed;
  DeviceDecode decode, alone;
  StreamClock clock;
};

/// All ranks, of one process.
class DeviceRanks final : public TimedDecode {
public:
  DeviceRanks(const std::vector<DeviceContext> &on, int size, const DecodeWork &work)
      : devices(size, on), ring(work.options, size, on), stream(devices.of(0).device),
        clock(stream) {
    for (int rank = 0; rank < size; ++rank) {
      calls.push_back(
          ranks.emplace_back(work, DecodeWorkShare(work, rank, size), devices.of(rank)).call());
      alone.emplace_back(work.options, devices.of(rank));
    }
  }

  void run() override {
    ring.run(stream, calls);
    stream.synchronize();
  }

  std::vector<DecodeTurn> turn() override {
    DecodeTurn turn = clock.turn({.whole = [this] { ring.run(stream, calls); },
                                  .part = [this] { runAlone(); },
                                  .wait = [this] { stream.synchronize(); },
                                  .meet = [] {}});
    return std::vector(ranks.size(), turn);
  }

  std::vector<DecodeResults> results() const override {
    std::vector<DecodeResults> made;
    for (const PlacedRank &rank : ranks)
      made.push_back(rank.results());
    return made;
  }

private:
  /// Ranks of one device one after another.
  void runAlone() {
    devices.fork(stream);
    for (size_t rank = 0; rank < ranks.size(); ++rank)
      ranks[rank].runAlone(alone[rank], devices.orderOf(int(rank), stream));
    devices.join(stream);
  }

  RingDevices devices;
  DeviceDecodeRing ring;
  CudaStream stream;
  std::deque<PlacedRank> ranks;
  std::vector<RankDecode> calls;
  std::deque<DeviceDecode> alone;
  StreamClock clock;
};

} // namespace

std::unique_ptr<TimedDecode> timedOnDevices(World &world, const DecodeWork &work) {
  if (world.ranks().size() == 1)
    return std::make_unique<DeviceRank>(world, work);
  return std::make_unique<DeviceRanks>(world.devices(), world.size(), work);
}

} // namespace ringc::cli
