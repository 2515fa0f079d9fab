#include "ringc/comm/DeviceMailroom.h"

#include <algorithm>
#include <cstring>
#include <exception>

namespace ringc {

DeviceMailroom::DeviceMailroom(std::vector<std::shared_ptr<const CudaDevice>> ofRanks,
                               const InProcessDevicesOptions &options)
    : Rendezvous(int(ofRanks.size()), options.deadline), devices(std::move(ofRanks)),
      callers(options.callers) {
  for (const auto &device : devices)
    lines.try_emplace(device.get(), device);
  for (const auto &a : devices)
    for (const auto &b : devices)
      if (a != b && a->reach(*b))
        reaching.insert({a.get(), b.get()});
}

void DeviceMailroom::post(const std::shared_ptr<Posted> &exchange,
                          std::span<const DeviceMessage> ends) {
  try {
    std::lock_guard lock(mutex);
    requireNoFailure(exchange->rank, exchange->hop, exchange->channel);
    for (const DeviceMessage &end : ends)
      meet({exchange, end});
  } catch (const std::exception &error) { // a peer's end may be lost
    fail(exchange->rank, error.what());
    throw;
  }
}

void DeviceMailroom::meet(End mine) {
  int rank = mine.exchange->rank, peer = mine.message.peer;
  bool sends = mine.message.direction == DeviceMessage::Direction::Send;
  Lane &lane = sends ? lanes[{rank, peer}] : lanes[{peer, rank}];
  std::deque<End> &others = sends ? lane.receives : lane.sends;
  if (others.empty()) {
    mine.exchange->open.push_back(peer);
    (sends ? lane.sends : lane.receives).push_back(std::move(mine));
    return;
  }
  End other = std::move(others.front());
  others.pop_front();
  requireFit(mine, other);
  move(sends ? mine : other, sends ? other : mine);
  std::vector<int> &open = other.exchange->open;
  open.erase(std::ranges::find(open, rank));
  wake(peer);
}

void DeviceMailroom::requireFit(const End &mine, const End &other) {
  const Posted &a = *mine.exchange, &b = *other.exchange;
  const DeviceMessage &here = mine.message, &there = other.message;
  if (here.kind != there.kind || a.hop != b.hop || a.channel != b.channel ||
      here.count != there.count)
    throw PeerError(a.rank, b.rank, a.hop, a.channel,
                    "the plans differ: " + describe(mine) + " here, " + describe(other) + " there");
  if (here.kind == DeviceMessage::Kind::Compared &&
      std::memcmp(here.bytes, there.bytes, size_t(here.count)) != 0)
    throw PeerError(a.rank, b.rank, a.hop, a.channel, announcedOtherwise);
}

std::string DeviceMailroom::describe(const End &end) {
  auto what = [&] {
    switch (end.message.kind) {
    case DeviceMessage::Kind::Copied:
      return "";
    case DeviceMessage::Kind::Told:
      return "the host's ";
    case DeviceMessage::Kind::Compared:
      return "announced ";
    }
    return "";
  };
  return std::to_string(end.message.count) + " bytes of " + what() +
         std::string(nameOf(end.exchange->channel)) + " at hop " +
         std::to_string(end.exchange->hop);
}

void DeviceMailroom::move(const End &from, const End &to) {
  switch (from.message.kind) {
  case DeviceMessage::Kind::Copied:
    copy(from, to);
    break;
  case DeviceMessage::Kind::Told:
    if (from.message.count > 0)
      std::memcpy(to.message.bytes, from.message.bytes, size_t(from.message.count));
    break;
  case DeviceMessage::Kind::Compared:
    break;
  }
}

void DeviceMailroom::copy(const End &from, const End &to) {
  const CudaDevice &source = *devices[size_t(from.exchange->rank)],
                   &target = *devices[size_t(to.exchange->rank)];
  CopyLine &line = lineOf(from.exchange->rank);
  Event over = line.events.take();
  from.exchange->over.push_back(over);
  to.exchange->over.push_back(over);
  line.stream.wait(*from.exchange->from);
  line.stream.wait(*to.exchange->from);
  // A graph takes copies that need no other device's context. But memory of a stream's order, which
  // modules send, is not among what devices reach.
  bool plain =
      &source == &target || (callers == Callers::One && reaching.contains({&source, &target}));
  if (plain)
    line.stream.copy(to.message.bytes, from.message.bytes, from.message.count);
  else
    line.stream.copyTo(target, to.message.bytes, from.message.bytes, from.message.count);
  over->record(line.stream);
}

void DeviceMailroom::await(const Posted &exchange) {
  std::unique_lock lock(mutex);
  auto isMet = [&] { return exchange.open.empty(); };
  auto late = [&] { return Awaited{exchange.open.front(), exchange.hop, exchange.channel}; };
  if (callers == Callers::EachRank)
    return Rendezvous::await(exchange.rank, lock, isMet, late);
  if (isMet())
    return;
  requireNoFailure(exchange.rank, exchange.hop, exchange.channel);
  throw PeerError(exchange.rank, late().peer, exchange.hop, exchange.channel,
                  "the other end of a message is not posted: the ranks of a thread take turns");
}

void DeviceMailroom::withdraw(const Posted &exchange) noexcept {
  std::lock_guard lock(mutex);
  if (exchange.open.empty())
    return;
  auto isOf = [&](const End &end) { return end.exchange.get() == &exchange; };
  for (auto &[ranks, lane] : lanes) {
    std::erase_if(lane.sends, isOf);
    std::erase_if(lane.receives, isOf);
  }
}

} // namespace ringc
