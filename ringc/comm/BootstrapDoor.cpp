#include "ringc/comm/BootstrapDoor.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <poll.h>
#include <vector>

namespace ringc {

using namespace bootstrap;

namespace {

/// What one who says nothing, or not enough, may stay. Nobody waits for him meanwhile.
constexpr std::chrono::seconds silence(5);
/// Guests beyond the ranks; the one who has stayed longest makes room for the next.
constexpr size_t strangers = 64;

std::string listOf(const std::set<int> &ranks) {
  std::string text;
  for (int rank : ranks)
    text += (text.empty() ? "" : ", ") + std::to_string(rank);
  return text;
}

} // namespace

/// One connection. What it is to say next lies in `heard`, what it is told in `toSay`.
struct BootstrapDoor::Guest {
  Socket socket;
  Clock::time_point until;
  Welcome welcome;
  std::vector<std::byte> heard, toSay;
  std::optional<uint32_t> rank; ///< that has been given the id
  bool refused = false, over = false;
};

BootstrapDoor::BootstrapDoor(Socket listening, const ProcessRank &ofThis, const NcclUniqueId &given)
    : door(std::move(listening)), process(ofThis), id(given) {
  for (int rank = 1; rank < process.world; ++rank)
    absent.insert(rank);
}

BootstrapDoor::~BootstrapDoor() = default;

void BootstrapDoor::serve(Clock::time_point end) {
  while (!absent.empty()) {
    Clock::time_point now = Clock::now();
    if (now >= end)
      throw NcclError("rank 0 at " + process.masterAddress + ":" +
                      std::to_string(process.masterPort) + ": these ranks of " +
                      std::to_string(process.world) + " did not come in time: " + listOf(absent) +
                      (refused.empty() ? "" : "; refused: " + refused));
    std::erase_if(guests, [&](const Guest &guest) { return guest.over || guest.until <= now; });
    bool open = now >= closedUntil;
    Clock::time_point next = open ? end : std::min(end, closedUntil);
    std::vector<pollfd> asked = {{.fd = open ? door.handle() : -1, .events = POLLIN, .revents = 0}};
    for (const Guest &guest : guests) {
      next = std::min(next, guest.until);
      asked.push_back({.fd = guest.socket.handle(),
                       .events = short(guest.toSay.empty() ? POLLIN : POLLIN | POLLOUT),
                       .revents = 0});
    }
    auto left = std::chrono::ceil<std::chrono::milliseconds>(next - now);
    if (poll(asked.data(), asked.size(), int(std::clamp<int64_t>(left.count(), 1, 1000))) < 0)
      continue; // a signal
    auto ready = asked.begin() + 1;
    for (Guest &guest : guests)
      if ((ready++)->revents != 0)
        hear(guest);
    if (asked[0].revents != 0)
      letIn(end);
  }
}

void BootstrapDoor::letIn(Clock::time_point end) {
  for (;;) {
    Socket::Guest came = door.accept();
    if (!came.socket) {
      if (came.error == EAGAIN)
        return;
      // No more descriptors, or memory: the door would stay ready, and nobody could come in.
      refused = std::string("a guest, for the system lets none in: ") + std::strerror(came.error);
      closedUntil = Clock::now() + std::chrono::milliseconds(100);
      makeRoom();
      return;
    }
    if (guests.size() >= size_t(process.world) + strangers)
      makeRoom();
    Guest &guest = guests.emplace_back(
        Guest{.socket = std::move(*came.socket), .until = std::min(end, Clock::now() + silence)});
    guest.welcome = {.world = uint32_t(process.world), .job = process.job, .nonce = newNonce()};
    guest.toSay = guest.welcome.wire();
    hear(guest);
  }
}

/// The one who has been here longest without being a rank.
void BootstrapDoor::makeRoom() {
  auto oldest = std::ranges::find_if(guests, [](const Guest &guest) { return !guest.rank; });
  if (oldest != guests.end())
    guests.erase(oldest);
}

void BootstrapDoor::hear(Guest &guest) {
  auto speak = [&] {
    std::optional<size_t> said = guest.socket.sendSome(guest.toSay);
    if (!said)
      return false;
    guest.toSay.erase(guest.toSay.begin(), guest.toSay.begin() + std::ptrdiff_t(*said));
    return true;
  };
  if (guest.over || (!guest.toSay.empty() && !speak())) {
    guest.over = true;
    return;
  }
  std::array<std::byte, 512> piece{};
  for (;;) {
    std::optional<size_t> came = guest.socket.receiveSome(piece);
    if (!came) { // leaves; one who has not confirmed may come again
      guest.over = true;
      return;
    }
    if (*came == 0)
      break;
    guest.heard.insert(guest.heard.end(), piece.begin(), piece.begin() + std::ptrdiff_t(*came));
    size_t expected = guest.rank ? Receipt::bytes : guest.refused ? 0 : Greeting::bytes;
    if (guest.heard.size() < expected)
      continue;
    if (guest.heard.size() > expected) { // nobody says more than he is asked
      guest.over = true;
      return;
    }
    std::vector<std::byte> heard = std::exchange(guest.heard, {});
    if (guest.rank) {
      if (Receipt::isOne(heard))
        absent.erase(int(*guest.rank));
      guest.over = true;
      return;
    }
    std::optional<Greeting> greeting = Greeting::read(heard);
    if (!greeting) {
      guest.over = true;
      return;
    }
    answer(guest, *greeting);
    if (!speak())
      guest.over = true;
  }
}

void BootstrapDoor::answer(Guest &guest, const Greeting &greeting) {
  Answer said{.verdict = judge(guest, greeting)};
  if (said.verdict == Verdict::Welcome) {
    said.id = id;
    said.proof = proofOfHost(process.token, guest.welcome, greeting, id);
    guest.rank = greeting.rank;
  } else {
    guest.refused = true;
    refused = "one that says it is rank " + std::to_string(greeting.rank) + " of " +
              std::to_string(greeting.world) + " (" +
              reasonOf(said.verdict, guest.welcome, greeting) + ")";
  }
  std::vector<std::byte> wire = said.wire();
  guest.toSay.insert(guest.toSay.end(), wire.begin(), wire.end());
}

Verdict BootstrapDoor::judge(const Guest &guest, const Greeting &greeting) const {
  if (greeting.version != bootstrap::version)
    return Verdict::OtherVersion;
  // First of all whether it belongs here: strangers cannot ask which ranks are there.
  if (!same(greeting.proof, proofOfRank(process.token, guest.welcome, greeting)))
    return Verdict::OtherToken;
  if (greeting.world != uint32_t(process.world))
    return Verdict::OtherWorld;
  if (greeting.job != guest.welcome.job.substr(0, jobBytes))
    return Verdict::OtherJob;
  if (greeting.rank == 0 || greeting.rank >= uint32_t(process.world))
    return Verdict::NoSuchRank;
  return isBusy(greeting.rank) || !absent.contains(int(greeting.rank)) ? Verdict::Taken
                                                                       : Verdict::Welcome;
}

bool BootstrapDoor::isBusy(uint32_t rank) const {
  return std::ranges::any_of(guests,
                             [&](const Guest &guest) { return guest.rank == rank && !guest.over; });
}

} // namespace ringc
