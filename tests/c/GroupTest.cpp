// Ranks as threads of one program; what closing, two users and failures do.

#include "tests/c/Problem.h"

#include <doctest/doctest.h>

#include <array>
#include <thread>

using namespace ringc::test;

namespace {

struct Ranks {
  Ranks(const ContextHandle &context, int world, int64_t deadline = 0) {
    std::vector<ringc_group *> made(static_cast<size_t>(world));
    status = ringc_group_threads(context.get(), world, deadline, made.data());
    for (ringc_group *each : made)
      groups.emplace_back(each);
  }
  /// `body(rank)` on a thread for each.
  void run(const std::function<void(int)> &body) const {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < int(groups.size()); ++rank)
      threads.emplace_back(body, rank);
  }

  ringc_status status;
  std::vector<GroupHandle> groups;
};

ringc_status forward(const AttentionHandle &attention, Problem &problem, int64_t length) {
  problem.inputs.batch = 1;
  problem.inputs.query_length = problem.inputs.key_length = length;
  return ringc_attention_forward(attention.get(), nullptr, &problem.inputs, &problem.results,
                                 nullptr, 0);
}

} // namespace

TEST_CASE("ranks that ask for different things all learn what differs") {
  ContextHandle context = hostContextHandle();
  Ranks ranks(context, 2);
  REQUIRE(ranks.status == RINGC_OK);
  std::array<std::string, 2> errors;
  ranks.run([&](int rank) {
    AttentionHandle attention = attentionHandle(
        context, ranks.groups[size_t(rank)].get(),
        rank == 0 ? problemOptions : R"({"heads": 2, "head_dim": 16, "causal": false})");
    Problem problem(5);
    CHECK(forward(attention, problem, 10) == RINGC_ERROR_DISAGREEMENT);
    errors[size_t(rank)] = lastError();
    // And go on.
    AttentionHandle same = attentionHandle(context, ranks.groups[size_t(rank)].get());
    CHECK(forward(same, problem, 10) == RINGC_OK);
  });
  for (const std::string &error : errors)
    CHECK(error.find("causal") != std::string::npos);
}

TEST_CASE("a rank whose tensors cannot be fails the others at once") {
  ContextHandle context = hostContextHandle();
  Ranks ranks(context, 2);
  ranks.run([&](int rank) {
    AttentionHandle attention = attentionHandle(context, ranks.groups[size_t(rank)].get());
    Problem problem(5);
    if (rank == 1)
      problem.k.view.dtype.lanes = 2;
    CHECK(forward(attention, problem, 10) == (rank == 1 ? RINGC_ERROR_INPUT : RINGC_ERROR_PEER));
    CHECK(lastError().find("lanes of k: got 2, allowed: 1") != std::string::npos);
  });
}

TEST_CASE("a rank that aborts, and one that never comes") {
  ContextHandle context = hostContextHandle();
  Ranks aborted(context, 2);
  aborted.run([&](int rank) {
    ringc_group *group = aborted.groups[size_t(rank)].get();
    if (rank == 1) {
      CHECK(ringc_group_abort(group, "the data is gone") == RINGC_OK);
      return;
    }
    AttentionHandle attention = attentionHandle(context, group);
    Problem problem(5);
    CHECK(forward(attention, problem, 10) == RINGC_ERROR_PEER);
    CHECK(lastError().find("the data is gone") != std::string::npos);
  });
  Ranks late(context, 2, 50);
  AttentionHandle attention = attentionHandle(context, late.groups[0].get());
  Problem problem(5);
  CHECK(forward(attention, problem, 10) == RINGC_ERROR_PEER);
  CHECK(lastError().find("nothing came within 50 ms") != std::string::npos);
}

TEST_CASE("objects of a group that was closed, in any order of destruction") {
  ContextHandle context = hostContextHandle();
  ringc_group *made = nullptr;
  REQUIRE(ringc_group_alone(context.get(), &made) == RINGC_OK);
  GroupHandle group(made);
  AttentionHandle attention = attentionHandle(context, made),
                  other = attentionHandle(context, made);
  Problem problem(5);
  CHECK(forward(attention, problem, 5) == RINGC_OK);
  CHECK(ringc_group_close(made) == RINGC_OK);
  CHECK(forward(attention, problem, 5) == RINGC_ERROR_CLOSED);
  CHECK(lastError() == "the group was closed");
  CHECK(ringc_group_close(made) == RINGC_OK);
  ringc_attention *none = nullptr;
  CHECK(ringc_attention_create(context.get(), made, problemOptions, &none) == RINGC_ERROR_CLOSED);
  context.reset();
  group.reset();
  CHECK(forward(other, problem, 5) == RINGC_ERROR_CLOSED);

  context = hostContextHandle();
  AttentionHandle orphan = attentionHandle(context);
  context.reset();
  CHECK(forward(orphan, problem, 5) == RINGC_OK);
}

TEST_CASE("a group of another context") {
  ContextHandle one = hostContextHandle(), two = hostContextHandle();
  ringc_group *made = nullptr;
  REQUIRE(ringc_group_alone(one.get(), &made) == RINGC_OK);
  GroupHandle group(made);
  ringc_attention *none = nullptr;
  CHECK(ringc_attention_create(two.get(), made, problemOptions, &none) == RINGC_ERROR_INPUT);
  CHECK(lastError().find("group: got of another context") != std::string::npos);
}

TEST_CASE("a handle that two threads use is busy for one of them") {
  ContextHandle context = hostContextHandle();
  Ranks ranks(context, 2, 20000);
  AttentionHandle attention = attentionHandle(context, ranks.groups[0].get());
  ringc_status first = RINGC_OK;
  std::jthread user([&] { // waits for rank 1
    Problem problem(5);
    do
      first = forward(attention, problem, 10);
    while (first == RINGC_ERROR_BUSY);
  });
  Problem problem(5);
  problem.inputs.batch = 1;
  problem.inputs.query_length = problem.inputs.key_length = 10;
  ringc_status second = RINGC_OK;
  while (second == RINGC_OK) { // until the thread has begun
    char *plan = nullptr;
    second = ringc_attention_plan(attention.get(), RINGC_FORWARD, &problem.inputs, &plan);
    ringc_free(plan);
  }
  CHECK(second == RINGC_ERROR_BUSY);
  CHECK(lastError() == "attention: another thread is using it");
  CHECK(ringc_group_abort(ranks.groups[1].get(), "enough") == RINGC_OK);
  user.join();
  CHECK(first == RINGC_ERROR_PEER);
}
