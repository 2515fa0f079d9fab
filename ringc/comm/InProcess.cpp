#include "ringc/comm/InProcess.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

namespace ringc {

namespace {

struct Message {
  enum class Kind { Send, Receive, BorrowToRead, Loan, BorrowToAdd };
  enum class State { Posted, Copying, Lent, Done };

  Kind kind;
  int hop;
  Channel channel;
  int peer;
  std::byte *memory = nullptr; ///< of a send only read; of a borrow, once it is lent, the lender's
  size_t bytes = 0;
  State state = State::Posted;
  Message *lender = nullptr; ///< of a borrow that is lent

  bool borrows() const { return kind == Kind::BorrowToRead || kind == Kind::BorrowToAdd; }
  bool adds() const { return kind == Kind::Loan || kind == Kind::BorrowToAdd; }
  /// Whether the bytes go from this rank to the peer.
  bool sends() const { return kind == Kind::Send || kind == Kind::BorrowToAdd; }
  /// Whether `other`, at the other end of the lane, does with the bytes what this one expects.
  bool fits(const Message &other) const {
    return adds() == other.adds() && hop == other.hop && channel == other.channel &&
           bytes == other.bytes;
  }
};

/// Messages from one rank to another that wait for their other end, in their order; few, and only
/// one side can be non-empty.
struct Lane {
  std::vector<Message *> sends, receives;
};

} // namespace

/// What the ranks share.
struct InProcessMailroom : Rendezvous {
  InProcessMailroom(int ranks, InProcessOptions given)
      : Rendezvous(ranks, given.deadline), options(std::move(given)) {}

  /// Under the mutex.
  Lane &lane(int from, int to) { return lanes[int64_t(from) * world() + to]; }

  const InProcessOptions options;

private:
  std::unordered_map<int64_t, Lane> lanes; ///< of those who have met, of the N * N pairs
};

namespace {

using Mailroom = InProcessMailroom;

struct Counters {
  int64_t sent = 0, received = 0;
};

class InProcessTransfer final : public Transfer {
public:
  InProcessTransfer(std::shared_ptr<Mailroom> mailroom, std::shared_ptr<Counters> counters,
                    int rank, const Exchange &exchange)
      : room(std::move(mailroom)), counts(std::move(counters)), self(rank) {
    using Kind = Message::Kind;
    auto add = [&](Kind kind, int peer, const std::byte *memory, size_t bytes) {
      parts.push_back({.kind = kind,
                       .hop = exchange.hop,
                       .channel = exchange.channel,
                       .peer = peer,
                       .memory = const_cast<std::byte *>(memory),
                       .bytes = bytes});
    };
    for (const ReceivePart &part : exchange.receives)
      add(Kind::Receive, part.peer, part.bytes.data(), part.bytes.size());
    for (const LoanPart &part : exchange.loans)
      add(Kind::Loan, part.peer, part.bytes.data(), part.bytes.size());
    for (const BorrowPart &part : exchange.borrows)
      add(part.use == BorrowPart::Use::Read ? Kind::BorrowToRead : Kind::BorrowToAdd, part.peer,
          nullptr, part.bytes);
    for (const SendPart &part : exchange.sends)
      add(Kind::Send, part.peer, part.bytes.data(), part.bytes.size());
  }

  /// Addresses of parts are shared from here on.
  void post() {
    for (Message &part : parts)
      meet(part);
  }

  ~InProcessTransfer() override {
    std::unique_lock lock(room->mutex);
    giveBack(lock);
    for (Message &part : parts) {
      if (part.state == Message::State::Posted) {
        std::erase(queueOf(part), &part);
        part.state = Message::State::Done;
      }
    }
    room->waitUntil(self, lock, [&] { return std::ranges::all_of(parts, isDone); });
  }

  std::vector<std::span<std::byte>> borrowed() override {
    std::unique_lock lock(room->mutex);
    waitFor(lock, [](const Message &part) {
      return !part.borrows() || part.state != Message::State::Posted;
    });
    std::vector<std::span<std::byte>> lie;
    for (const Message &part : parts)
      if (part.borrows())
        lie.emplace_back(part.memory, part.bytes);
    return lie;
  }

  void giveBack() override {
    std::unique_lock lock(room->mutex);
    giveBack(lock);
  }

  void wait() override {
    std::unique_lock lock(room->mutex);
    giveBack(lock);
    waitFor(lock, isDone);
    for (const Message &part : parts)
      (part.sends() ? counts->sent : counts->received) += int64_t(part.bytes);
    parts.clear();
  }

private:
  static bool isDone(const Message &part) { return part.state == Message::State::Done; }

  template <typename Over> void waitFor(std::unique_lock<std::mutex> &lock, Over over) {
    room->await(
        self, lock, [&] { return std::ranges::all_of(parts, over); },
        [&] {
          const Message &late = *std::ranges::find_if_not(parts, over);
          return Awaited{late.peer, late.hop, late.channel};
        });
  }

  void giveBack(const std::unique_lock<std::mutex> &) {
    for (Message &part : parts)
      if (part.lender) {
        part.lender->state = part.state = Message::State::Done;
        part.lender = nullptr;
        room->wake(part.peer);
      }
  }

  std::vector<Message *> &queueOf(const Message &part) {
    return part.sends() ? room->lane(self, part.peer).sends : room->lane(part.peer, self).receives;
  }

  /// Joins the queue, or, where the other end waits already, copies.
  void meet(Message &mine) {
    std::unique_lock lock(room->mutex);
    bool sending = mine.sends();
    Lane &lane = sending ? room->lane(self, mine.peer) : room->lane(mine.peer, self);
    std::vector<Message *> &others = sending ? lane.receives : lane.sends;
    if (others.empty() || room->hasFailed()) {
      queueOf(mine).push_back(&mine);
      return;
    }
    Message &other = *others.front();
    if (!mine.fits(other)) {
      PeerError error(self, mine.peer, mine.hop, mine.channel,
                      "the plans differ: " + describe(mine) + " here, " + describe(other) +
                          " there");
      lock.unlock();
      room->fail(self, error.what());
      // The parts posted so far are withdrawn as the transfer is destroyed; this one never joined.
      mine.state = Message::State::Done;
      throw error;
    }
    others.erase(others.begin());
    if (mine.borrows() || other.borrows()) {
      auto [borrow, lender] = mine.borrows() ? std::pair(&mine, &other) : std::pair(&other, &mine);
      mine.state = other.state = Message::State::Lent;
      borrow->memory = lender->memory;
      borrow->lender = lender;
    } else {
      auto [from, to] = sending ? std::pair(&mine, &other) : std::pair(&other, &mine);
      mine.state = other.state = Message::State::Copying;
      lock.unlock();
      if (mine.bytes)
        std::memcpy(to->memory, from->memory, mine.bytes);
      lock.lock();
      mine.state = other.state = Message::State::Done;
    }
    room->wake(mine.peer);
  }

  static std::string describe(const Message &message) {
    return std::to_string(message.bytes) +
           (message.adds() ? " bytes to add to, of " : " bytes of ") +
           std::string(nameOf(message.channel)) + " at hop " + std::to_string(message.hop);
  }

  std::shared_ptr<Mailroom> room;
  std::shared_ptr<Counters> counts;
  int self;
  std::vector<Message> parts;
};

class InProcessTransport final : public Transport {
public:
  InProcessTransport(std::shared_ptr<Mailroom> mailroom, int self)
      : room(std::move(mailroom)), counts(std::make_shared<Counters>()), ownRank(self) {}

  int rank() const override { return ownRank; }
  int world() const override { return room->world(); }
  /// The ranks that copy share their processors with the kernels.
  bool movesBesideKernels() const override { return false; }
  bool lends() const override { return room->options.lends; }
  bool comparesCalls() const override { return !room->options.oneCaller; }

  std::unique_ptr<Transfer> post(const Exchange &exchange) override {
    if (room->options.beforePost)
      room->options.beforePost(ownRank, exchange);
    auto transfer = std::make_unique<InProcessTransfer>(room, counts, ownRank, exchange);
    transfer->post();
    return transfer;
  }

  void abort(std::string_view reason) noexcept override { room->fail(ownRank, reason); }

  int64_t sentBytes() const override { return counts->sent; }
  int64_t receivedBytes() const override { return counts->received; }

private:
  std::shared_ptr<Mailroom> room;
  std::shared_ptr<Counters> counts;
  int ownRank;
};

} // namespace

InProcessWorld::InProcessWorld(int world, InProcessOptions options)
    : room(std::make_shared<InProcessMailroom>(world, std::move(options))) {
  for (int rank = 0; rank < world; ++rank)
    ranks.push_back(std::make_unique<InProcessTransport>(room, rank));
}

InProcessWorld::~InProcessWorld() = default;
InProcessWorld::InProcessWorld(InProcessWorld &&) noexcept = default;
InProcessWorld &InProcessWorld::operator=(InProcessWorld &&) noexcept = default;

std::optional<int> InProcessWorld::firstToFail() const { return room->firstToFail(); }

void runRanks(InProcessWorld &world, const std::function<void(int rank)> &body) {
  runRanks(*world.room, body);
}

} // namespace ringc
