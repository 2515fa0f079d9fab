#include "ringc/compiler/predicate/Builder.h"
#include "ringc/compiler/predicate/Visibility.h"
#include "ringc/support/Error.h"

#include <doctest/doctest.h>

#include <limits>

using namespace ringc::predicate;

namespace {

struct Positions {
  Builder builder;
  Term i = Term::of(builder, Variable::QueryPosition);
  Term j = Term::of(builder, Variable::KeyPosition);
  Term h = Term::of(builder, Variable::Head);
  Term parameter(const char *name, ScalarType type = ScalarType::Int) {
    return {builder, builder.parameter(name, type)};
  }
};

Box tile(Range i, Range j) { return {.queryPosition = i, .keyPosition = j}; }

/// Brute force.
Visibility exact(const Expression &mask, const Box &box, const ParameterValues &parameters) {
  bool some = false, all = true;
  for (int64_t i = box.queryPosition.low; i <= box.queryPosition.high; ++i)
    for (int64_t j = box.keyPosition.low; j <= box.keyPosition.high; ++j) {
      bool visible =
          std::get<bool>(evaluateAt(mask, {.queryPosition = i, .keyPosition = j}, parameters));
      some |= visible;
      all &= visible;
    }
  return all ? Visibility::Full : some ? Visibility::Partial : Visibility::None;
}

/// Every tile of 1 to 4 queries and keys with positions up to 11.
void checkExactOnAllTiles(const Expression &mask, const ParameterValues &parameters = {}) {
  for (int64_t i = -2; i < 12; ++i)
    for (int64_t j = 0; j < 12; ++j)
      for (int64_t queries = 0; queries < 4; ++queries)
        for (int64_t keys = 0; keys < 4; ++keys) {
          Box box = tile({i, i + queries}, {j, j + keys});
          CHECK(visibility(mask, box, parameters) == exact(mask, box, parameters));
        }
}

} // namespace

TEST_CASE("causal, window and prefix are exact on every tile") {
  Positions p;
  checkExactOnAllTiles((p.j <= p.i).build());
  checkExactOnAllTiles((p.j <= p.i || p.j < p.parameter("prefix")).build(),
                       {{"prefix", int64_t(5)}});
  Term left = p.parameter("left"), right = p.parameter("right");
  Expression window =
      ((left < 0 || p.i - p.j <= left) && (right < 0 || p.j - p.i <= right)).build();
  for (int64_t leftValue : {-1, 0, 1, 3, 9})
    for (int64_t rightValue : {-1, 0, 2})
      checkExactOnAllTiles(window, {{"left", leftValue}, {"right", rightValue}});
}

TEST_CASE("a remainder is exact within one period") {
  Positions p;
  Expression even = (p.j % 4 < 2).build();
  CHECK(visibility(even, tile({0, 0}, {4, 5})) == Visibility::Full);
  CHECK(visibility(even, tile({0, 0}, {6, 7})) == Visibility::None);
  CHECK(visibility(even, tile({0, 0}, {7, 8})) == Visibility::Partial);
  Expression negative = ((p.i - p.j) % 4 == 3).build();
  CHECK(visibility(negative, tile({0, 0}, {1, 1})) == Visibility::Full);
  CHECK(visibility((p.j % 4 < 4).build(), tile({0, 0}, {-100, 100})) == Visibility::Full);
  CHECK(visibility((p.j % -4 <= 0).build(), tile({0, 0}, {-100, 100})) == Visibility::Full);
}

TEST_CASE("division by what may be zero says nothing") {
  Positions p;
  Term c = p.parameter("c");
  Expression mask = (p.j / c < 100 && p.j % c < 100).build();
  CHECK(visibility(mask, tile({0, 0}, {1, 9}), {{"c", int64_t(0)}}) == Visibility::Partial);
  CHECK(visibility(mask, tile({0, 0}, {1, 9}), {{"c", int64_t(2)}}) == Visibility::Full);
  CHECK(visibility(mask, tile({0, 0}, {1, 9})) == Visibility::Partial);
}

TEST_CASE("arithmetic that leaves i32 wraps in the kernel, and then nothing is said") {
  Positions p;
  Expression mask = (p.i + 2 > p.i).build();
  CHECK(visibility((p.i + 2 > 0).build(), tile({1, 2147483645}, {0, 0})) == Visibility::Full);
  CHECK(visibility((p.i + 2 > 0).build(), tile({1, 2147483646}, {0, 0})) == Visibility::Partial);
  CHECK(visibility(mask, tile({2147483646, 2147483646}, {0, 0})) == Visibility::Partial);
}

TEST_CASE("floats: NaN and infinity are never decided") {
  Positions p;
  Term x = p.parameter("x", ScalarType::Float);
  Expression mask = (x < 1.5).build();
  double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(visibility(mask, {}, {{"x", 1.0}}) == Visibility::Full);
  CHECK(visibility(mask, {}, {{"x", 2.0}}) == Visibility::None);
  CHECK(visibility(mask, {}, {{"x", nan}}) == Visibility::Partial);
  CHECK(visibility((!(x >= 1.5)).build(), {}, {{"x", nan}}) == Visibility::Partial);
  CHECK(visibility((x - x == 0.0).build(), {}, {{"x", std::numeric_limits<double>::infinity()}}) ==
        Visibility::Partial);
  CHECK(visibility((x.apply(Op::Log2) < 9.0).build(), {}, {{"x", -1.0}}) == Visibility::Partial);
  CHECK(visibility((x.apply(Op::Exp2) < 2.1).build(), {}, {{"x", 1.0}}) == Visibility::Full);
}

TEST_CASE("elements: bounds of the host decide, and their absence does not") {
  Positions p;
  Term queryRow = Term::of(p.builder, Variable::QueryRow);
  Term keyRow = Term::of(p.builder, Variable::KeyRow);
  Term query(p.builder, p.builder.element("query", ScalarType::Int, {"Nq"}, {queryRow.node()}));
  Term key(p.builder, p.builder.element("key", ScalarType::Int, {"Nk"}, {keyRow.node()}));
  Expression documents = (query == key).build();
  auto known = [](double queryDocument, ElementBounds keyDocuments) {
    return [=](const Node &node, std::span<const Range>) -> std::optional<ElementBounds> {
      return node.name == "query" ? ElementBounds{queryDocument, queryDocument} : keyDocuments;
    };
  };
  CHECK(visibility(documents, {}, {}, known(2, {2, 2})) == Visibility::Full);
  CHECK(visibility(documents, {}, {}, known(2, {3, 5})) == Visibility::None);
  CHECK(visibility(documents, {}, {}, known(2, {1, 2})) == Visibility::Partial);
  CHECK(visibility(documents, {}) == Visibility::Partial);
  Expression both = (p.j <= p.i && query == key).build();
  CHECK(visibility(both, tile({0, 3}, {4, 5})) == Visibility::None);
}

TEST_CASE("an empty tile sees nothing") {
  Positions p;
  CHECK(visibility((p.j <= p.i).build(), tile({5, 4}, {0, 0})) == Visibility::None);
}

TEST_CASE("wrong arguments are refused") {
  Positions p;
  CHECK_THROWS_AS(visibility((p.i + p.j).build(), {}), ringc::InputError);
  CHECK_THROWS_WITH_AS(visibility((p.j <= p.i).build(), tile({0, 1ll << 31}, {0, 0})),
                       "position: got 2147483648, allowed: a 32-bit integer", ringc::InputError);
  CHECK_THROWS_WITH_AS(visibility((p.j < p.parameter("c")).build(), {}, {{"c", 1.5}}),
                       "c: allowed: an i32", ringc::InputError);
}
