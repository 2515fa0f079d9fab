#include "RandomExpression.h"

#include "ringc/compiler/predicate/Visibility.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <limits>

using namespace ringc::predicate;
using ringc::predicate::testing::RandomExpression;

namespace {

struct Case {
  Box box;
  ParameterValues parameters;
  std::array<int64_t, 8> table;
  std::array<double, 8> slope;
  std::array<bool, 8> keep;

  ScalarValue element(const Node &node, std::span<const int64_t> indices) const {
    size_t at = 0;
    for (int64_t index : indices)
      at = (at * 3 + static_cast<size_t>(index)) % 8;
    if (node.name == "table")
      return table[at];
    if (node.name == "slope")
      return slope[at];
    return keep[at];
  }
  std::optional<ElementBounds> bounds(const Node &node, std::span<const Range> indices) const {
    if (node.name == "table")
      return ElementBounds{double(*std::min_element(table.begin(), table.end())),
                           double(*std::max_element(table.begin(), table.end()))};
    if (node.name == "slope")
      return ElementBounds{*std::min_element(slope.begin(), slope.end()),
                           *std::max_element(slope.begin(), slope.end())};
    ElementBounds exact = {1, 0};
    for (int64_t row = indices[0].low; row <= indices[0].high; ++row) {
      exact.low = std::min(exact.low, double(keep[size_t(row) % 8]));
      exact.high = std::max(exact.high, double(keep[size_t(row) % 8]));
    }
    return exact;
  }
};

Case drawCase(std::mt19937 &random) {
  auto pick = [&](auto low, auto high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  auto range = [&](int64_t low, int64_t high, int64_t length) {
    int64_t start = pick(low, high);
    return Range{start, start + pick(0, length)};
  };
  Case drawn;
  int64_t limit = pick(0, 9) == 0 ? 2147483600 : 20;
  drawn.box = {.batch = range(0, 1, 1),
               .head = range(0, 2, 1),
               .queryPosition = range(-limit, limit, 5),
               .keyPosition = range(0, limit, 5),
               .queryRow = range(0, 3, 1),
               .keyRow = range(0, 3, 2)};
  constexpr std::array<double, 6> reals = {
      0, 0.5, -3, 1e20, std::numeric_limits<double>::infinity(), 7};
  drawn.parameters = {{"p", pick(-3, 5)}, {"x", reals[pick(0, 5)]}, {"flag", pick(0, 1) == 1}};
  if (pick(0, 3) == 0)
    drawn.parameters["p"] = pick(0, 1) ? int64_t(-2147483648) : int64_t(2147483647);
  for (size_t index = 0; index < 8; ++index) {
    drawn.table[index] = pick(-2, 6);
    drawn.slope[index] = reals[pick(0, 5)];
    drawn.keep[index] = pick(0, 2) != 0;
  }
  return drawn;
}

/// Calls `visit` with every point of the box until it returns false.
template <class Visit> void everyPoint(const Box &box, Visit visit) {
  for (int64_t b = box.batch.low; b <= box.batch.high; ++b)
    for (int64_t h = box.head.low; h <= box.head.high; ++h)
      for (int64_t i = box.queryPosition.low; i <= box.queryPosition.high; ++i)
        for (int64_t j = box.keyPosition.low; j <= box.keyPosition.high; ++j)
          for (int64_t row = box.queryRow.low; row <= box.queryRow.high; ++row)
            for (int64_t key = box.keyRow.low; key <= box.keyRow.high; ++key)
              if (!visit(Point{b, h, i, j, row, key}))
                return;
}

} // namespace

TEST_CASE("no point contradicts what is said of its box") {
  std::mt19937 random(1);
  int decided = 0, partial = 0;
  for (int trial = 0; trial < 30000; ++trial) {
    Expression mask = RandomExpression(random).mask(1 + trial % 5);
    Case drawn = drawCase(random);
    Visibility said = visibility(mask, drawn.box, drawn.parameters,
                                 [&](const Node &node, std::span<const Range> indices) {
                                   return drawn.bounds(node, indices);
                                 });
    if (said == Visibility::Partial) {
      ++partial;
      continue;
    }
    ++decided;
    bool expected = said == Visibility::Full;
    everyPoint(drawn.box, [&](const Point &point) {
      ScalarValue value = evaluateAt(mask, point, drawn.parameters,
                                     [&](const Node &node, std::span<const int64_t> indices) {
                                       return drawn.element(node, indices);
                                     });
      if (std::get<bool>(value) == expected)
        return true;
      FAIL_CHECK(mask.toString() << " at i=" << point.queryPosition << " j=" << point.keyPosition
                                 << " was said to be " << nameOf(said));
      return false;
    });
  }
  CHECK(decided > 3000);
  CHECK(partial > 3000);
}

TEST_CASE("without parameters and elements nothing false is said either") {
  std::mt19937 random(2);
  for (int trial = 0; trial < 5000; ++trial) {
    Expression mask = RandomExpression(random).mask(1 + trial % 4);
    Case drawn = drawCase(random);
    Visibility said = visibility(mask, drawn.box);
    if (said == Visibility::Partial)
      continue;
    Point first = {drawn.box.batch.low,       drawn.box.head.low,     drawn.box.queryPosition.low,
                   drawn.box.keyPosition.low, drawn.box.queryRow.low, drawn.box.keyRow.low};
    ScalarValue value = evaluateAt(mask, first, drawn.parameters,
                                   [&](const Node &node, std::span<const int64_t> indices) {
                                     return drawn.element(node, indices);
                                   });
    CHECK_MESSAGE(std::get<bool>(value) == (said == Visibility::Full), mask.toString());
  }
}
