#include "ringc/comm/InProcess.h"

#include "ringc/support/Error.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
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
struct InProcessMailroom {
  InProcessMailroom(int ranks, InProcessOptions given)
      : world(ranks), options(std::move(given)), waiting(size_t(ranks)),
        arrived(std::make_unique<std::condition_variable[]>(ranks)) {
    for (auto &ofRank : waiting)
      ofRank.reserve(2); // a transfer's destructor waits, too, and must not ask for memory
  }

  /// Under the mutex.
  Lane &lane(int from, int to) { return lanes[int64_t(from) * world + to]; }

  void fail(int rank, std::string_view reason) noexcept {
    std::lock_guard lock(mutex);
    if (failedRank < 0) {
      failedRank = rank;
      try {
        failure = reason;
      } catch (...) {
        failure.clear();
      }
    }
    for (int each = 0; each < world; ++each)
      arrived[each].notify_all();
  }

  std::string failureText() const {
    return "rank " + std::to_string(failedRank) + " failed" +
           (failure.empty() ? "" : ": " + failure);
  }

  /// Waits as a condition variable does. Returns whether `over` was so in time.
  template <typename Over>
  bool waitUntil(int rank, std::unique_lock<std::mutex> &lock,
                 std::optional<std::chrono::milliseconds> deadline, const Over &over) {
    if (over())
      return true;
    std::function<bool()> asked = std::cref(over);
    std::vector<const std::function<bool()> *> &ofRank = waiting[size_t(rank)];
    ofRank.push_back(&asked);
    bool inTime = true;
    if (deadline)
      inTime = arrived[rank].wait_for(lock, *deadline, over);
    else
      arrived[rank].wait(lock, over);
    std::erase(ofRank, &asked);
    return inTime;
  }

  /// A rank is woken for what it waits for alone: each waking costs the kernels beside it a
  /// processor. Under the mutex.
  void wake(int rank) {
    if (std::ranges::any_of(waiting[size_t(rank)], [](auto *over) { return (*over)(); }))
      arrived[rank].notify_all();
  }

  const int world;
  const InProcessOptions options;
  std::mutex mutex;
  std::unordered_map<int64_t, Lane> lanes; ///< of those who have met, of the N * N pairs
  std::vector<std::vector<const std::function<bool()> *>> waiting; ///< of each rank: what for
  std::unique_ptr<std::condition_variable[]> arrived;              ///< one for each rank
  int failedRank = -1;
  std::string failure;
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
    room->waitUntil(self, lock, {}, [&] { return std::ranges::all_of(parts, isDone); });
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
    bool inTime = room->waitUntil(self, lock, room->options.deadline, [&] {
      return std::ranges::all_of(parts, over) || room->failedRank >= 0;
    });
    auto late = std::ranges::find_if_not(parts, over);
    if (late == parts.end())
      return;
    std::string what =
        inTime ? room->failureText()
               : "nothing came within " + std::to_string(room->options.deadline.count()) + " ms";
    PeerError error(self, late->peer, late->hop, late->channel, what);
    lock.unlock();
    if (!inTime)
      room->fail(self, error.what());
    throw error;
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
    if (others.empty() || room->failedRank >= 0) {
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
  int world() const override { return room->world; }
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

InProcessWorld::InProcessWorld(int world, InProcessOptions options) {
  if (world < 1)
    throw InputError("world", std::to_string(world), "1 or more ranks");
  if (options.deadline.count() <= 0)
    throw InputError("deadline", std::to_string(options.deadline.count()) + " ms", "above 0");
  room = std::make_shared<InProcessMailroom>(world, std::move(options));
  for (int rank = 0; rank < world; ++rank)
    ranks.push_back(std::make_unique<InProcessTransport>(room, rank));
}

InProcessWorld::~InProcessWorld() = default;
InProcessWorld::InProcessWorld(InProcessWorld &&) noexcept = default;
InProcessWorld &InProcessWorld::operator=(InProcessWorld &&) noexcept = default;

std::optional<int> InProcessWorld::firstToFail() const {
  std::lock_guard lock(room->mutex);
  return room->failedRank < 0 ? std::nullopt : std::optional(room->failedRank);
}

void runRanks(InProcessWorld &world, const std::function<void(int rank)> &body) {
  std::vector<std::exception_ptr> errors(size_t(world.size()));
  auto run = [&](int rank) {
    try {
      body(rank);
    } catch (const std::exception &error) {
      errors[size_t(rank)] = std::current_exception();
      world.at(rank).abort(error.what());
    } catch (...) {
      errors[size_t(rank)] = std::current_exception();
      world.at(rank).abort("unknown error");
    }
  };
  {
    std::vector<std::jthread> threads;
    try {
      for (int rank = 1; rank < world.size(); ++rank)
        threads.emplace_back(run, rank);
    } catch (const std::exception &error) { // the ranks that run must not wait for the rest
      world.at(0).abort("a rank's thread could not be started");
      throw std::runtime_error("ranks: the system starts " + std::to_string(threads.size()) +
                               " threads for " + std::to_string(world.size()) +
                               " ranks: " + error.what());
    }
    run(0);
  }
  if (std::optional<int> first = world.firstToFail(); first && errors[size_t(*first)])
    std::rethrow_exception(errors[size_t(*first)]);
  for (const std::exception_ptr &error : errors)
    if (error)
      std::rethrow_exception(error);
}

} // namespace ringc
