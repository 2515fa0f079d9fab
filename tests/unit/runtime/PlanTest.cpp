#include "ringc/ring/Plan.h"

#include "ringc/ring/SharedPlans.h"
#include "ringc/support/Error.h"
#include "tests/unit/runtime/PlanProblems.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

using namespace ringc;
using namespace ringc::testing;

namespace {

const SequenceLayout layouts[] = {SequenceLayout::contiguous(), SequenceLayout::striped(),
                                  SequenceLayout::striped(3), SequenceLayout::zigzag()};

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
           visibility(query, owner, 0) != Visibility::None;
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

/// Follows every block and every sum of gradients through a ring, or one chunk of each, and checks
/// all that `Plan` says.
void checkRing(const std::vector<Plan> &plans, const PlaceVisibility &visibility, int ring,
               int chunk) {
  const RingProblem &problem = plans[0].problem;
  int size = problem.rings.ringSize, chunks = problem.schedule.chunks;
  auto stepOf = [&](int place, int hop) -> const Step & {
    return plans.at(size_t(place)).steps.at(size_t(hop * chunks + chunk));
  };
  auto placeOf = [&](int rank) {
    REQUIRE(problem.rings.ringOf(rank) == ring); // peers and owners are world ranks of this ring
    return problem.rings.placeOf(rank);
  };
  auto rowsOf = [&](int place) {
    return chunkOfRows(problem.layout, place, size, problem.keyLength, chunk, chunks).count;
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
      REQUIRE(plans[place].steps.size() == size_t(size * chunks));
      const Step &step = stepOf(place, hop);
      REQUIRE(step.step == hop * chunks + chunk);
      REQUIRE(step.hop == hop);
      int owner = placeOf(step.owner);
      REQUIRE(owner == (place - hop + size) % size);
      REQUIRE(step.rows == rowsOf(owner));
      bool empty = plans[place].queryRows == 0 || step.rows == 0;
      REQUIRE(step.visibility == (empty ? Visibility::None : visibility(place, owner, chunk)));
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
        REQUIRE(stepOf(to, hop).keysFrom == plans[place].rank);
        received[to] = owner;
        out += step.rows * keyBytes;
        ++keyMessages;
      }
      if (step.keysFrom) {
        int from = placeOf(*step.keysFrom);
        REQUIRE(stepOf(from, hop).keysTo == plans[place].rank);
        in += stepOf(place, hop + 1).rows * keyBytes;
      }
      if (step.gradientsTo) {
        REQUIRE(step.computes());
        REQUIRE(owner != place);
        int to = placeOf(*step.gradientsTo);
        const Step &there = stepOf(to, hop);
        if (to == owner) {
          REQUIRE(there.homeFrom == plans[place].rank);
          for (int part : sums[place])
            REQUIRE(home[to].insert(part).second); // each part once
        } else {
          REQUIRE(to == (place + 1) % size);
          REQUIRE(there.gradientsFrom == plans[place].rank);
          REQUIRE(stepOf(to, hop + 1).computes());
          sumsNext[to] = sums[place];
        }
        out += step.rows * gradientBytes;
        ++gradientMessages;
      }
      if (step.gradientsFrom) {
        REQUIRE(stepOf(placeOf(*step.gradientsFrom), hop).gradientsTo == plans[place].rank);
        in += stepOf(place, hop + 1).rows * gradientBytes;
      }
      if (step.homeFrom) {
        REQUIRE(stepOf(placeOf(*step.homeFrom), hop).gradientsTo == plans[place].rank);
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
    for (int hop = 0; hop < size; ++hop) {
      const Step &step = stepOf(place, hop);
      sent += step.sendBytes;
      came += step.receiveBytes;
      messages += (step.keysTo ? 1 : 0) + (step.gradientsTo ? 1 : 0);
    }
    leastKeyMessages += furthest[place];
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
      const Step &step = stepOf(place, (place - owner + size) % size);
      REQUIRE(home[owner].contains(place) == step.computes());
    }
}

/// What holds for all chunks of a ring together.
void checkWhole(const std::vector<Plan> &plans) {
  int64_t longest = 0;
  for (const Plan &plan : plans)
    longest = std::max(longest, plan.keyRows);
  for (const Plan &plan : plans) {
    int64_t hops = 0, own = 0, sent = 0, messages = 0;
    for (const Step &step : plan.steps) {
      hops += step.computes();
      sent += step.sendBytes;
      messages += (step.keysTo ? 1 : 0) + (step.gradientsTo ? 1 : 0);
      if (step.hop == 0) {
        REQUIRE(step.firstRow == own); // chunks lie side by side
        own += step.rows;
      }
    }
    REQUIRE(own == plan.keyRows);
    REQUIRE(sent == plan.sentBytes());
    REQUIRE(messages == plan.sentMessages());
    REQUIRE((hops > 0) == plan.firstComputed().has_value());
    REQUIRE((hops > 0) == plan.lastComputed().has_value());
    REQUIRE(plan.hopBufferBytes(Plan::OwnKeys::Strided) <=
            longest * (2 * keyBytes + 3 * gradientBytes));
  }
}

/// `visibilityOf` is given the problem with its schedule.
template <typename VisibilityOf>
void checkBothPasses(RingProblem problem, VisibilityOf &&visibilityOf) {
  for (Schedule schedule : commonSchedules)
    for (Pass pass : allPasses)
      for (int ring = 0; ring < problem.rings.rings(); ++ring) {
        problem.schedule = schedule;
        PlaceVisibility visibility = visibilityOf(problem);
        std::vector<Plan> plans = planRing(pass, ring, problem, visibility);
        if (schedule.kind == Schedule::Kind::Ring) {
          checkWhole(plans);
          for (int chunk = 0; chunk < schedule.chunks; ++chunk)
            checkRing(plans, visibility, ring, chunk);
        } else
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
          checkBothPasses(problem, [&](const RingProblem &scheduled) {
            return visibilityOfRows(scheduled, mask.shows);
          });
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
    std::vector<Visibility> table(size_t(size) * size * 4);
    for (Visibility &each : table)
      each = random() % 4 > density ? Visibility::None : allVisibilities[random() % 3];
    RingProblem problem = problemOf(2 * size, size, SequenceLayout::contiguous(), 40, 40);
    checkBothPasses(problem, [&](const RingProblem &) {
      return [&](int query, int owner, int chunk) {
        return table[size_t((chunk * size + query) * size + owner)];
      };
    });
  }
}

TEST_CASE("all visible: N - 1 hops of keys, and as many sums of gradients on each rank") {
  for (Schedule schedule : commonSchedules)
    for (int size = 1; size <= 8; ++size) {
      RingProblem problem = problemOf(size, size, SequenceLayout::contiguous(), 8 * size, 8 * size);
      problem.schedule = schedule;
      auto all = [](int, int, int) { return Visibility::Full; };
      for (int rank = 0; rank < size; ++rank) {
        Plan forward = planRank(Pass::Forward, rank, problem, all);
        CHECK(forward.sentMessages() == schedule.chunks * (size - 1));
        CHECK(forward.sentBytes() == 8 * keyBytes * (size - 1));
        Plan backward = planRank(Pass::Backward, rank, problem, all);
        // K and V, then dK and dV: 4 (N - 1) messages the size of K.
        CHECK(backward.sentMessages() == schedule.chunks * 2 * (size - 1));
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
  auto all = [](int, int, int) { return Visibility::Full; };
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

TEST_CASE("ranks that share a look at their ring have the plans that they have alone") {
  for (const SequenceLayout &layout :
       {SequenceLayout::contiguous(), SequenceLayout::striped(), SequenceLayout::zigzag()})
    for (Schedule schedule : commonSchedules)
      for (Pass pass : allPasses) {
        RingProblem problem{.rings = {.world = 12, .ringSize = 6},
                            .schedule = schedule,
                            .layout = layout,
                            .queryLength = 31,
                            .keyLength = 31,
                            .bytesPerKey = 8,
                            .gradientBytesPerKey = 16};
        int asked = 0;
        PlaceVisibility seen = [&](int query, int owner, int) {
          ++asked;
          return query == owner            ? Visibility::Partial
                 : (query + 2 * owner) % 3 ? Visibility::Full
                                           : Visibility::None;
        };
        SharedPlans shared;
        std::vector<Plan> together;
        for (int rank = 0; rank < 12; ++rank)
          together.push_back(shared.planRank(pass, rank, problem, seen));
        CHECK(asked <=
              (schedule.kind == Schedule::Kind::Ring ? schedule.chunks * 2 * 6 * 6 : 12 * 3 * 6));
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
  Plan plan = planRank(Pass::Backward, 7, problem, [&](int, int, int) {
    ++asked;
    return Visibility::Full;
  });
  CHECK(plan.steps.size() == ranks);
  CHECK(asked <= 3 * ranks);
}
