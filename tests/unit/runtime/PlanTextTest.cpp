// Plans as they are shown.

#include "ringc/ring/PlanText.h"

#include "ringc/support/Error.h"
#include "tests/unit/runtime/PlanProblems.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <string>

using namespace ringc;
using namespace ringc::testing;

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

TEST_CASE("the hops of a ring in chunks") {
  RingProblem problem = problemOf(2, 2, SequenceLayout::contiguous(), 8, 8);
  problem.schedule = Schedule::ring(2);
  PlaceVisibility causal = visibilityOfRows(problem, [](int64_t i, int64_t j) { return j <= i; });
  CHECK(planTable(planRing(Pass::Backward, 0, problem, causal)) ==
        "backward, contiguous, 8 queries, 8 keys, world 2, ring size 2, schedule ring:2\n"
        "rank  step  owner      keys  visible  send  receive  grad to  grad from  home from  "
        "bytes out  bytes in\n"
        "   0     0      0  2 from 0  partial     1        -        -          -          -  "
        "       20         0\n"
        "   0     1      0  2 from 2  partial     1        -        -          -          -  "
        "       20         0\n"
        "   0     2      1  2 from 0     none     -        -        -          -          1  "
        "        0        14\n"
        "   0     3      1  2 from 2     none     -        -        -          -          1  "
        "        0        14\n"
        "   1     0      1  2 from 0  partial     -        0        -          -          -  "
        "        0        20\n"
        "   1     1      1  2 from 2  partial     -        0        -          -          -  "
        "        0        20\n"
        "   1     2      0  2 from 0     full     -        -        0          -          -  "
        "       14         0\n"
        "   1     3      0  2 from 2     full     -        -        0          -          -  "
        "       14         0\n"
        "computed 6 of 8 blocks, sent 68 bytes, hop buffers of up to 68 bytes a rank\n");
  auto json = nlohmann::json::parse(planJson(planRing(Pass::Backward, 0, problem, causal)));
  CHECK(json["schedule"] == "ring:2");
  const auto &steps = json["ranks"][1]["steps"];
  REQUIRE(steps.size() == 4);
  CHECK(steps[1]["hop"] == 0);
  CHECK(steps[1]["firstRow"] == 2);
  CHECK(steps[3]["hop"] == 1);
  CHECK(steps[3]["gradientsTo"] == 0);
  problem.schedule.chunks = 0;
  CHECK_THROWS_WITH_AS(planRank(Pass::Forward, 0, problem, causal),
                       "schedule: got ring:0, allowed: ring, ring:C with 1 to 64 chunks of a hop, "
                       "all-gather",
                       InputError);
  problem.schedule = Schedule::AllGather;
  problem.schedule.chunks = 2;
  CHECK_THROWS_AS(planRank(Pass::Forward, 0, problem, causal), InputError);
}
