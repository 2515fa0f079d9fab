#include "runtime/ring/Plan.h"

#include "runtime/Error.h"
#include "runtime/ring/PlanText.h"
#include "runtime/ring/SharedPlans.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

using namespace ringc;

namespace {

constexpr int64_t keyBytes = 10, gradientBytes = 7;

const SequenceLayout layouts[] = {SequenceLayout::contiguous(), SequenceLayout::striped(),
                                  SequenceLayout::striped(3), SequenceLayout::zigzag()};

using RowMask = std::function<bool(int64_t i, int64_t j)>;

/// Row by row, from nothing but positions.
PlaceVisibility visibilityOfRows(const RingProblem &problem, const RowMask &shows) {
  return [&problem, shows](int query, int owner) {
    int size = problem.rings.ringSize;
    Positions queries =
        queryPositions(problem.layout, query, size, problem.queryLength, problem.keyLength);
    Positions keys = positions(problem.layout, owner, size, problem.keyLength);
    int64_t nq = localLength(problem.layout, query, size, problem.queryLength);
    int64_t nk = localLength(problem.layout, owner, size, problem.keyLength), shown = 0;
    for (int64_t i = 0; i < nq; ++i)
      for (int64_t j = 0; j < nk; ++j)
        shown += shows(queries(i), keys(j));
    if (shown == 0)
      return Visibility::None;
    return shown == nq * nk ? Visibility::Full : Visibility::Partial;
  };
}

/// Whom the blocks and parts of gradients of an all-gather come from and go to, and where they lie.
void checkAllGather(const std::vector<Plan> &plans, const PlaceVisibility &visibility, int ring) {
  const RingProblem &problem = plans[0].problem;
  int size = problem.rings.ringSize;
  auto rankAt = [&](int place) { return problem.rings.rankAt(ring, (place + size) % size); };
  auto rowsOf = [&](int place) {
    return localLength(problem.layout, (place + size) % size, size, problem.keyLength);
  };
  auto sees = [&](int query, int owner) {
    query = (query + size) % size, owner = (owner + size) % size;
    return plans[size_t(query)].queryRows > 0 && rowsOf(owner) > 0 &&
           visibility(query, owner) != Visibility::None;
  };
  auto peer = [&](bool there, int place) {
    return there ? std::optional(rankAt(place)) : std::nullopt;
  };
  bool backward = plans[0].pass == Pass::Backward;
  for (int place = 0; place < size; ++place) {
    const Plan &plan = plans[size_t(place)];
    REQUIRE(plan.steps.size() == size_t(size));
    int64_t foreignRows = 0, gradientRows[2] = {0, 0}, homeRows[2] = {0, 0};
    for (int hop = 0; hop < size; ++hop) {
      const Step &step = plan.steps[size_t(hop)];
      int owner = place - hop;
      REQUIRE(step.owner == rankAt(owner));
      REQUIRE(step.computes() == sees(place, owner));
      // The exchange of a step brings the keys of the next, and each block goes only where it is
      // used.
      bool last = hop + 1 == size;
      REQUIRE(step.keysTo == peer(!last && sees(place + hop + 1, place), place + hop + 1));
      REQUIRE(step.keysFrom == peer(!last && sees(place, owner - 1), owner - 1));
      REQUIRE(step.gradientsTo == peer(backward && hop > 0 && step.computes(), owner));
      REQUIRE(step.homeFrom == peer(backward && hop > 0 && sees(place + hop, place), place + hop));
      REQUIRE(!step.gradientsFrom);
      REQUIRE(step.sendBytes == (step.keysTo ? rowsOf(place) * keyBytes : 0) +
                                    (step.gradientsTo ? rowsOf(owner) * gradientBytes : 0));
      REQUIRE(step.receiveBytes == (step.keysFrom ? rowsOf(owner - 1) * keyBytes : 0) +
                                       (step.homeFrom ? rowsOf(place) * gradientBytes : 0));
      if (hop > 0 && step.computes())
        foreignRows += step.rows;
      if (step.gradientsTo)
        gradientRows[hop % 2] = std::max(gradientRows[hop % 2], step.rows);
      if (step.homeFrom)
        homeRows[hop % 2] = rowsOf(place);
    }
    int64_t gradients =
        (gradientRows[0] + gradientRows[1] + homeRows[0] + homeRows[1]) * gradientBytes;
    bool sends = std::ranges::any_of(plan.steps, [](const Step &step) { return !!step.keysTo; });
    int64_t gathered = sends ? rowsOf(place) * keyBytes : 0;
    using enum Plan::OwnKeys;
    using enum Plan::FromOthers;
    REQUIRE(plan.hopBufferBytes(Contiguous, Received) == foreignRows * keyBytes + gradients);
    REQUIRE(plan.hopBufferBytes(Strided, Received) ==
            foreignRows * keyBytes + gathered + gradients);
    REQUIRE(plan.hopBufferBytes(Strided, Borrowed) == gathered);
    REQUIRE(plan.hopBufferBytes(Contiguous, Borrowed) == 0);
  }
}

/// Follows every block and every sum of gradients through a ring and checks all that `Plan` says.
void checkRing(const std::vector<Plan> &plans, const PlaceVisibility &visibility, int ring) {
  const RingProblem &problem = plans[0].problem;
  int size = problem.rings.ringSize;
  auto placeOf = [&](int rank) {
    REQUIRE(problem.rings.ringOf(rank) == ring); // peers and owners are world ranks of this ring
    return problem.rings.placeOf(rank);
  };
  auto rowsOf = [&](int place) {
    return localLength(problem.layout, place, size, problem.keyLength);
  };

  std::vector<int> resident, received; // owner's place, or -1
  std::vector<std::set<int>> sums(size), home(size);
  for (int place = 0; place < size; ++place)
    resident.push_back(place);
  int64_t keyMessages = 0, gradientMessages = 0, foreignBlocks = 0;
  std::vector<int> furthest(size, 0);

  for (int hop = 0; hop < size; ++hop) {
    received.assign(size, -1);
    std::vector<std::set<int>> sumsNext(size);
    for (int place = 0; place < size; ++place) {
      REQUIRE(plans[place].steps.size() == size_t(size));
      const Step &step = plans[place].steps[hop];
      REQUIRE(step.step == hop);
      int owner = placeOf(step.owner);
      REQUIRE(owner == (place - hop + size) % size);
      REQUIRE(step.rows == rowsOf(owner));
      bool empty = plans[place].queryRows == 0 || step.rows == 0;
      REQUIRE(step.visibility == (empty ? Visibility::None : visibility(place, owner)));
      int64_t out = 0, in = 0;
      if (step.computes()) {
        REQUIRE(resident[place] == owner);
        furthest[owner] = hop;
        foreignBlocks += owner != place;
        if (owner == place)
          home[place].insert(place);
        else
          sums[place].insert(place);
      }
      if (step.keysTo) {
        REQUIRE(resident[place] == owner);
        int to = placeOf(*step.keysTo);
        REQUIRE(to == (place + 1) % size);
        REQUIRE(plans[to].steps[hop].keysFrom == plans[place].rank);
        received[to] = owner;
        out += step.rows * keyBytes;
        ++keyMessages;
      }
      if (step.keysFrom) {
        int from = placeOf(*step.keysFrom);
        REQUIRE(plans[from].steps[hop].keysTo == plans[place].rank);
        in += plans[place].steps.at(hop + 1).rows * keyBytes;
      }
      if (step.gradientsTo) {
        REQUIRE(step.computes());
        REQUIRE(owner != place);
        int to = placeOf(*step.gradientsTo);
        const Step &there = plans[to].steps[hop];
        if (to == owner) {
          REQUIRE(there.homeFrom == plans[place].rank);
          for (int part : sums[place])
            REQUIRE(home[to].insert(part).second); // each part once
        } else {
          REQUIRE(to == (place + 1) % size);
          REQUIRE(there.gradientsFrom == plans[place].rank);
          REQUIRE(plans[to].steps.at(hop + 1).computes());
          sumsNext[to] = sums[place];
        }
        out += step.rows * gradientBytes;
        ++gradientMessages;
      }
      if (step.gradientsFrom) {
        REQUIRE(plans[placeOf(*step.gradientsFrom)].steps[hop].gradientsTo == plans[place].rank);
        in += plans[place].steps.at(hop + 1).rows * gradientBytes;
      }
      if (step.homeFrom) {
        REQUIRE(plans[placeOf(*step.homeFrom)].steps[hop].gradientsTo == plans[place].rank);
        in += rowsOf(place) * gradientBytes;
      }
      REQUIRE(step.sendBytes == out);
      REQUIRE(step.receiveBytes == in);
    }
    resident = received;
    sums = sumsNext;
  }

  int64_t sent = 0, came = 0, messages = 0, leastKeyMessages = 0;
  for (int place = 0; place < size; ++place) {
    sent += plans[place].sentBytes();
    came += plans[place].receivedBytes();
    messages += plans[place].sentMessages();
    leastKeyMessages += furthest[place];
    int hops = 0;
    for (const Step &step : plans[place].steps)
      hops += step.computes();
    REQUIRE((hops > 0) == plans[place].firstComputed().has_value());
    REQUIRE((hops > 0) == plans[place].lastComputed().has_value());
    int64_t rows = rowsOf(0); // no shard is longer than the first place's, or than the padded
    for (int other = 0; other < size; ++other)
      rows = std::max(rows, rowsOf(other));
    REQUIRE(plans[place].hopBufferBytes(Plan::OwnKeys::Strided) <=
            rows * (2 * keyBytes + 3 * gradientBytes));
  }
  REQUIRE(sent == came);
  REQUIRE(messages == keyMessages + gradientMessages);
  REQUIRE(keyMessages == leastKeyMessages); // nothing beyond the last rank that needs it
  if (plans[0].pass == Pass::Forward) {
    REQUIRE(gradientMessages == 0);
    return;
  }
  REQUIRE(gradientMessages == foreignBlocks);
  for (int owner = 0; owner < size; ++owner)
    for (int place = 0; place < size; ++place) {
      const Step &step = plans[place].steps[(place - owner + size) % size];
      REQUIRE(home[owner].contains(place) == step.computes());
    }
}

RingProblem problemOf(int world, int ringSize, SequenceLayout layout, int64_t nq, int64_t nk) {
  return {.rings = {world, ringSize},
          .layout = layout,
          .queryLength = nq,
          .keyLength = nk,
          .bytesPerKey = keyBytes,
          .gradientBytesPerKey = gradientBytes};
}

void checkBothPasses(RingProblem problem, const PlaceVisibility &visibility) {
  for (Schedule schedule : allSchedules)
    for (Pass pass : allPasses)
      for (int ring = 0; ring < problem.rings.rings(); ++ring) {
        problem.schedule = schedule;
        std::vector<Plan> plans = planRing(pass, ring, problem, visibility);
        if (schedule == Schedule::Ring)
          checkRing(plans, visibility, ring);
        else
          checkAllGather(plans, visibility, ring);
        for (const Plan &plan : plans) {
          Plan alone = planRank(pass, plan.rank, problem, visibility);
          REQUIRE(alone.steps == plan.steps);
        }
      }
}

} // namespace

TEST_CASE("every layout, mask, ring size and length: blocks and sums arrive, nothing else moves") {
  struct Named {
    const char *name;
    RowMask shows;
  };
  const Named masks[] = {
      {"full", [](int64_t, int64_t) { return true; }},
      {"nothing", [](int64_t, int64_t) { return false; }},
      {"causal", [](int64_t i, int64_t j) { return j <= i; }},
      {"window 5, 2", [](int64_t i, int64_t j) { return i - 5 <= j && j <= i + 2; }},
      {"look-back 4", [](int64_t i, int64_t j) { return i - 4 <= j && j <= i; }},
      {"prefix 6", [](int64_t i, int64_t j) { return j <= i || j < 6; }},
      {"left padding 7", [](int64_t i, int64_t j) { return j <= i && j >= 7; }},
      {"far back only", [](int64_t i, int64_t j) { return i - j > 9; }},
      {"documents of 5", [](int64_t i, int64_t j) { return i / 5 == j / 5; }}};
  for (const Named &mask : masks) {
    for (const SequenceLayout &layout : layouts) {
      for (int size = 1; size <= 8; ++size) {
        for (auto [nq, nk] : {std::pair<int64_t, int64_t>{24, 24},
                              {19, 19},
                              {3, 3},
                              {1, 1},
                              {0, 0},
                              {5, 22},
                              {22, 5}}) {
          CAPTURE(mask.name);
          CAPTURE(nameOf(layout));
          CAPTURE(size);
          CAPTURE(nq);
          CAPTURE(nk);
          RingProblem problem = problemOf(size, size, layout, nq, nk);
          checkBothPasses(problem, visibilityOfRows(problem, mask.shows));
        }
      }
    }
  }
}

TEST_CASE("any visibility at all") {
  std::mt19937 random(1);
  for (int round = 0; round < 600; ++round) {
    int size = 1 + int(random() % 8);
    unsigned density = random() % 4;
    std::vector<Visibility> table(size_t(size) * size);
    for (Visibility &each : table)
      each = random() % 4 > density ? Visibility::None : allVisibilities[random() % 3];
    RingProblem problem = problemOf(2 * size, size, SequenceLayout::contiguous(), 40, 40);
    checkBothPasses(problem, [&](int query, int owner) { return table[query * size + owner]; });
  }
}

TEST_CASE("all visible: N - 1 hops of keys, and as many sums of gradients on each rank") {
  for (Schedule schedule : allSchedules)
    for (int size = 1; size <= 8; ++size) {
      RingProblem problem = problemOf(size, size, SequenceLayout::contiguous(), 8 * size, 8 * size);
      problem.schedule = schedule;
      auto all = [](int, int) { return Visibility::Full; };
      for (int rank = 0; rank < size; ++rank) {
        Plan forward = planRank(Pass::Forward, rank, problem, all);
        CHECK(forward.sentMessages() == size - 1);
        CHECK(forward.sentBytes() == 8 * keyBytes * (size - 1));
        Plan backward = planRank(Pass::Backward, rank, problem, all);
        // K and V, then dK and dV: 4 (N - 1) messages the size of K.
        CHECK(backward.sentMessages() == 2 * (size - 1));
        CHECK(backward.sentBytes() == 8 * (keyBytes + gradientBytes) * (size - 1));
      }
    }
}

TEST_CASE("a causal window of contiguous shards reaches as many shards as it must") {
  for (int64_t window : {0, 1, 7, 8, 9, 16, 17, 100}) {
    RingProblem problem = problemOf(6, 6, SequenceLayout::contiguous(), 48, 48);
    auto shows = [&](int64_t i, int64_t j) { return i - window <= j && j <= i; };
    int64_t reach = (window + 7) / 8; // shards to the left of one's own
    for (const Plan &plan : planRing(Pass::Forward, 0, problem, visibilityOfRows(problem, shows))) {
      int64_t computed = 0;
      for (const Step &step : plan.steps)
        computed += step.computes();
      CHECK(computed == 1 + std::min<int64_t>(plan.rank, reach));
      // Blocks pass through: those of this rank and of the reach - 1 to its left.
      CHECK(plan.sentMessages() == (plan.rank == 5 ? 0 : std::min<int64_t>(plan.rank + 1, reach)));
    }
    problem.schedule = Schedule::AllGather; // to those on the right that see it
    for (const Plan &plan : planRing(Pass::Forward, 0, problem, visibilityOfRows(problem, shows)))
      CHECK(plan.sentMessages() == std::min<int64_t>(5 - plan.rank, reach));
  }
}

TEST_CASE("sub-rings are the same plan elsewhere") {
  RingProblem alone = problemOf(4, 4, SequenceLayout::zigzag(), 19, 19);
  RingProblem world = problemOf(12, 4, SequenceLayout::zigzag(), 19, 19);
  PlaceVisibility causal = visibilityOfRows(alone, [](int64_t i, int64_t j) { return j <= i; });
  for (int rank = 0; rank < 12; ++rank) {
    int base = rank / 4 * 4;
    Plan there = planRank(Pass::Backward, rank, world, causal);
    Plan here = planRank(Pass::Backward, rank - base, alone, causal);
    for (Step &step : here.steps) {
      step.owner += base;
      for (auto *peer :
           {&step.keysTo, &step.keysFrom, &step.gradientsTo, &step.gradientsFrom, &step.homeFrom})
        if (*peer)
          **peer += base;
    }
    CHECK(there.steps == here.steps);
  }
}

TEST_CASE("what cannot be is refused") {
  auto all = [](int, int) { return Visibility::Full; };
  RingProblem problem = problemOf(8, 4, SequenceLayout::contiguous(), 8, 8);
  CHECK_THROWS_WITH_AS(planRank(Pass::Forward, 8, problem, all), "rank: got 8, allowed: 0 to 7",
                       InputError);
  CHECK_THROWS_AS(planRank(Pass::Forward, -1, problem, all), InputError);
  CHECK_THROWS_AS(planRing(Pass::Forward, 2, problem, all), InputError);
  problem.rings.ringSize = 3;
  CHECK_THROWS_AS(planRank(Pass::Forward, 0, problem, all), InputError);
  problem = problemOf(2, 2, SequenceLayout::contiguous(), 8, int64_t(1) << 40);
  CHECK_THROWS_AS(planRank(Pass::Forward, 0, problem, all), InputError);
  problem = problemOf(2, 2, SequenceLayout::contiguous(), 8, 8);
  problem.bytesPerKey = INT64_MAX;
  CHECK_THROWS_AS(planRank(Pass::Forward, 0, problem, all), InputError);
}

TEST_CASE("the table and the JSON of a small plan") {
  RingProblem problem = problemOf(2, 2, SequenceLayout::contiguous(), 5, 5);
  PlaceVisibility causal = visibilityOfRows(problem, [](int64_t i, int64_t j) { return j <= i; });
  CHECK(planTable(planRing(Pass::Forward, 0, problem, causal)) ==
        "forward, contiguous, 5 queries, 5 keys, world 2, ring size 2, schedule ring\n"
        "rank  step  owner  keys  visible  send  receive  bytes out  bytes in\n"
        "   0     0      0     3  partial     1        -         30         0\n"
        "   0     1      1     2     none     -        -          0         0\n"
        "   1     0      1     2  partial     -        0          0        30\n"
        "   1     1      0     3     full     -        -          0         0\n"
        "computed 3 of 4 blocks, sent 30 bytes, hop buffers of up to 30 bytes a rank\n");

  auto json = nlohmann::json::parse(planJson(planRing(Pass::Backward, 0, problem, causal)));
  CHECK(json["pass"] == "backward");
  CHECK(json["layout"] == "contiguous");
  CHECK(json["schedule"] == "ring");
  CHECK(json["keyLength"] == 5);
  REQUIRE(json["ranks"].size() == 2);
  CHECK(json["ranks"][1]["sentBytes"] == 3 * gradientBytes);
  const auto &steps = json["ranks"][1]["steps"];
  CHECK(steps[0]["receiveFrom"] == 0);
  CHECK(steps[0]["sendTo"].is_null());
  CHECK(steps[1]["owner"] == 0);
  CHECK(steps[1]["compute"] == true);
  CHECK(steps[1]["gradientsTo"] == 0);
  CHECK(json["ranks"][0]["steps"][1]["homeFrom"] == 1);
  CHECK(json["ranks"][0]["steps"][1]["visibility"] == "none");
  CHECK(planTable({}) == "");

  problem.schedule = Schedule::AllGather;
  CHECK(planTable(planRing(Pass::Forward, 0, problem, causal)).find("schedule all-gather\n") !=
        std::string::npos);
}

TEST_CASE("ranks that share a look at their ring have the plans that they have alone") {
  for (const SequenceLayout &layout :
       {SequenceLayout::contiguous(), SequenceLayout::striped(), SequenceLayout::zigzag()})
    for (Schedule schedule : {Schedule::Ring, Schedule::AllGather})
      for (Pass pass : allPasses) {
        RingProblem problem{.rings = {.world = 12, .ringSize = 6},
                            .schedule = schedule,
                            .layout = layout,
                            .queryLength = 31,
                            .keyLength = 31,
                            .bytesPerKey = 8,
                            .gradientBytesPerKey = 16};
        int asked = 0;
        PlaceVisibility seen = [&](int query, int owner) {
          ++asked;
          return query == owner            ? Visibility::Partial
                 : (query + 2 * owner) % 3 ? Visibility::Full
                                           : Visibility::None;
        };
        SharedPlans shared;
        std::vector<Plan> together;
        for (int rank = 0; rank < 12; ++rank)
          together.push_back(shared.planRank(pass, rank, problem, seen));
        CHECK(asked <= (schedule == Schedule::Ring ? 2 * 6 * 6 : 12 * 3 * 6));
        for (int rank = 0; rank < 12; ++rank)
          CHECK(together[size_t(rank)].steps == planRank(pass, rank, problem, seen).steps);
        CHECK_THROWS_AS(shared.planRank(pass, 12, problem, seen), InputError);
      }
}

TEST_CASE("a rank of an all-gather looks at its own pairs alone") {
  constexpr int ranks = 500;
  RingProblem problem{.rings = {.world = ranks, .ringSize = ranks},
                      .schedule = Schedule::AllGather,
                      .queryLength = ranks,
                      .keyLength = ranks,
                      .bytesPerKey = 8};
  int asked = 0;
  Plan plan = planRank(Pass::Backward, 7, problem, [&](int, int) {
    ++asked;
    return Visibility::Full;
  });
  CHECK(plan.steps.size() == ranks);
  CHECK(asked <= 3 * ranks);
}
