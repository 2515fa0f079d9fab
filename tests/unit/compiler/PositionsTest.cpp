// Masks at the ends of what positions and their limits can be: nothing wraps that is seen.

#include "tests/unit/compiler/KernelRun.h"

#include <doctest/doctest.h>

#include <functional>
#include <limits>

using namespace ringc;
using namespace ringc::testing;

namespace {

constexpr int64_t limit = int64_t(1) << 31;
constexpr int64_t queries = 61, keys = 45; // the last tiles reach beyond

/// How many keys each query sees.
constexpr const char *text = R"(
kernel counted<BQ = 16, BKV = 16, mask: predicate = all>(qpos: positions[Nq], kpos: positions[Nk], counts: view<f32>[Nq])
  over rows in Nq step BQ
{
  for cols in 0 .. Nk step BKV if seen = mask(qpos[rows : BQ], kpos[cols : BKV]) {
    counts[rows : BQ] += rowsum(where(seen, full<f32>[BQ, BKV](1.0), 0.0))
  }
}
)";

/// The same with numbers added to positions.
constexpr const char *shiftedText = R"(
kernel shifted<BQ = 16, BKV = 16, mask: predicate = all>(
    qpos: positions[Nq], kpos: positions[Nk], counts: view<f32>[Nq], looped: view<f32>[Nq], dq: i32, dk: i32)
  over rows in Nq step BQ
{
  let twice = dq * 2
  for cols in 0 .. Nk step BKV if seen = mask(qpos[rows : BQ] + (twice - dq), kpos[cols : BKV] - dk) {
    counts[rows : BQ] += rowsum(where(seen, full<f32>[BQ, BKV](1.0), 0.0))
  }
  for cols in 0 .. Nk step BKV {
    let own = mask(qpos[rows : BQ] + dq, kpos[cols : BKV] - dk)
    looped[rows : BQ] += rowsum(where(own, full<f32>[BQ, BKV](1.0), 0.0))
  }
}
)";

struct Masked {
  std::string name;
  std::vector<std::pair<std::string, int32_t>> limits;
  std::function<bool(int64_t i, int64_t j)> sees;
};

std::vector<Masked> masks() {
  std::vector<Masked> made = {{"causal", {}, [](int64_t i, int64_t j) { return j <= i; }}};
  constexpr int64_t sides[] = {-1, 0, 7, limit - 65, limit - 2, limit - 1};
  for (int64_t left : sides)
    for (int64_t right : sides)
      made.push_back({"window",
                      {{"window.left", int32_t(left)}, {"window.right", int32_t(right)}},
                      [=](int64_t i, int64_t j) {
                        return (left < 0 || i - j <= left) && (right < 0 || j - i <= right);
                      }});
  for (int64_t prefix : {int64_t(0), limit - 20, limit - 1})
    made.push_back({"prefix", {{"prefix.prefix", int32_t(prefix)}}, [=](int64_t i, int64_t j) {
                      return j <= i || j < prefix;
                    }});
  return made;
}

} // namespace

TEST_CASE("causal, window and prefix are exact for positions up to 2^31 - 2 and negative queries") {
  // Of sequences of at most 2^31 - 1: the last key and query have one position, and a query's is as
  // far below 0 as there are more queries than keys.
  constexpr int64_t last = limit - 2;
  const std::pair<int64_t, int64_t> firsts[] = {{last - queries + 1, last - keys + 1},
                                                {last - queries + 1, 0},
                                                {0, last - keys + 1},
                                                {-limit + keys + 1, 0},
                                                {-queries, last - keys - queries},
                                                {-30, 0}};
  for (const Target &target : hostVariants())
    for (const char *name : {"causal", "window", "prefix"}) {
      KernelRun run({.kernel = "counted", .mask = {name}}, text, target);
      for (const Masked &mask : masks())
        for (auto [firstQuery, firstKey] : firsts) {
          if (mask.name != name)
            continue;
          CAPTURE(describe(target));
          CAPTURE(name);
          CAPTURE(firstQuery);
          CAPTURE(firstKey);
          Matrix counts =
              Matrix::from(ElementType::F32, queries, 1, [](int64_t, int64_t) { return 0; });
          constexpr int32_t whole = 1 << 20;
          run.bind("counts", counts);
          run.bind("qpos", Positions{.first = int32_t(firstQuery), .block = whole, .jump = whole});
          run.bind("kpos", Positions{.first = int32_t(firstKey), .block = whole, .jump = whole});
          for (const auto &[parameter, value] : mask.limits) {
            CAPTURE(value);
            run.bind(parameter, value);
          }
          run.extent("Nq", queries).extent("Nk", keys).run();
          CHECK(largestError(counts, [&](int64_t row, int64_t) {
                  int64_t seen = 0;
                  for (int64_t key = 0; key < keys; ++key)
                    seen += mask.sees(firstQuery + row, firstKey + key);
                  return double(seen);
                }) == 0);
        }
    }
}

TEST_CASE("positions with a number added are those of a sequence that begins elsewhere") {
  for (const Target &target : hostVariants())
    for (const char *name : {"causal", "window", "prefix"}) {
      KernelRun run({.kernel = "shifted", .mask = {name}}, shiftedText, target);
      for (const Masked &mask : masks())
        for (auto [dq, dk] :
             {std::pair<int32_t, int32_t>{0, 0}, {20, 0}, {-50, 0}, {7, -31}, {1000, 990}}) {
          if (mask.name != name)
            continue;
          CAPTURE(describe(target));
          CAPTURE(name);
          CAPTURE(dq);
          CAPTURE(dk);
          Matrix counts =
                     Matrix::from(ElementType::F32, queries, 1, [](int64_t, int64_t) { return 0; }),
                 looped =
                     Matrix::from(ElementType::F32, queries, 1, [](int64_t, int64_t) { return 0; });
          run.bind("counts", counts).bind("looped", looped).bind("dq", dq).bind("dk", dk);
          run.bind("qpos", Positions{.first = 3, .block = 4, .jump = 8}); // striped
          run.bind("kpos", Positions{.first = 1200, .block = 1 << 20, .jump = 1 << 20});
          for (const auto &[parameter, value] : mask.limits)
            run.bind(parameter, value);
          run.extent("Nq", queries).extent("Nk", keys).run();
          auto seen = [&](int64_t row, int64_t) {
            int64_t count = 0;
            for (int64_t key = 0; key < keys; ++key)
              count += mask.sees(3 + row / 4 * 8 + row % 4 + dq, 1200 + key - dk);
            return double(count);
          };
          CHECK(largestError(counts, seen) == 0);
          CHECK(largestError(looped, seen) == 0);
        }
    }
}

TEST_CASE("windows whose offsets wrap lie outside, or where they wrapped to") {
  // 2^28, of rows of programs and of a loop: 8 * 2^28 is -2^31, 16 * 2^28 is 0.
  constexpr const char *wrapping = R"(
kernel wrapping<BM = 8>(x: view<f32>[M], y: view<f32>[M], z: view<f32>[M], dr: i32) over r in M step BM {
  y[r : BM] = x[r * 268435456 + r : BM else -7.0]
  for c in 0 .. M step BM {
    z[c : BM] = x[c + c * 536870911 + dr : BM else -7.0]
  }
}
)";
  constexpr int64_t rows = 29;
  for (const Target &target : hostVariants())
    for (int32_t dr : {0, 3, -3, 2147483647, std::numeric_limits<int32_t>::min()}) {
      CAPTURE(describe(target));
      CAPTURE(dr);
      KernelRun run({.kernel = "wrapping"}, wrapping, target);
      Matrix x = Matrix::random(ElementType::F32, rows, 1, 3);
      Matrix y(ElementType::F32, rows, 1), z(ElementType::F32, rows, 1);
      run.bind("x", x).bind("y", y).bind("z", z).bind("dr", dr).run();
      auto at = [&](int64_t first, int64_t row) {
        int64_t place = int64_t(int32_t(uint32_t(uint64_t(first)))) + row;
        return place >= 0 && place < rows ? x.at(place) : -7;
      };
      CHECK(largestError(y, [&](int64_t row, int64_t) {
              int64_t r = row / 8 * 8;
              return at(r * 268435456 + r, row - r);
            }) == 0);
      CHECK(largestError(z, [&](int64_t row, int64_t) {
              int64_t c = row / 8 * 8;
              return at(c + c * 536870911 + dr, row - c);
            }) == 0);
    }
}
