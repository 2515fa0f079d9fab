#include "ringc/comm/InProcessDevices.h"

#include "ringc/comm/DeviceMailroom.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <cassert>
#include <exception>
#include <span>
#include <string>
#include <utility>

namespace ringc {

namespace {

using Direction = DeviceMessage::Direction;
using Kind = DeviceMessage::Kind;
using Posted = DeviceMailroom::Posted;

struct Counters {
  int64_t sent = 0, received = 0;
};

class DeviceTransfer final : public Transfer {
public:
  DeviceTransfer(std::shared_ptr<DeviceMailroom> mailroom, std::shared_ptr<Counters> counters,
                 const CudaStream *followed, Posted posted)
      : room(std::move(mailroom)), counts(std::move(counters)), stream(followed),
        exchange(std::make_shared<Posted>(std::move(posted))) {}

  void post(std::span<const DeviceMessage> ends) {
    for (const DeviceMessage &end : ends)
      (end.direction == Direction::Send ? bytes.sent : bytes.received) += end.count;
    room->post(exchange, ends);
  }

  void wait() override {
    room->await(*exchange);
    for (const auto &over : exchange->over)
      stream->wait(*over);
    exchange->over.clear();
    counts->sent += std::exchange(bytes.sent, 0);
    counts->received += std::exchange(bytes.received, 0);
  }

  /// Copies that have begun wait for nobody's post, so they end by themselves. Those that a graph
  /// captures have not begun, and are not to be waited for.
  ~DeviceTransfer() override {
    room->withdraw(*exchange);
    for (const auto &over : exchange->over)
      try {
        over->synchronize();
      } catch (const std::exception &) { // CudaError: nothing runs on the device any more
        continue;
      }
  }

private:
  std::shared_ptr<DeviceMailroom> room;
  std::shared_ptr<Counters> counts;
  const CudaStream *stream;
  std::shared_ptr<Posted> exchange;
  Counters bytes; ///< not yet counted
};

class DeviceCopies final : public RemoteTransport {
public:
  DeviceCopies(std::shared_ptr<DeviceMailroom> mailroom, int self)
      : room(std::move(mailroom)), counts(std::make_shared<Counters>()), ownRank(self) {}

  int rank() const override { return ownRank; }
  int world() const override { return room->world(); }
  const std::shared_ptr<const CudaDevice> &device() const override {
    return room->devices[size_t(ownRank)];
  }
  void follow(const CudaStream &stream) override { followed = &stream; }

  std::unique_ptr<Transfer> post(const Exchange &exchange) override {
    requireNoCapture();
    std::vector<DeviceMessage> ends;
    for (const ReceivePart &part : exchange.receives)
      ends.push_back(endOf(Direction::Receive, part.peer, part.bytes, Kind::Copied));
    for (const SendPart &part : exchange.sends)
      ends.push_back(endOf(Direction::Send, part.peer, part.bytes, Kind::Copied));
    return start({.rank = ownRank,
                  .hop = exchange.hop,
                  .channel = exchange.channel,
                  .from = room->record(ownRank, *followed),
                  .own = {}},
                 ends);
  }

  std::vector<std::vector<std::byte>> gather(std::span<const int> ranks,
                                             std::span<const std::byte> own) override {
    std::vector<std::vector<std::byte>> all(ranks.size());
    std::vector<DeviceMessage> ends;
    for (size_t place = 0; place < ranks.size(); ++place) {
      all[place].assign(own.begin(), own.end());
      if (ranks[place] == ownRank)
        continue;
      ends.push_back(endOf(Direction::Receive, ranks[place], all[place], Kind::Told));
      ends.push_back(endOf(Direction::Send, ranks[place], own, Kind::Told));
    }
    assert(ends.size() + 2 == 2 * ranks.size() && "gathers with ranks of which it is none");
    start(plans(), ends)->wait();
    return all;
  }

  std::unique_ptr<Transfer> announce(std::span<const int> ranks, std::span<const std::byte> own,
                                     const void *) override {
    requireNoCapture();
    Posted posted = plans();
    posted.own.assign(own.begin(), own.end());
    std::vector<DeviceMessage> ends;
    for (int peer : ranks)
      if (peer != ownRank) // once for both
        ends.push_back(endOf(ownRank < peer ? Direction::Send : Direction::Receive, peer,
                             posted.own, Kind::Compared));
    return start(std::move(posted), ends);
  }

  void check() const override {
    std::lock_guard lock(room->mutex);
    room->requireNoFailure(ownRank, 0, Channel::Plans);
  }

  void wait(const CudaStream &stream) override {
    check();
    stream.synchronize();
    check();
  }

  void abort(std::string_view reason) noexcept override { room->fail(ownRank, reason); }

  int64_t sentBytes() const override { return counts->sent; }
  int64_t receivedBytes() const override { return counts->received; }

private:
  static DeviceMessage endOf(Direction direction, int peer, std::span<const std::byte> bytes,
                             Kind kind) {
    return {peer, direction, const_cast<std::byte *>(bytes.data()), int64_t(bytes.size()), kind};
  }

  /// An exchange between memory of the host.
  Posted plans() const {
    return {.rank = ownRank, .hop = 0, .channel = Channel::Plans, .from = {}, .own = {}};
  }

  std::unique_ptr<Transfer> start(Posted posted, std::span<const DeviceMessage> ends) {
    auto transfer = std::make_unique<DeviceTransfer>(room, counts, followed, std::move(posted));
    transfer->post(ends);
    return transfer;
  }

  /// Each rank's graph would be one of its own, and wait for copies of another's.
  void requireNoCapture() const {
    if (room->callers == DeviceMailroom::Callers::EachRank && followed->isCapturing())
      throw InputError("stream", "one that is captured",
                       "one that runs, for ranks that are threads of a process: one thread "
                       "captures all of them (DeviceAttentionRing, DeviceDecodeRing)");
  }

  std::shared_ptr<DeviceMailroom> room;
  std::shared_ptr<Counters> counts;
  int ownRank;
  const CudaStream *followed = nullptr;
};

} // namespace

InProcessDevices::InProcessDevices(std::vector<std::shared_ptr<const CudaDevice>> ofRanks,
                                   const InProcessDevicesOptions &options)
    : room(std::make_shared<DeviceMailroom>(std::move(ofRanks), options)) {
  for (int rank = 0; rank < room->world(); ++rank)
    ranks.push_back(std::make_unique<DeviceCopies>(room, rank));
}

std::optional<int> InProcessDevices::firstToFail() const { return room->firstToFail(); }

void runRanks(InProcessDevices &world, const std::function<void(int rank)> &body) {
  runRanks(*world.room, body);
}

} // namespace ringc
