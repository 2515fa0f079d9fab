// What ranks must have in common is compared, and what differs is named on all of them.

#include "ringc/ring/Agreement.h"

#include "ringc/comm/Gather.h"
#include "ringc/comm/InProcess.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <span>
#include <string>
#include <vector>

using namespace ringc;
using namespace std::chrono_literals;

namespace {

Agreement callOf(int64_t window) {
  Agreement made;
  made.add("pass", "forward").add("window", window).add("scale", 0.125).add("causal", true);
  return made;
}

/// What each rank of a world throws.
std::vector<std::string> compared(const std::vector<Agreement> &ofRanks) {
  int size = int(ofRanks.size());
  InProcessWorld world(size, {.lends = false, .deadline = 10s});
  std::vector<std::string> errors(ofRanks.size(), "nothing thrown");
  std::vector<int> ranks(ofRanks.size());
  std::iota(ranks.begin(), ranks.end(), 0);
  runRanks(world, [&](int rank) {
    try {
      requireAgreement(ofRanks[size_t(rank)], rank, ranks, [&](std::span<const std::byte> own) {
        return gather(world.at(rank), ranks, own);
      });
    } catch (const DisagreementError &error) {
      errors[size_t(rank)] = error.what();
    }
  });
  return errors;
}

} // namespace

TEST_CASE("ranks gather what each of them says, in few messages") {
  for (int size : {1, 2, 3, 4, 5, 8, 13}) {
    int posts = 0;
    InProcessWorld world(size, {.lends = false, .beforePost = [&](int rank, const Exchange &) {
                                  if (rank == 0)
                                    ++posts;
                                }});
    std::vector<int> ranks(static_cast<size_t>(size));
    std::iota(ranks.begin(), ranks.end(), 0);
    runRanks(world, [&](int rank) {
      int said = 100 + rank;
      auto heard = gather(world.at(rank), ranks, std::as_bytes(std::span(&said, 1)));
      REQUIRE(heard.size() == size_t(size));
      for (int each = 0; each < size; ++each) {
        int value = 100 + each;
        CHECK(std::ranges::equal(heard[size_t(each)], std::as_bytes(std::span(&value, 1))));
      }
    });
    int rounds = 0;
    while ((1 << rounds) < size)
      ++rounds;
    CHECK(posts == rounds);
  }
}

TEST_CASE("ranks that agree") {
  for (size_t size : {1, 2, 3, 7})
    CHECK(compared(std::vector<Agreement>(size, callOf(5))) ==
          std::vector<std::string>(size, "nothing thrown"));
}

TEST_CASE("the field that differs is named on all ranks, with both values and their ranks") {
  for (size_t odd : {0, 1, 2}) {
    std::vector<Agreement> ofRanks(3, callOf(5));
    ofRanks[odd] = callOf(7);
    int other = odd == 0 ? 1 : int(odd);
    std::string said = "the ranks do not agree: window: " + std::string(odd == 0 ? "7" : "5") +
                       " on rank 0, " + (odd == 0 ? "5" : "7") + " on rank " +
                       std::to_string(other);
    std::vector<std::string> errors = compared(ofRanks);
    for (int rank = 0; rank < 3; ++rank)
      CHECK(errors[size_t(rank)] == "rank " + std::to_string(rank) + ": hop 0, plans, peer " +
                                        std::to_string(rank == other ? 0 : other) + ": " + said);
  }
}

TEST_CASE("lists of other lengths, long values, and values that only look alike") {
  auto differ = [](const Agreement &a, const Agreement &b) {
    std::string text = compared({a, b})[0];
    return text.substr(text.find("agree: ") + 7);
  };
  Agreement longer = callOf(5);
  longer.add("mask", "mine");
  CHECK(differ(callOf(5), longer) == "mask: nothing on rank 0, mine on rank 1");
  CHECK(differ(longer, callOf(5)) == "mask: mine on rank 0, nothing on rank 1");
  Agreement none = callOf(5);
  none.add("mask", "");
  CHECK(differ(none, longer) == "mask: none on rank 0, mine on rank 1");
  std::string text(400, 'x');
  Agreement one, other;
  one.add("text", text + "a");
  other.add("text", text + "b");
  std::string shown = differ(one, other);
  CHECK(shown.find("sha256") != std::string::npos);
  CHECK(shown.size() < 400);
  Agreement split, joined;
  split.add("a", "1").add("b", "2");
  joined.add("a", "1b2");
  CHECK(differ(split, joined) == "a: 1 on rank 0, 1b2 on rank 1");
  Agreement near, far;
  near.add("scale", 0.1);
  far.add("scale", std::nextafter(0.1, 1.0));
  CHECK(differ(near, far) == "scale: 0.1 on rank 0, 0.10000000000000002 on rank 1");
}

TEST_CASE("a rank in the middle of another call is found") {
  InProcessWorld world(2, {.lends = false, .deadline = 5s});
  std::vector<int> ranks = {0, 1};
  std::vector<std::byte> other(49);
  auto gatherOf = [&](int rank) {
    return [&world, &ranks, rank](std::span<const std::byte> own) {
      return gather(world.at(rank), ranks, own);
    };
  };
  CHECK_THROWS_WITH_AS(runRanks(world,
                                [&](int rank) {
                                  if (rank == 0)
                                    requireAgreement(callOf(5), 0, ranks, gatherOf(0));
                                  else
                                    (void)gather(world.at(1), ranks, other);
                                }),
                       "rank 0: hop 0, plans, peer 1: it is in the middle of another call, or runs "
                       "another version of ringc",
                       PeerError);
}

TEST_CASE("an announcement is no answer to who compares") {
  InProcessWorld world(2, {.lends = false, .deadline = 5s});
  std::vector<int> ranks = {0, 1};
  CHECK_THROWS_AS(runRanks(world,
                           [&](int rank) {
                             auto exchange = [&](std::span<const std::byte> own) {
                               return gather(world.at(rank), ranks, own);
                             };
                             if (rank == 0)
                               requireAgreement(callOf(5), 0, ranks, exchange);
                             else
                               (void)exchange(announcementOf(callOf(5)));
                           }),
                  PeerError);
  CHECK(announcementOf(callOf(5)) == announcementOf(callOf(5)));
  CHECK(announcementOf(callOf(5)) != announcementOf(callOf(6)));
  CHECK(announcementOf(callOf(5)).size() % 2 == 1);
}

TEST_CASE("ranks that one caller knows") {
  Agreement a = callOf(5), b = callOf(7);
  std::vector<int> ranks = {4, 5};
  const Agreement *alike[] = {&a, &a}, *different[] = {&a, &b};
  CHECK_NOTHROW(requireAgreement(alike, ranks));
  CHECK_THROWS_WITH_AS(
      requireAgreement(different, ranks),
      "rank 5: hop 0, plans, peer 4: the ranks do not agree: window: 5 on rank 4, 7 "
      "on rank 5",
      DisagreementError);
}

TEST_CASE("a checksum sees every byte and its place") {
  std::vector<std::byte> bytes(100);
  uint64_t zeros = checksum(bytes);
  CHECK(zeros != checksum(std::span(bytes).first(99)));
  CHECK(checksum({}) != checksum(std::span(bytes).first(1)));
  std::vector<uint64_t> seen = {zeros};
  for (std::byte &each : bytes) {
    each = std::byte(1);
    seen.push_back(checksum(bytes));
    each = std::byte(0);
  }
  std::ranges::sort(seen);
  CHECK(std::ranges::adjacent_find(seen) == seen.end());
}
