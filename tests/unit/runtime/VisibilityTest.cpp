#include "ringc/ring/Visibility.h"

#include "ringc/ring/Plan.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

using namespace ringc;

namespace {

struct Mask {
  const char *name;
  bool causal;
  int64_t left, right; ///< -1 is unbounded

  bool shows(int64_t i, int64_t j) const {
    return (!causal || j <= i) && (left < 0 || j >= i - left) && (right < 0 || j <= i + right);
  }

  /// Exact for boxes: the mask depends on i - j alone, and a box shows a range of it.
  Visibility box(const PositionBox &box) const {
    int64_t least = box.queryFirst - box.keyLast, most = box.queryLast - box.keyFirst;
    int64_t from = right < 0 ? INT64_MIN : -right, to = left < 0 ? INT64_MAX : left;
    if (causal && from < 0)
      from = 0;
    if (most < from || least > to)
      return Visibility::None;
    return least >= from && most <= to ? Visibility::Full : Visibility::Partial;
  }
};

Visibility rowByRow(const ShardRows &queries, const ShardRows &keys, const Mask &mask) {
  int64_t shown = 0;
  for (int64_t i = 0; i < queries.rows; ++i)
    for (int64_t j = 0; j < keys.rows; ++j)
      shown += mask.shows(queries.positions(i), keys.positions(j));
  if (shown == 0)
    return Visibility::None;
  return shown == queries.rows * keys.rows ? Visibility::Full : Visibility::Partial;
}

} // namespace

TEST_CASE("visibility names are distinct") {
  CHECK(nameOf(Visibility::None) == "none");
  CHECK(nameOf(Visibility::Partial) == "partial");
  CHECK(nameOf(Visibility::Full) == "full");
}

TEST_CASE("shards joined from boxes agree with the rows") {
  const Mask masks[] = {{"full", false, -1, -1},   {"causal", true, -1, -1},
                        {"window", false, 3, 2},   {"self", true, 0, 0},
                        {"look-back", true, 7, 0}, {"ahead", false, -1, 0}};
  const SequenceLayout layouts[] = {SequenceLayout::contiguous(), SequenceLayout::zigzag(),
                                    SequenceLayout::striped(), SequenceLayout::striped(4)};
  for (const Mask &mask : masks) {
    for (const SequenceLayout &layout : layouts) {
      for (int size = 1; size <= 5; ++size) {
        for (auto [nq, nk] : {std::pair<int64_t, int64_t>{1, 1},
                              {20, 20},
                              {23, 23},
                              {9, 21},
                              {21, 9},
                              {0, 5},
                              {5, 0}}) {
          RingProblem problem{
              .rings = {size, size}, .layout = layout, .queryLength = nq, .keyLength = nk};
          PlaceVisibility visible =
              visibilityOfShards(problem, [&](const PositionBox &box) { return mask.box(box); });
          for (int query = 0; query < size; ++query) {
            for (int owner = 0; owner < size; ++owner) {
              CAPTURE(mask.name);
              CAPTURE(nameOf(layout));
              CAPTURE(size);
              CAPTURE(nq);
              CAPTURE(nk);
              ShardRows queries{queryPositions(layout, query, size, nq, nk),
                                localLength(layout, query, size, nq)};
              ShardRows keys{positions(layout, owner, size, nk),
                             localLength(layout, owner, size, nk)};
              Visibility exact = rowByRow(queries, keys, mask), said = visible(query, owner, 0);
              // Full and None are proofs. Shards of one or two runs are exact.
              if (said != Visibility::Partial)
                REQUIRE(said == exact);
              if (layout.kind != SequenceLayout::Kind::Striped)
                REQUIRE(said == exact);
            }
          }
        }
      }
    }
  }
}

TEST_CASE("shards of very many stripes are one box, quickly") {
  RingProblem problem{.rings = {64, 64},
                      .layout = SequenceLayout::striped(),
                      .queryLength = int64_t(1) << 30,
                      .keyLength = int64_t(1) << 30};
  Mask causal{"causal", true, -1, -1};
  PlaceVisibility visible =
      visibilityOfShards(problem, [&](const PositionBox &box) { return causal.box(box); });
  for (int query = 0; query < 64; ++query)
    for (int owner = 0; owner < 64; ++owner)
      REQUIRE(visible(query, owner, 0) == Visibility::Partial);
}
