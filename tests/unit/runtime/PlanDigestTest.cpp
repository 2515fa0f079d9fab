#include "runtime/ring/PlanDigest.h"

#include <doctest/doctest.h>

#include <functional>
#include <string>

using namespace ringc;

namespace {

PlanDigest digestOf(
    Pass pass, const RingProblem &problem, int64_t batch = 2, int ring = 0,
    const PlaceVisibility &seen = [](int, int) { return Visibility::Full; }) {
  return PlanDigest::of(planRing(pass, ring, problem, seen), batch);
}

const RingProblem problem{.rings = {4, 4},
                          .layout = {},
                          .queryLength = 40,
                          .keyLength = 48,
                          .bytesPerKey = 16,
                          .gradientBytesPerKey = 32};

} // namespace

TEST_CASE("ranks that plan the same have one digest, also on the wire") {
  PlanDigest digest = digestOf(Pass::Backward, problem);
  CHECK(digest == digestOf(Pass::Backward, problem));
  CHECK(PlanDigest::of(digest.bytes()) == digest);
  CHECK(describeDifference(digest, digest) == "nothing");
}

TEST_CASE("whatever differs is seen and named") {
  PlanDigest here = digestOf(Pass::Forward, problem);
  auto difference = [&](const PlanDigest &there) {
    CHECK(there != here);
    return describeDifference(here, there);
  };
  auto with = [&](const std::function<void(RingProblem &)> &change) {
    RingProblem other = problem;
    change(other);
    return difference(digestOf(Pass::Forward, other));
  };
  CHECK(difference(digestOf(Pass::Backward, problem)) == "a forward here, a backward there");
  CHECK(difference(digestOf(Pass::Forward, problem, 3)) == "2 entries in the batch here, 3 there");
  CHECK(with([](RingProblem &other) { other.queryLength = 41; }) == "40 queries here, 41 there");
  CHECK(with([](RingProblem &other) { other.keyLength = 49; }) == "48 keys here, 49 there");
  CHECK(with([](RingProblem &other) { other.bytesPerKey = 8; }) == "16 bytes a key here, 8 there");
  CHECK(with([](RingProblem &other) { other.schedule = Schedule::AllGather; }) ==
        "a ring here, an all-gather there");
  std::string rest = "another layout, mask or ring size there";
  CHECK(with([](RingProblem &other) { other.rings.ringSize = 2; }) == rest);
  CHECK(difference(digestOf(Pass::Forward, problem, 2, 0, [](int query, int owner) {
          return query >= owner ? Visibility::Full : Visibility::None;
        })) == rest);
}
