// Tiles of integers: counted, of positions, read from views, carried by loops; and random numbers
// keyed on them.

#include "ringc/compiler/predicate/Philox.h"
#include "tests/unit/compiler/KernelRun.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

using namespace ringc;
using namespace ringc::testing;

TEST_CASE("iota counts rows and columns; loops carry integers") {
  constexpr const char *text = R"(
kernel counted<BM = 8, BN = 8>(rows: view<i32>[M], table: view<i32>[M, N], sums: view<i32>[M], corner: view<i32>[1, 1])
  over r in M step BM
{
  let i = r + iota<i32>[BM, 1]
  rows[r : BM] = i
  var sum = zeros<i32>[BM, 1]
  for c in 0 .. N step BN {
    let j = c + iota<i32>[1, BN]
    table[r : BM, c : BN] = i * 1000 + j
    sum += i * c + 1
  }
  sums[r : BM] = sum
  corner[0 : 1, 0 : 1] = iota<i32>[1, 1] + 7
}
)";
  constexpr int64_t rows = 130, columns = 37;
  for (const Target &target : hostVariants())
    for (int64_t m : {1, 5, 16, 64})
      for (int64_t n : {1, 3, 8, 33}) {
        CAPTURE(describe(target));
        CAPTURE(m);
        CAPTURE(n);
        Spec spec;
        spec.kernel = "counted";
        spec.tile = {{"m", m}, {"n", n}};
        KernelRun run(spec, text, target);
        Matrix counted(ElementType::I32, rows, 1), table(ElementType::I32, rows, columns),
            sums(ElementType::I32, rows, 1), corner(ElementType::I32, 1, 1);
        run.bind("rows", counted).bind("table", table).bind("sums", sums).bind("corner", corner);
        run.run();
        CHECK(largestError(counted, [](int64_t r, int64_t) { return r; }) == 0);
        CHECK(largestError(table, [](int64_t r, int64_t c) { return r * 1000 + c; }) == 0);
        CHECK(largestError(sums, [&](int64_t r, int64_t) {
                int64_t sum = 0;
                for (int64_t c = 0; c < columns; c += n)
                  sum += r * c + 1;
                return sum;
              }) == 0);
        CHECK(corner.at(0) == 7);
        CHECK(table.gapsAreUntouched());
      }
}

TEST_CASE("positions are columns of integers, in every layout, of the queries of packed rows") {
  constexpr const char *text = R"(
kernel places<BQ = 16, BKV = 8>(qpos: positions[Nq], kpos: positions[Nk], queries: view<i32>[Nq], keys: view<f32>[Nk], far: view<i32>[Nq])
  over rows in Nq step BQ
{
  let i = qpos[rows : BQ]
  queries[rows : BQ] = i
  for cols in 0 .. Nk step BKV {
    keys[cols : BKV] = f32(kpos[cols : BKV]) * 0.5
    far[rows : BQ] = i - i32(rowmax(f32(i - kpos[cols : BKV]^T)))
  }
}
)";
  struct Case {
    LayoutKind layout;
    Positions positions;
  };
  const Case cases[] = {
      {LayoutKind::Contiguous, {.first = 1000, .block = 1 << 20, .jump = 0}},
      {LayoutKind::Striped, {.first = 3, .block = 1, .jump = 4}},
      {LayoutKind::Zigzag, {.first = 12, .block = 12, .jump = 60}},
  };
  auto positionOf = [](const Positions &p, int64_t l) {
    return p.first + l / p.block * p.jump + l % p.block;
  };
  for (const Target &target : hostVariants())
    for (int64_t group : {1, 3})
      for (const Case &each : cases) {
        CAPTURE(describe(target));
        CAPTURE(group);
        Spec spec;
        spec.kernel = "places";
        spec.groupSize = group;
        spec.queryLayout = spec.keyLayout = each.layout;
        KernelRun run(spec, text, target);
        constexpr int64_t count = 24;
        Matrix queries(ElementType::I32, count, group), keys(ElementType::F32, count, 1),
            far(ElementType::I32, count, group);
        run.bind("qpos", each.positions).bind("kpos", each.positions);
        run.bind("queries", queries).bind("keys", keys).bind("far", far);
        run.extent("Nq", count).extent("Nk", count).extent("H", group).run();
        auto at = [&](int64_t l) { return double(positionOf(each.positions, l)); };
        CHECK(largestError(queries, [&](int64_t r, int64_t) { return at(r); }) == 0);
        CHECK(largestError(keys, [&](int64_t r, int64_t) { return at(r) * 0.5; }) == 0);
        CHECK(largestError(far, [&](int64_t, int64_t) { return at(count - 8); }) == 0);
      }
}

TEST_CASE("Philox4x32-10 gives the published numbers") {
  // Random123's known answers, kat_vectors.
  using predicate::philox4x32;
  using Words = std::array<uint32_t, 4>;
  CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("random numbers depend on their key alone, whatever the tiles and the processor") {
  constexpr const char *text = R"(
function threshold(seed: i32, i: i32) -> f32 { return random(seed, 0, 0, i, 7) }
kernel drawn<BM = 8, BN = 8>(seed: i32, b: view<i32>[M], y: view<f32>[M, N], z: view<f32>[M], one: view<f32>[1, 1])
  over r in M step BM, c in N step BN
{
  let i = r + iota<i32>[BM, 1]
  y[r : BM, c : BN] = random(seed, b[r : BM], 5, i, c + iota<i32>[1, BN])
  z[r : BM] = threshold(seed, i)
  one[0 : 1, 0 : 1] = full<f32>[1, 1](random(seed, 1, 2, 3, 4))
}
)";
  std::mt19937 generator(std::random_device{}());
  constexpr int64_t rows = 67, columns = 41;
  for (const Target &target : hostVariants())
    for (auto [m, n] : {std::pair(1, 1), {8, 8}, {32, 64}, {33, 5}}) {
      CAPTURE(describe(target));
      CAPTURE(m);
      int32_t seed = static_cast<int32_t>(generator());
      CAPTURE(seed);
      Spec spec;
      spec.kernel = "drawn";
      spec.tile = {{"m", m}, {"n", n}};
      KernelRun run(spec, text, target);
      Matrix b = Matrix::from(ElementType::I32, rows, 1, [&](int64_t, int64_t) {
        return double(static_cast<int32_t>(generator()));
      });
      Matrix y(ElementType::F32, rows, columns), z(ElementType::F32, rows, 1),
          one(ElementType::F32, 1, 1);
      run.bind("seed", seed).bind("b", b).bind("y", y).bind("z", z).bind("one", one).run();
      CHECK(largestError(y, [&](int64_t r, int64_t c) {
              return predicate::uniformAt(seed, int64_t(b.at(r)), 5, r, c);
            }) == 0);
      CHECK(largestError(z, [&](int64_t r, int64_t) {
              return predicate::uniformAt(seed, 0, 0, r, 7);
            }) == 0);
      CHECK(one.at(0) == predicate::uniformAt(seed, 1, 2, 3, 4));
    }
}

TEST_CASE("random numbers in a mask drop what they should, and leave the causal part alone") {
  constexpr const char *text = R"(
mask kept(b: index, h: index, i: index, j: index, seed: i32, rate: f32) { return j <= i and random(seed, b, h, i, j) >= rate }
kernel counts<BQ = 16, BKV = 16, mask: predicate = all>(qpos: positions[Nq], kpos: positions[Nk], seen_keys: view<f32>[Nq])
  over rows in Nq step BQ
{
  for cols in 0 .. Nk step BKV if seen = mask(qpos[rows : BQ], kpos[cols : BKV]) {
    seen_keys[rows : BQ] += rowsum(where(seen, 1, 0))
  }
}
)";
  constexpr int64_t count = 100;
  for (const Target &target : hostVariants()) {
    CAPTURE(describe(target));
    Spec spec;
    spec.kernel = "counts";
    spec.mask = {"kept"};
    KernelRun run(spec, text, target);
    REQUIRE(run.kernel().mask);
    Matrix seen = Matrix::from(ElementType::F32, count, 1, [](int64_t, int64_t) { return 0; });
    Positions positions{.first = 0, .block = 1 << 20, .jump = 1};
    run.bind("qpos", positions).bind("kpos", positions).bind("seen_keys", seen);
    run.bind("kept.seed", int32_t(99)).bind("kept.rate", 0.25F);
    run.extent("Nq", count).extent("Nk", count).run();
    CHECK(largestError(seen, [&](int64_t i, int64_t) {
            int64_t keys = 0;
            for (int64_t j = 0; j <= i; ++j)
              keys += predicate::uniformAt(99, 0, 0, i, j) >= 0.25F;
            return keys;
          }) == 0);
  }
}
