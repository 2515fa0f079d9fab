// Windows whose place an integer view names, elements of views, axes of the program's own and two
// grid axes beside heads: against plain loops, with memory that ends where the views do.

#include "tests/unit/compiler/GuardedMemory.h"
#include "tests/unit/compiler/KernelRun.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <thread>

using namespace ringc;
using namespace ringc::testing;

namespace {

/// A view of four-byte elements in guarded memory, row-major in the order of a launch's axes.
struct Data {
  std::vector<int64_t> shape;
  GuardedMemory memory;

  explicit Data(std::vector<int64_t> extents) : shape(std::move(extents)), memory(count() * 4) {}
  size_t count() const {
    size_t elements = 1;
    for (int64_t extent : shape)
      elements *= size_t(extent);
    return elements;
  }
  template <class T> T *as() const { return reinterpret_cast<T *>(memory.data()); }
  float &operator[](int64_t at) const { return as<float>()[at]; }
  int32_t &whole(int64_t at) const { return as<int32_t>()[at]; }

  static Data random(std::vector<int64_t> extents, uint64_t seed) {
    Data data(std::move(extents));
    std::mt19937_64 engine(seed);
    std::uniform_real_distribution<float> draw(-1, 1);
    for (size_t at = 0; at < data.count(); ++at)
      data[int64_t(at)] = draw(engine);
    return data;
  }
  static Data zeros(std::vector<int64_t> extents) {
    Data data(std::move(extents));
    std::fill_n(data.as<float>(), data.count(), 0.0F);
    return data;
  }
  static Data integers(std::vector<int64_t> extents, const std::vector<int32_t> &values) {
    Data data(std::move(extents));
    REQUIRE(values.size() == data.count());
    std::ranges::copy(values, data.as<int32_t>());
    return data;
  }
};

/// A launch of all programs for batch entries and heads.
class Launch {
public:
  Launch(const Spec &spec, const std::string &text, const Target &target, int64_t batch = 1,
         int64_t heads = 1)
      : kernel(compiled(spec, text, target)), module(kernel), slots(size_t(kernel.slotCount)),
        extents{{"B", batch}, {"Hkv", heads}, {"H", heads * kernel.groupSize}} {}

  Launch &bind(const std::string &name, const Data &data) {
    const KernelArgument &argument = find(name);
    REQUIRE_MESSAGE(argument.axes.size() == data.shape.size(), name);
    uint64_t *slot = &slots[size_t(argument.slot)];
    slot[0] = std::bit_cast<uint64_t>(data.memory.data());
    int64_t step = 1;
    for (size_t axis = data.shape.size(); axis-- > 0; step *= data.shape[axis]) {
      slot[1 + axis] = uint64_t(step);
      extents.try_emplace(argument.axes[axis].name, data.shape[axis]);
    }
    return *this;
  }
  Launch &extent(const std::string &name, int64_t value) {
    extents[name] = value;
    return *this;
  }
  Launch &positions(const std::string &name, int32_t first) {
    uint64_t *slot = &slots[size_t(find(name).slot)];
    slot[0] = uint64_t(int64_t(first));
    slot[1] = slot[2] = 1;
    return *this;
  }

  /// Each program with scratch of NaN; by as many threads as there are heads times entries, for
  /// these run at once, and others where the kernel does not ask for order.
  void run() {
    for (const KernelArgument &argument : kernel.arguments)
      if (argument.kind == KernelArgument::Kind::Extent)
        slots[size_t(argument.slot)] = uint64_t(extents.at(argument.name));
    int64_t heads = kernel.perHead ? extents.at("Hkv") : 1,
            batch = kernel.perHead ? extents.at("B") : 1;
    std::vector<std::thread> threads;
    for (int64_t entry = 0; entry < batch; ++entry)
      for (int64_t head = 0; head < heads; ++head)
        for (int64_t p1 = 0; p1 < programs(1); ++p1)
          threads.emplace_back([this, entry, head, p1] {
            GuardedMemory scratch(size_t(kernel.scratchBytes + 63) / 64 * 64);
            for (int64_t p0 = 0; p0 < programs(0); ++p0)
              module.entry()(slots.data(), p0, p1, head, entry, scratch.data());
          });
    for (std::thread &thread : threads)
      thread.join();
  }

  const CompiledKernel kernel;

private:
  const KernelArgument &find(const std::string &name) const {
    for (const KernelArgument &argument : kernel.arguments)
      if (argument.name == name)
        return argument;
    FAIL("no argument " << name);
    return kernel.arguments.front();
  }
  int64_t programs(size_t axis) const {
    if (axis >= kernel.grid.size())
      return 1;
    int64_t length = extents.at(kernel.grid[axis].extent);
    if (kernel.grid[axis].extent == "Nq")
      length *= kernel.groupSize;
    return (length + kernel.grid[axis].step - 1) / kernel.grid[axis].step;
  }

  HostModule module;
  std::vector<uint64_t> slots;
  std::map<std::string, int64_t> extents;
};

constexpr int32_t least = std::numeric_limits<int32_t>::min(),
                  most = std::numeric_limits<int32_t>::max();

void everyHost(const std::function<void(const Target &)> &test) {
  for (const Target &target : hostVariants()) {
    CAPTURE(describe(target));
    test(target);
  }
}

/// Differs by at most `tolerance`; NaN differs.
bool isNear(double a, double b, double tolerance) { return std::abs(a - b) <= tolerance; }

} // namespace

TEST_CASE("pages that a table names, whatever it holds") {
  constexpr const char *text = R"(
kernel pages<W = 24, PAGE = 8, BM = 8>(pool: view<f32>[R, W], table: view<i32>[C], out: view<f32>[M, W], pages: view<f32>[M])
  over r in M step BM
{
  let page = table[r / PAGE else -1]
  out[r : BM, :] = pool[page * PAGE : BM, :]
  pages[r : BM] = full<f32>[BM, 1](f32(page))
}
)";
  constexpr int64_t d = 24, page = 8, rows = 3 * page - 3, places = 61;
  std::vector<int32_t> table{2, -1, 0, 1000, least, most, 1 << 28, -(1 << 28), 1};
  everyHost([&](const Target &target) {
    Data pool = Data::random({rows, d}, 1), out({places + 20, d}), named({places + 20});
    Data tables = Data::integers({int64_t(table.size())}, table);
    Launch launch({.kernel = "pages"}, text, target);
    launch.bind("pool", pool).bind("table", tables).bind("out", out).bind("pages", named).run();
    bool all = true;
    for (int64_t r = 0; r < places + 20; ++r) {
      bool known = r / page < int64_t(table.size());
      int32_t own = known ? table[size_t(r / page)] : -1;
      int64_t from = int32_t(uint32_t(own) * uint32_t(page)) + r % page;
      all &= named[r] == float(own);
      for (int64_t c = 0; c < d; ++c)
        all &= out[r * d + c] == (from >= 0 && from < rows ? pool[from * d + c] : 0);
    }
    CHECK(all);
  });
}

TEST_CASE("rows that a tile names: lookup, append, gradient") {
  constexpr const char *text = R"(
kernel lookup<W = 20, BM = 16>(weights: view<f32>[V, W], ids: view<i32>[M], out: view<f32>[M, W])
  over r in M step BM
{
  out[r : BM, :] = weights[ids[r : BM], : else 7.0]
}
kernel product<W = 20, E = 40, BM = 16>(weights: view<f32>[V, W], ids: view<i32>[M], w: view<f32>[W, E], out: view<f32>[M, E])
  over r in M step BM
{
  let rows = ids[r : BM]
  out[r : BM, :] = dot(weights[rows, :], w[0 : W, :])
}
kernel append<W = 20, BM = 16>(x: view<f32>[M, W], ids: view<i32>[M], pool: view<f32>[V, W])
  over r in M step BM
{
  pool[ids[r : BM else -1], :] = x[r : BM, :]
}
kernel gradient<BM = 16, BN = 8>(dy: view<f32>[M, N], ids: view<i32>[M], dw: view<f32>[V, N])
  over r in M step BM, c in N step BN
{
  dw[ids[r : BM], c : BN] += dy[r : BM, c : BN]
}
kernel column<BM = 16>(dy: view<f32>[M], ids: view<i32>[M], dw: view<f32>[V], unread: view<f32>[S]) over other in S step 1, r in M step BM
{
  dw[ids[r : BM]] += dy[r : BM]
}
)";
  constexpr int64_t d = 20, vocabulary = 11, m = 75;
  std::vector<int32_t> ids(m);
  std::mt19937 engine(3);
  for (int32_t &id : ids)
    id = int32_t(engine() % 14) - 1; // some twice, some outside
  ids[1] = least, ids[17] = most, ids[40] = vocabulary;
  auto isInside = [&](int64_t r) { return ids[size_t(r)] >= 0 && ids[size_t(r)] < vocabulary; };
  Data names = Data::integers({m}, ids);
  everyHost([&](const Target &target) {
    Data weights = Data::random({vocabulary, d}, 5), out({m, d});
    Launch({.kernel = "lookup"}, text, target)
        .bind("weights", weights)
        .bind("ids", names)
        .bind("out", out)
        .run();
    bool same = true;
    for (int64_t r = 0; r < m; ++r)
      for (int64_t c = 0; c < d; ++c)
        same &= out[r * d + c] == (isInside(r) ? weights[ids[size_t(r)] * d + c] : 7);
    CHECK(same);

    Data w = Data::random({d, 40}, 6), wide({m, 40});
    Launch({.kernel = "product"}, text, target)
        .bind("weights", weights)
        .bind("ids", names)
        .bind("w", w)
        .bind("out", wide)
        .run();
    for (int64_t r = 0; r < m; ++r)
      for (int64_t e = 0; e < 40; ++e) {
        double sum = 0;
        for (int64_t c = 0; c < d && isInside(r); ++c)
          sum += double(weights[ids[size_t(r)] * d + c]) * w[c * 40 + e];
        same &= isNear(wide[r * 40 + e], sum, 1e-5);
      }
    CHECK(same);

    Data x = Data::random({m, d}, 7), pool = Data::zeros({vocabulary, d});
    Launch({.kernel = "append"}, text, target)
        .bind("x", x)
        .bind("ids", names)
        .bind("pool", pool)
        .run();
    std::vector<double> sums(vocabulary * d);
    for (int64_t v = 0; v < vocabulary; ++v) {
      bool found = false, named = false;
      for (int64_t r = 0; r < m; ++r)
        if (ids[size_t(r)] == v) {
          named = true;
          found |= std::equal(&x[r * d], &x[r * d] + d, &pool[v * d]);
          for (int64_t c = 0; c < d; ++c)
            sums[size_t(v * d + c)] += x[r * d + c];
        }
      same &= found == named;
    }
    CHECK(same);

    Data dw = Data::zeros({vocabulary, d});
    Launch gradient({.kernel = "gradient"}, text, target);
    gradient.bind("dy", x).bind("ids", names).bind("dw", dw).run();
    CHECK(gradient.kernel.serialAxis0);
    for (int64_t at = 0; at < vocabulary * d; ++at)
      same &= isNear(dw[at], sums[size_t(at)], 1e-5);
    CHECK(same);

    // Programs along the second axis add to the same numbers at once.
    Data ones({m}), counts = Data::zeros({vocabulary}), six({6});
    std::fill_n(ones.as<float>(), m, 1.0F);
    Launch column({.kernel = "column"}, text, target);
    column.bind("unread", six).bind("dy", ones).bind("ids", names).bind("dw", counts).run();
    for (int64_t v = 0; v < vocabulary; ++v)
      same &= counts[v] == float(6 * std::ranges::count(ids, int32_t(v)));
    CHECK(same);
  });
}

TEST_CASE("two grid axes and parts, for each head") {
  constexpr const char *text = R"(
kernel parts<D, BQ = 16, BKV = 16, KEYS = 32>(q: view<f32>[Nq, D], k: view<f32>[Nk, D], part: view<f32>[P, Nq, D], most: view<f32>[P, Nq],
    whole: view<f32>[Nq, D])
  over rows in Nq step BQ, s in P step 1
{
  let first = s * KEYS
  let qt = q[rows : BQ, :]
  var acc = zeros<f32>[BQ, D]
  var top = full<f32>[BQ, 1](-inf)
  for c in first .. min(first + KEYS, Nk) step BKV {
    let kt = k[c : BKV, :]
    let logits = dot(qt, kt^T)
    top = max(top, rowmax(logits))
    acc += dot(logits, kt)
  }
  part[s, rows : BQ, :] = acc
  most[s, rows : BQ] = top
  part[s + 1000, rows : BQ, :] = acc
  part[s - 1000, rows : BQ, :] = acc
  whole[rows : BQ, :] += acc
}
)";
  constexpr int64_t d = 8, batch = 2, heads = 3, group = 2, queries = 11, keys = 77, parts = 3;
  everyHost([&](const Target &target) {
    Spec spec{.kernel = "parts", .headDim = d, .groupSize = group};
    Launch launch(spec, text, target, batch, heads);
    CHECK(launch.kernel.blocks(2, parts, heads, batch) ==
          std::array<int64_t, 3>{2 * parts, heads, batch});
    Data q = Data::random({batch, heads, group, queries, d}, 1),
         k = Data::random({batch, heads, keys, d}, 2),
         part({batch, heads, group, parts, queries, d}), top({batch, heads, group, parts, queries}),
         whole = Data::zeros({batch, heads, group, queries, d});
    launch.bind("q", q).bind("k", k).bind("part", part).bind("most", top).bind("whole", whole);
    launch.run();
    bool same = true;
    for (int64_t head = 0; head < batch * heads; ++head)
      for (int64_t row = 0; row < group * queries; ++row) {
        const float *own = &q[(head * group * queries + row) * d];
        int64_t g = row / queries, i = row % queries;
        std::vector<double> all(d);
        for (int64_t p = 0; p < parts; ++p) {
          std::vector<double> sums(d);
          double largest = -std::numeric_limits<double>::infinity();
          for (int64_t j = p * 32; j < std::min((p + 1) * 32, (keys + 15) / 16 * 16); ++j) {
            const float *key = &k[(head * keys + std::min(j, keys - 1)) * d];
            double logit = 0;
            for (int64_t c = 0; c < d && j < keys; ++c)
              logit += double(own[c]) * key[c];
            largest = std::max(largest, logit);
            for (int64_t c = 0; c < d && j < keys; ++c)
              sums[size_t(c)] += logit * key[c];
          }
          int64_t place = ((head * group + g) * parts + p) * queries + i;
          same &= isNear(top[place], largest, 1e-5);
          for (int64_t c = 0; c < d; ++c) {
            same &= isNear(part[place * d + c], sums[size_t(c)], 1e-4);
            all[size_t(c)] += sums[size_t(c)];
          }
        }
        for (int64_t c = 0; c < d; ++c)
          same &= isNear(whole[(head * group * queries + row) * d + c], all[size_t(c)], 1e-4);
      }
    CHECK(same);
  });
}

TEST_CASE("decoding over pages, with the length of each entry") {
  constexpr const char *text = R"(
mask within(b: index, h: index, i: index, j: index, lengths: view<i32>[B]) { return j < lengths[b] }
kernel decode<D, BQ = 16, BKV = 8, PAGE = 16, KEYS = 32, mask: predicate = within>(
    q: view<f32>[Nq, D], k: view<f32>[Hkv, R, D], v: view<f32>[Hkv, R, D], table: view<i32>[B, C], lengths: view<i32>[B],
    qpos: positions[Nq], kpos: positions[Nk], part: view<f32>[P, Nq, D], logs: view<f32>[P, Nq])
  over rows in Nq step BQ, s in P step 1
{
  let first = s * KEYS
  let qt = q[rows : BQ, :]
  var top = full<f32>[BQ, 1](-inf)
  var sum = zeros<f32>[BQ, 1]
  var acc = zeros<f32>[BQ, D]
  for c in first .. min(first + KEYS, lengths) step BKV if seen = mask(qpos[rows : BQ], kpos[c : BKV]) {
    let at = table[c / PAGE else -1] * PAGE + c % PAGE
    let logits = where(seen, dot(qt, k[at : BKV, :]^T), -inf)
    let above = max(top, rowmax(logits))
    let base = where(above == -inf, 0.0, above)
    let p = exp2(logits - base)
    let keep = exp2(top - base)
    sum = sum * keep + rowsum(p)
    acc = acc * keep + dot(p, v[at : BKV, :])
    top = above
  }
  part[s, rows : BQ, :] = where(sum == 0.0, 0.0, acc / sum)
  logs[s, rows : BQ] = where(sum == 0.0, -inf, top + log2(sum))
}
)";
  constexpr int64_t d = 8, batch = 3, heads = 2, group = 4, queries = 2, page = 16, pages = 5,
                    parts = 2, rows = pages * page;
  std::vector<int32_t> lengths{37, 0, 64};
  std::vector<int32_t> table{4, 1, 0, -1, -7, 2000, least, most, 3, 2, 1, 4};
  everyHost([&](const Target &target) {
    Spec spec{.kernel = "decode", .headDim = d, .groupSize = group};
    Launch launch(spec, text, target, batch, heads);
    Data q = Data::random({batch, heads, group, queries, d}, 1),
         k = Data::random({heads, rows, d}, 2), v = Data::random({heads, rows, d}, 3),
         part({batch, heads, group, parts, queries, d}),
         logs({batch, heads, group, parts, queries});
    Data tables = Data::integers({batch, 4}, table), long_ = Data::integers({batch}, lengths);
    // What lies behind the keys of an entry may be anything.
    for (int64_t head = 0; head < heads; ++head)
      for (int64_t r = 37 - 32; r < page; ++r)
        for (int64_t c = 0; c < d; ++c)
          k[(head * rows + r) * d + c] = v[(head * rows + r) * d + c] =
              std::numeric_limits<float>::quiet_NaN();
    launch.bind("q", q).bind("k", k).bind("v", v).bind("table", tables).bind("lengths", long_);
    launch.bind("within.lengths", long_).positions("qpos", 0).positions("kpos", 0);
    launch.bind("part", part).bind("logs", logs).extent("Nk", 64).run();
    bool same = true;
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t head = 0; head < heads; ++head)
        for (int64_t g = 0; g < group; ++g)
          for (int64_t p = 0; p < parts; ++p)
            for (int64_t i = 0; i < queries; ++i) {
              const float *own = &q[(((b * heads + head) * group + g) * queries + i) * d];
              double sum = 0;
              std::vector<double> acc(d);
              for (int64_t j = p * 32; j < std::min<int64_t>(p * 32 + 32, lengths[size_t(b)]);
                   ++j) {
                int64_t at = table[size_t(b * 4 + j / page)] * page + j % page;
                double logit = 0;
                for (int64_t c = 0; c < d; ++c)
                  logit += double(own[c]) * k[(head * rows + at) * d + c];
                sum += std::exp2(logit);
                for (int64_t c = 0; c < d; ++c)
                  acc[size_t(c)] += std::exp2(logit) * v[(head * rows + at) * d + c];
              }
              int64_t place = (((b * heads + head) * group + g) * parts + p) * queries + i;
              same &=
                  sum == 0 ? std::isinf(logs[place]) : isNear(logs[place], std::log2(sum), 1e-5);
              for (int64_t c = 0; c < d; ++c)
                same &= isNear(part[place * d + c], sum == 0 ? 0 : acc[size_t(c)] / sum, 1e-5);
            }
    CHECK(same);

    // Tables of anything at all.
    for (int32_t hostile : {least, most, -1, 5, 1 << 27, -(1 << 27), (1 << 28) + 1}) {
      std::fill_n(tables.as<int32_t>(), tables.count(), hostile);
      launch.run();
    }
  });
}
