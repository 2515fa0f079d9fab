// A carrier that the caller brings: here queues between threads, as a message passing over a
// network behaves, which checks what it is promised.

#include "tests/c/Problem.h"

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <tuple>

using namespace ringc::test;

namespace {

using Bytes = std::vector<std::byte>;

struct Network {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::tuple<int, int, int>, std::deque<Bytes>> lanes; ///< by from, to, tag
  std::optional<std::string> failure;
};

/// One rank's functions.
class Endpoint {
public:
  Endpoint(Network &over, int ownRank) : network(over), rank(ownRank) {}

  ringc_messages messages() {
    return {.size = sizeof(ringc_messages),
            .user = this,
            .post = post,
            .wait = wait,
            .cancel = cancel,
            .abort = abort,
            .release = release};
  }

  bool released = false;
  bool loses = false; ///< messages that it shall carry
  int cancelled = 0;
  std::thread::id thread = std::this_thread::get_id();
  bool elsewhere = false; ///< it was called on another thread

private:
  struct Pending {
    int tag;
    std::vector<ringc_receive> receives;
  };

  static Endpoint &of(void *user) {
    auto &self = *static_cast<Endpoint *>(user);
    self.elsewhere |= std::this_thread::get_id() != self.thread;
    return self;
  }

  static int post(void *user, int tag, const ringc_send *sends, size_t sendCount,
                  const ringc_receive *receives, size_t receiveCount, uint64_t *token, char *,
                  size_t) {
    Endpoint &self = of(user);
    std::lock_guard lock(self.network.mutex);
    for (size_t i = 0; i < sendCount && !self.loses; ++i) {
      const auto *bytes = static_cast<const std::byte *>(sends[i].bytes);
      self.network.lanes[{self.rank, sends[i].peer, tag}].emplace_back(bytes,
                                                                       bytes + sends[i].count);
    }
    *token = ++self.last;
    self.pending[*token] = {tag, {receives, receives + receiveCount}};
    self.network.changed.notify_all();
    return 0;
  }

  static int fail(char *error, size_t bytes, const std::string &what) {
    std::strncpy(error, what.c_str(), bytes - 1);
    return 7;
  }

  static int wait(void *user, uint64_t token, char *error, size_t bytes) {
    Endpoint &self = of(user);
    std::unique_lock lock(self.network.mutex);
    const Pending &mine = self.pending.at(token);
    for (const ringc_receive &receive : mine.receives) {
      std::deque<Bytes> &lane = self.network.lanes[{receive.peer, self.rank, mine.tag}];
      bool came = self.network.changed.wait_for(
          lock, std::chrono::seconds(1), [&] { return !lane.empty() || self.network.failure; });
      if (lane.empty())
        return fail(error, bytes, came ? *self.network.failure : "nothing came within a second");
      if (lane.front().size() != receive.count)
        return fail(error, bytes, "a receive that its send does not fit");
      std::memcpy(receive.bytes, lane.front().data(), receive.count);
      lane.pop_front();
    }
    self.pending.erase(token);
    return 0;
  }

  static int cancel(void *user, uint64_t token) {
    Endpoint &self = of(user);
    self.pending.erase(token);
    return ++self.cancelled % 2; // every other one may still be touched
  }

  static void abort(void *user, const char *reason) {
    Endpoint &self = of(user);
    std::lock_guard lock(self.network.mutex);
    if (!self.network.failure)
      self.network.failure = reason;
    self.network.changed.notify_all();
  }

  static void release(void *user) { static_cast<Endpoint *>(user)->released = true; }

  Network &network;
  int rank;
  uint64_t last = 0;
  std::map<uint64_t, Pending> pending;
};

/// `body(endpoint, group)` of each rank on a thread of its own.
void onRanks(const ContextHandle &context, int world,
             const std::function<void(Endpoint &, int, ringc_group *)> &body) {
  Network network;
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < world; ++rank)
    threads.emplace_back([&, rank] {
      Endpoint endpoint(network, rank);
      ringc_messages messages = endpoint.messages();
      ringc_group *group = nullptr;
      CHECK(ringc_group_messages(context.get(), rank, world, &messages, &group) == RINGC_OK);
      body(endpoint, rank, group);
      ringc_group_destroy(group);
      CHECK(endpoint.released);
      CHECK_FALSE(endpoint.elsewhere);
    });
}

ringc_status bothPasses(const AttentionHandle &attention, Problem &problem, int64_t length) {
  problem.inputs.batch = 1;
  problem.inputs.query_length = problem.inputs.key_length = length;
  ringc_status status = ringc_attention_forward(attention.get(), nullptr, &problem.inputs,
                                                &problem.results, nullptr, 0);
  if (status != RINGC_OK)
    return status;
  return ringc_attention_backward(attention.get(), nullptr, &problem.inputs, &problem.results,
                                  &problem.gradients, nullptr, 0);
}

double distance(const Floats &a, const Floats &b) {
  double apart = 0;
  for (size_t i = 0; i < a.numbers.size(); ++i)
    apart = std::max(apart, double(std::abs(a.numbers[i] - b.numbers[i])));
  return apart;
}

} // namespace

TEST_CASE("a ring over the caller's messages is the attention of one rank") {
  constexpr int64_t length = 23;
  ContextHandle context = hostContextHandle();
  Problem whole(length);
  REQUIRE(bothPasses(attentionHandle(context), whole, length) == RINGC_OK);
  for (const char *schedule : {"ring", "ring:2", "all-gather"})
    for (int world : {2, 3}) {
      CAPTURE(schedule);
      CAPTURE(world);
      Problem gathered(length);
      std::string options = std::string(R"({"heads": 2, "head_dim": 16, "causal": true, "layout": )"
                                        R"("zigzag", "schedule": ")") +
                            schedule + "\"}";
      onRanks(context, world, [&](Endpoint &, int rank, ringc_group *group) {
        int64_t rows = 0;
        CHECK(ringc_local_length("zigzag", rank, world, length, &rows) == RINGC_OK);
        Problem own(rows);
        auto deal = [&](const Floats &from, Floats &to) {
          CHECK(ringc_shard(&from.view, 1, "zigzag", rank, world, &to.view) == RINGC_OK);
        };
        auto collect = [&](const Floats &from, Floats &to, int axis) {
          CHECK(ringc_unshard(&from.view, axis, "zigzag", rank, world, &to.view) == RINGC_OK);
        };
        deal(whole.q, own.q);
        deal(whole.k, own.k);
        deal(whole.v, own.v);
        deal(whole.dout, own.dout);
        AttentionHandle attention = attentionHandle(context, group, options.c_str());
        CHECK(bothPasses(attention, own, length) == RINGC_OK);
        collect(own.out, gathered.out, 1);
        collect(own.lse, gathered.lse, 2);
        collect(own.dq, gathered.dq, 1);
        collect(own.dk, gathered.dk, 1);
        collect(own.dv, gathered.dv, 1);
      });
      CHECK(distance(whole.out, gathered.out) < 1e-5);
      CHECK(distance(whole.lse, gathered.lse) < 1e-5);
      CHECK(distance(whole.dq, gathered.dq) < 1e-5);
      CHECK(distance(whole.dk, gathered.dk) < 1e-5);
      CHECK(distance(whole.dv, gathered.dv) < 1e-5);
    }
}

TEST_CASE("a carrier that fails, or whose peer never comes, is an error of the call") {
  ContextHandle context = hostContextHandle();
  std::array<std::string, 2> errors;
  onRanks(context, 2, [&](Endpoint &endpoint, int rank, ringc_group *group) {
    endpoint.loses = rank == 1;
    AttentionHandle attention = attentionHandle(context, group);
    Problem own(5);
    CHECK(bothPasses(attention, own, 10) == RINGC_ERROR_PEER);
    errors[size_t(rank)] = lastError();
    CHECK(endpoint.cancelled == 1);
    CHECK(bothPasses(attention, own, 10) == RINGC_ERROR_PEER);
    CHECK(lastError().find("unusable since") != std::string::npos);
  });
  CHECK(errors[0].find("the caller's wait gave 7: nothing came within a second") !=
        std::string::npos);
}

TEST_CASE("plans that differ are found before a receive that does not fit") {
  ContextHandle context = hostContextHandle();
  onRanks(context, 2, [&](Endpoint &, int rank, ringc_group *group) {
    // A decode's exchange against an attention's.
    Problem own(5);
    if (rank == 0) {
      AttentionHandle attention = attentionHandle(context, group);
      CHECK(bothPasses(attention, own, 10) == RINGC_ERROR_DISAGREEMENT);
    } else {
      ringc_decode *made = nullptr;
      CHECK(ringc_decode_create(context.get(), group, problemOptions, &made) == RINGC_OK);
      DecodeHandle decode(made);
      Floats q({1, 1, 2, 16}), out({1, 1, 2, 16}), lse({1, 2, 1});
      ringc_decode_inputs inputs{.size = sizeof inputs,
                                 .q = &q.view,
                                 .k = &own.k.view,
                                 .v = &own.v.view,
                                 .page_table = nullptr,
                                 .lengths = nullptr,
                                 .arguments = nullptr,
                                 .argument_count = 0};
      ringc_decode_keys keys{.size = sizeof keys, .positions = {5, 5, 5}, .length = 10};
      CHECK(ringc_decode_run(made, nullptr, &inputs, &keys, &out.view, &lse.view) ==
            RINGC_ERROR_DISAGREEMENT);
    }
  });
}

TEST_CASE("messages that cannot be") {
  ContextHandle context = hostContextHandle();
  Network network;
  Endpoint endpoint(network, 0);
  ringc_messages messages = endpoint.messages();
  ringc_group *group = nullptr;
  CHECK(ringc_group_messages(context.get(), 2, 2, &messages, &group) == RINGC_ERROR_INPUT);
  CHECK(lastError() == "rank: got 2, allowed: 0 to 1");
  messages.cancel = nullptr;
  CHECK(ringc_group_messages(context.get(), 0, 2, &messages, &group) == RINGC_ERROR_INPUT);
  CHECK(lastError() == "messages: got NULL, allowed: functions post, wait and cancel");
  messages.size = 8;
  CHECK(ringc_group_messages(context.get(), 0, 2, &messages, &group) == RINGC_ERROR_INPUT);
  CHECK(lastError().find("size of messages: got 8") != std::string::npos);
  CHECK_FALSE(endpoint.released);
}
