#include "tests/ring/RingRun.h"

#include <doctest/doctest.h>

#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

/// Multiplies the rows of each owner's keys and values by 1 + its world rank.
Inputs tagged(const RingCase &ring) {
  Inputs inputs = randomInputs(ring, 9);
  SubRings rings{ring.world, ring.ringSize};
  for (int rank = 0; rank < ring.world; ++rank) {
    BatchRange batch = batchOfRing(ring.batch, rings.rings(), rings.ringOf(rank));
    int place = rings.placeOf(rank);
    Positions at = positions(ring.layout, place, ring.ringSize, ring.keys);
    int64_t rows = localLength(ring.layout, place, ring.ringSize, ring.keys);
    for (int64_t b = batch.begin; b < batch.begin + batch.count; ++b)
      for (int64_t row = 0; row < rows; ++row)
        for (const HostTensor *each : {&inputs.k, &inputs.v}) {
          Tensor values = each->view().select(0, b).select(0, at(row));
          for (int64_t i = 0; i < values.elementCount(); ++i)
            values.dataAs<float>()[i] *= float(1 + rank);
        }
  }
  return inputs;
}

} // namespace

TEST_CASE("sub-rings: every block and every gradient belongs to its owner") {
  for (SequenceLayout layout :
       {SequenceLayout::contiguous(), SequenceLayout::striped(2), SequenceLayout::zigzag()}) {
    for (int ringSize : {1, 2, 4, 8}) {
      for (int64_t batch : {1, 3, 8}) {      // fewer than the rings, not divided by them, divided
        for (int64_t window : {-1, 4, 11}) { // all hops, truncated rings
          for (Schedule schedule : commonSchedules) {
            RingCase ring{.world = 8,
                          .ringSize = ringSize,
                          .layout = layout,
                          .schedule = schedule,
                          .batch = batch,
                          .queries = 19,
                          .keys = 19,
                          .mask = {true, window, -1}};
            CAPTURE(ring.name());
            Inputs inputs = tagged(ring);
            reference::Result right = expected(ring, inputs);
            CHECK(worstError(runRing(ring, std::move(inputs)), right) < 2e-6);
          }
        }
      }
    }
  }
}

TEST_CASE("dq depends on the values of another rank: no stale keys in the backward") {
  for (Schedule schedule : commonSchedules) {
    RingCase ring{.world = 3, .ringSize = 3, .schedule = schedule, .queries = 12, .keys = 12};
    Inputs whole = randomInputs(ring, 5), without = randomInputs(ring, 5);
    for (int64_t i = 4 * 4; i < 8 * 4; ++i)
      without.k.dataAs<float>()[i] = without.v.dataAs<float>()[i] = 0;
    Outputs a = runRing(ring, std::move(whole)), b = runRing(ring, std::move(without));
    CHECK(a.dq.dataAs<float>()[0] != b.dq.dataAs<float>()[0]);
  }
}

TEST_CASE("the error does not grow with the number of ranks") {
  auto error = [](int size, Schedule schedule) {
    RingCase ring{.world = size,
                  .ringSize = size,
                  .schedule = schedule,
                  .queries = 64,
                  .keys = 64,
                  .heads = 2,
                  .mask = {true, -1, -1}};
    Inputs inputs = randomInputs(ring, 11);
    reference::Result right = expected(ring, inputs);
    return worstError(runRing(ring, std::move(inputs)), right);
  };
  double alone = error(1, Schedule::Ring);
  for (Schedule schedule : commonSchedules)
    for (int size : {2, 4, 8, 16})
      CHECK(error(size, schedule) <= 1.5 * alone);
}
