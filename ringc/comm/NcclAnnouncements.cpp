#include "ringc/comm/NcclAnnouncements.h"

#include "ringc/comm/NcclLink.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

namespace ringc {

namespace {

/// Calls that may be under way at once, and calls that are captured in graphs; those beyond either
/// are announced, but not compared.
constexpr size_t calls = 192, captures = 256;
/// Records lie so far apart.
constexpr size_t room = 64;

} // namespace

/// The join of the streams, at the end of the call: what has come goes to the host on the stream of
/// the messages, behind the call's last one.
class NcclAnnouncements::Announced final : public Transfer {
public:
  Announced(NcclAnnouncements &all, std::shared_ptr<NcclLink::Posted> posted, size_t slot,
            size_t count)
      : of(all), exchange(std::move(posted)), at(slot), peers(count) {}

  void wait() override {
    of.link->bringHome(*exchange, of.heard(at, 0).data(), of.heardOnDevice(at, 0).data(),
                       int64_t(peers * room));
    of.link->join(*exchange);
  }

private:
  NcclAnnouncements &of;
  std::shared_ptr<NcclLink::Posted> exchange;
  size_t at, peers;
};

NcclAnnouncements::NcclAnnouncements(std::shared_ptr<NcclLink> ownLink) : link(std::move(ownLink)) {
  peers = size_t(link->world()) - 1;
  if (peers == 0)
    return;
  size_t bytes = (calls + captures + 1) * peers * room;
  device = DeviceMemory(link->device, int64_t(bytes));
  host = PinnedMemory(link->device, int64_t(bytes));
  std::memset(host.data(), 0, bytes);
  slots.resize(calls + captures + 1);
}

NcclAnnouncements::~NcclAnnouncements() { link->finish(); }

std::span<std::byte> NcclAnnouncements::heardOnDevice(size_t slot, size_t peer) {
  return {static_cast<std::byte *>(device.data()) + (slot * peers + peer) * room, recordBytes};
}
std::span<std::byte> NcclAnnouncements::heard(size_t slot, size_t peer) {
  return {static_cast<std::byte *>(host.data()) + (slot * peers + peer) * room, recordBytes};
}

/// The last one is for those that are not compared.
size_t NcclAnnouncements::takeSlot(bool capturing) {
  size_t blind = slots.size() - 1;
  if (capturing)
    return nextCaptured < captures ? calls + nextCaptured++ : blind;
  size_t slot = next;
  if (!slots[slot].expected.empty() && !compare(slot))
    return blind;
  next = (next + 1) % calls;
  return slot;
}

std::unique_ptr<Transfer> NcclAnnouncements::announce(std::span<const int> ranks,
                                                      std::span<const std::byte> own,
                                                      const void *onDevice) {
  recordBytes = own.size();
  size_t slot = takeSlot(link->isCapturing());
  std::vector<int> others;
  std::ranges::copy_if(ranks, std::back_inserter(others),
                       [&](int rank) { return rank != link->rank(); });
  Exchange exchange{.hop = 0, .channel = Channel::Plans, .sends = {}, .receives = {}};
  auto *from = static_cast<const std::byte *>(onDevice);
  for (size_t i = 0; i < others.size(); ++i) {
    exchange.sends.push_back({others[i], {from, own.size()}});
    exchange.receives.push_back({others[i], heardOnDevice(slot, i)});
    std::ranges::fill(heard(slot, i), std::byte{});
  }
  auto announced = std::make_unique<Announced>(*this, link->post(exchange), slot, others.size());
  if (slot + 1 < slots.size())
    slots[slot] = {std::move(others), {own.begin(), own.end()}, slot >= calls};
  return announced;
}

bool NcclAnnouncements::compare(size_t slot) {
  Slot &what = slots[slot];
  std::atomic_thread_fence(std::memory_order_acquire); // the device writes what is read
  bool all = true;
  for (size_t i = 0; i < what.peers.size() && !what.expected.empty(); ++i) {
    std::span<std::byte> said = heard(slot, i);
    if (said[0] == std::byte{})
      all = false;
    else if (!std::ranges::equal(said, what.expected)) {
      link->failAt(what.peers[i], announcedOtherwise);
      all = true;
      break;
    }
  }
  if (all && !what.captured)
    what.expected.clear();
  return all;
}

void NcclAnnouncements::compare() {
  for (size_t slot = 0; slot < slots.size(); ++slot)
    if (!slots[slot].expected.empty())
      (void)compare(slot);
}

} // namespace ringc
