#include "ringc/comm/InProcessDevices.h"

#include "ringc/driver/CudaEventPool.h"

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace ringc {

namespace {

using Event = std::shared_ptr<const CudaEvent>;

/// The exchange of one rank: what has begun to move of it.
struct Posted {
  int rank = 0, hop = 0;
  Channel channel = Channel::Keys;
  Event from;              ///< in the followed stream: memory may be read and written after it
  std::vector<Event> over; ///< one for each copy
  int open = 0;            ///< parts whose other end is not posted
};

/// One end of a message that waits for the other.
struct Message {
  std::shared_ptr<Posted> exchange;
  int peer = 0;
  void *bytes = nullptr;
  int64_t count = 0;
};

struct Lane {
  std::deque<Message> sends, receives;
};

/// Where a device's copies run.
struct CopyLine {
  explicit CopyLine(const std::shared_ptr<const CudaDevice> &device)
      : stream(device, CudaStream::Priority::Highest), events(device) {}

  CudaStream stream;
  CudaEventPool events;
};

} // namespace

/// What the ranks share.
struct DeviceMailroom {
  explicit DeviceMailroom(std::vector<std::shared_ptr<const CudaDevice>> ofRanks)
      : devices(std::move(ofRanks)) {
    for (const auto &device : devices)
      lines.try_emplace(device.get(), device);
    for (const auto &a : devices)
      for (const auto &b : devices)
        if (a != b && a->reach(*b))
          reaching.insert({a.get(), b.get()});
  }

  CopyLine &lineOf(int rank) { return lines.at(devices[size_t(rank)].get()); }

  void meet(bool sends, Message mine) {
    int rank = mine.exchange->rank, peer = mine.peer;
    Lane &lane = sends ? lanes[{rank, peer}] : lanes[{peer, rank}];
    std::deque<Message> &others = sends ? lane.receives : lane.sends;
    ++mine.exchange->open;
    if (others.empty()) {
      (sends ? lane.sends : lane.receives).push_back(std::move(mine));
      return;
    }
    Message other = std::move(others.front());
    others.pop_front();
    compare(mine, other);
    copy(sends ? mine : other, sends ? other : mine);
    --mine.exchange->open;
    --other.exchange->open;
  }

  const std::vector<std::shared_ptr<const CudaDevice>> devices; ///< by rank
  std::optional<std::string> failure;

private:
  void compare(const Message &mine, const Message &other) {
    const Posted &a = *mine.exchange, &b = *other.exchange;
    if (a.hop == b.hop && a.channel == b.channel && mine.count == other.count)
      return;
    PeerError error(a.rank, b.rank, a.hop, a.channel,
                    "the plans differ: " + describe(mine) + " here, " + describe(other) + " there");
    failure = error.what();
    throw error;
  }

  static std::string describe(const Message &message) {
    return std::to_string(message.count) + " bytes of " +
           std::string(nameOf(message.exchange->channel)) + " at hop " +
           std::to_string(message.exchange->hop);
  }

  void copy(const Message &from, const Message &to) {
    const CudaDevice &source = *devices[size_t(from.exchange->rank)],
                     &target = *devices[size_t(to.exchange->rank)];
    CopyLine &line = lineOf(from.exchange->rank);
    line.stream.wait(*from.exchange->from);
    line.stream.wait(*to.exchange->from);
    if (&source == &target || reaching.contains({&source, &target}))
      line.stream.copy(to.bytes, from.bytes, to.count);
    else
      line.stream.copyTo(target, to.bytes, from.bytes, to.count);
    Event over = line.events.record(line.stream);
    from.exchange->over.push_back(over);
    to.exchange->over.push_back(over);
  }

  std::map<const CudaDevice *, CopyLine> lines;
  std::set<std::pair<const CudaDevice *, const CudaDevice *>> reaching; ///< from, to
  std::map<std::pair<int, int>, Lane> lanes;                            ///< from, to
};

namespace {

struct Counters {
  int64_t sent = 0, received = 0;
};

class DeviceTransfer final : public Transfer {
public:
  DeviceTransfer(std::shared_ptr<Posted> posted, const CudaStream &follower)
      : exchange(std::move(posted)), stream(follower) {}

  void wait() override {
    if (exchange->open > 0)
      throw PeerError(exchange->rank, exchange->rank, exchange->hop, exchange->channel,
                      "the other end of a message is not posted: the ranks of a thread take turns");
    for (const Event &over : exchange->over)
      stream.wait(*over);
    exchange->over.clear();
  }

private:
  std::shared_ptr<Posted> exchange;
  const CudaStream &stream;
};

class DeviceCopies final : public StreamTransport {
public:
  DeviceCopies(std::shared_ptr<DeviceMailroom> mailroom, int self)
      : room(std::move(mailroom)), ownRank(self) {}

  int rank() const override { return ownRank; }
  int world() const override { return int(room->devices.size()); }
  const std::shared_ptr<const CudaDevice> &device() const override {
    return room->devices[size_t(ownRank)];
  }
  void follow(const CudaStream &stream) override { followed = &stream; }

  std::unique_ptr<Transfer> post(const Exchange &exchange) override {
    if (room->failure)
      throw PeerError(ownRank, ownRank, exchange.hop, exchange.channel, *room->failure);
    auto posted = std::make_shared<Posted>();
    posted->rank = ownRank;
    posted->hop = exchange.hop;
    posted->channel = exchange.channel;
    posted->from = room->lineOf(ownRank).events.record(*followed);
    for (const ReceivePart &part : exchange.receives) {
      room->meet(false, {posted, part.peer, part.bytes.data(), int64_t(part.bytes.size())});
      counts.received += int64_t(part.bytes.size());
    }
    for (const SendPart &part : exchange.sends) {
      room->meet(true, {posted, part.peer, const_cast<std::byte *>(part.bytes.data()),
                        int64_t(part.bytes.size())});
      counts.sent += int64_t(part.bytes.size());
    }
    return std::make_unique<DeviceTransfer>(std::move(posted), *followed);
  }

  void abort(std::string_view reason) noexcept override {
    if (room->failure)
      return;
    try {
      room->failure = "rank " + std::to_string(ownRank) + " failed: " + std::string(reason);
    } catch (...) {
      room->failure.emplace();
    }
  }

  int64_t sentBytes() const override { return counts.sent; }
  int64_t receivedBytes() const override { return counts.received; }

private:
  std::shared_ptr<DeviceMailroom> room;
  int ownRank;
  const CudaStream *followed = nullptr;
  Counters counts;
};

} // namespace

InProcessDevices::InProcessDevices(std::vector<std::shared_ptr<const CudaDevice>> ofRanks)
    : room(std::make_shared<DeviceMailroom>(std::move(ofRanks))) {
  for (size_t rank = 0; rank < room->devices.size(); ++rank)
    ranks.push_back(std::make_unique<DeviceCopies>(room, int(rank)));
}

} // namespace ringc
