#include "ringc/comm/Rendezvous.h"

#include "ringc/support/Error.h"

#include <exception>
#include <stdexcept>
#include <thread>

namespace ringc {

Rendezvous::Rendezvous(int ranks, std::chrono::milliseconds given) : deadline(given) {
  if (ranks < 1)
    throw InputError("world", std::to_string(ranks), "1 or more ranks");
  if (deadline.count() <= 0)
    throw InputError("deadline", std::to_string(deadline.count()) + " ms", "above 0");
  waiting.resize(size_t(ranks));
  for (auto &ofRank : waiting)
    ofRank.reserve(2); // a transfer's destructor waits, too, and must not ask for memory
  arrived = std::make_unique<std::condition_variable[]>(size_t(ranks));
}

void Rendezvous::fail(int rank, std::string_view reason) noexcept {
  std::lock_guard lock(mutex);
  if (failedRank < 0) {
    failedRank = rank;
    try {
      failure = reason;
    } catch (...) {
      failure.clear();
    }
  }
  for (int each = 0; each < world(); ++each)
    arrived[each].notify_all();
}

std::optional<int> Rendezvous::firstToFail() const {
  std::lock_guard lock(mutex);
  return hasFailed() ? std::optional(failedRank) : std::nullopt;
}

void Rendezvous::requireNoFailure(int rank, int hop, Channel channel) const {
  if (hasFailed())
    throw PeerError(rank, failedRank, hop, channel, failureText());
}

std::string Rendezvous::failureText() const {
  return "rank " + std::to_string(failedRank) + " failed" + (failure.empty() ? "" : ": " + failure);
}

void Rendezvous::giveUp(int rank, std::unique_lock<std::mutex> &lock, const Awaited &late,
                        bool inTime) {
  PeerError error(rank, late.peer, late.hop, late.channel,
                  inTime ? failureText()
                         : "nothing came within " + std::to_string(deadline.count()) + " ms");
  lock.unlock();
  if (!inTime)
    fail(rank, error.what());
  throw error;
}

void runRanks(Rendezvous &ranks, const std::function<void(int rank)> &body) {
  std::vector<std::exception_ptr> errors(size_t(ranks.world()));
  auto run = [&](int rank) {
    try {
      body(rank);
    } catch (const std::exception &error) {
      errors[size_t(rank)] = std::current_exception();
      ranks.fail(rank, error.what());
    } catch (...) {
      errors[size_t(rank)] = std::current_exception();
      ranks.fail(rank, "unknown error");
    }
  };
  {
    std::vector<std::jthread> threads;
    try {
      for (int rank = 1; rank < ranks.world(); ++rank)
        threads.emplace_back(run, rank);
    } catch (const std::exception &error) { // the ranks that run must not wait for the rest
      ranks.fail(0, "a rank's thread could not be started");
      throw std::runtime_error("ranks: the system starts " + std::to_string(threads.size()) +
                               " threads for " + std::to_string(ranks.world()) +
                               " ranks: " + error.what());
    }
    run(0);
  }
  if (std::optional<int> first = ranks.firstToFail(); first && errors[size_t(*first)])
    std::rethrow_exception(errors[size_t(*first)]);
  for (const std::exception_ptr &error : errors)
    if (error)
      std::rethrow_exception(error);
}

} // namespace ringc
