// Decoding against the attention of each entry by itself in double precision: lengths of their own,
// pages, masks and scores, parts, ranks.

#include "ringc/decode/Decode.h"
#include "ringc/comm/InProcess.h"
#include "ringc/decode/KvCache.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/support/Error.h"
#include "tests/support/ReferenceAttention.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

using namespace ringc;

namespace {

const AttentionContext &context() {
  static const AttentionContext shared = hostContext(2);
  return shared;
}

HostTensor randomTensor(DType dtype, std::vector<int64_t> shape, std::mt19937 &random) {
  HostTensor values(DType::F32, shape), made(dtype, shape);
  std::normal_distribution<float> normal;
  std::generate_n(values.dataAs<float>(), values.elementCount(), [&] { return normal(random); });
  convert(values, made);
  return made;
}

HostTensor integers(const std::vector<int64_t> &values, std::vector<int64_t> shape) {
  HostTensor made(DType::I32, std::move(shape));
  std::ranges::transform(values, made.dataAs<int32_t>(),
                         [](int64_t value) { return int32_t(value); });
  return made;
}

struct Case {
  AttentionOptions options;
  int64_t queries = 1, rows = 100; ///< keys that an entry has room for
  std::vector<int64_t> lengths = {100};
  int64_t page = 0; ///< 0: contiguous
  int ranks = 1;
  int64_t split = 0;
};

/// Of all entries, out and lse.
reference::Result expected(const Case &given, const Tensor &q, const Tensor &k, const Tensor &v) {
  const AttentionOptions &of = given.options;
  auto batch = int64_t(given.lengths.size());
  reference::Result whole;
  whole.out = reference::Array({batch, given.queries, of.heads, of.valueHeadDim});
  whole.lse = reference::Array({batch, of.heads, given.queries, 1});
  for (int64_t entry = 0; entry < batch; ++entry) {
    int64_t length = given.lengths[size_t(entry)];
    reference::Problem problem;
    problem.q = reference::arrayOf(q.slice(0, entry, 1));
    problem.k = reference::arrayOf(k.slice(0, entry, 1).slice(1, 0, length));
    problem.v = reference::arrayOf(v.slice(0, entry, 1).slice(1, 0, length));
    problem.headMap =
        of.headMap == HeadMap::Tiled ? reference::HeadMap::Tiled : reference::HeadMap::Blocked;
    problem.softcap = of.softcap;
    problem.scale = of.scale;
    problem.alibi = of.alibi;
    problem.mask.causal = of.causal;
    problem.mask.windowLeft = of.window.left;
    problem.mask.windowRight = of.window.right;
    reference::Result one = reference::attention(problem);
    for (int64_t row = 0; row < given.queries; ++row)
      for (int64_t head = 0; head < of.heads; ++head) {
        whole.lse.at(entry, head, row, 0) = one.lse.at(0, head, row, 0);
        for (int64_t c = 0; c < of.valueHeadDim; ++c)
          whole.out.at(entry, row, head, c) = one.out.at(0, row, head, c);
      }
  }
  return whole;
}

/// Keys and values dealt to pages in a random order, with others' rows and NaN in between.
struct Pages {
  HostTensor k, v, table;
};

Pages pagesOf(const Case &given, const Tensor &k, const Tensor &v, int rank, std::mt19937 &random) {
  auto batch = int64_t(given.lengths.size());
  int64_t all = (given.rows + given.page - 1) / given.page,
          own = (all - rank + given.ranks - 1) / given.ranks, pool = batch * own + 3;
  std::vector<int64_t> order(static_cast<size_t>(pool));
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  Pages made{HostTensor(k.dtype(), {pool, given.page, k.dim(2), k.dim(3)}),
             HostTensor(v.dtype(), {pool, given.page, v.dim(2), v.dim(3)}),
             HostTensor(DType::I32, {batch, own})};
  for (HostTensor *each : {&made.k, &made.v}) {
    HostTensor nan(DType::F32, each->shape());
    std::fill_n(nan.dataAs<float>(), nan.elementCount(), std::numeric_limits<float>::quiet_NaN());
    convert(nan, *each);
  }
  size_t next = 0;
  for (int64_t entry = 0; entry < batch; ++entry)
    for (int64_t column = 0; column < own; ++column) {
      int64_t begin = (column * given.ranks + rank) * given.page,
              length = given.lengths[size_t(entry)],
              count = std::clamp<int64_t>(length - begin, 0, given.page);
      int64_t at = count > 0 ? order[next++] : -1;
      made.table.dataAs<int32_t>()[entry * own + column] = int32_t(at);
      if (count == 0)
        continue;
      copy(k.select(0, entry).slice(0, begin, count),
           made.k.view().select(0, at).slice(0, 0, count));
      copy(v.select(0, entry).slice(0, begin, count),
           made.v.view().select(0, at).slice(0, 0, count));
    }
  return made;
}

void check(Case given, unsigned seed) {
  std::mt19937 random(seed);
  AttentionOptions &of = given.options;
  if (of.kvHeads == 0)
    of.kvHeads = of.heads;
  if (of.valueHeadDim == 0)
    of.valueHeadDim = of.headDim;
  auto batch = int64_t(given.lengths.size());
  HostTensor q = randomTensor(of.dtype, {batch, given.queries, of.heads, of.headDim}, random),
             k = randomTensor(of.dtype, {batch, given.rows, of.kvHeads, of.headDim}, random),
             v = randomTensor(of.dtype, {batch, given.rows, of.kvHeads, of.valueHeadDim}, random),
             lengths = integers(given.lengths, {batch});
  reference::Result right = expected(given, q, k, v);
  // What is beyond an entry's length may hold anything.
  for (HostTensor *each : {&k, &v})
    for (int64_t entry = 0; entry < batch; ++entry) {
      int64_t length = given.lengths[size_t(entry)];
      Tensor rest = each->view().select(0, entry).slice(0, length, given.rows - length);
      HostTensor nan(DType::F32, rest.shape());
      std::fill_n(nan.dataAs<float>(), nan.elementCount(), std::numeric_limits<float>::quiet_NaN());
      convert(nan, rest);
    }
  std::vector<HostTensor> outs, lses;
  for (int rank = 0; rank < given.ranks; ++rank) {
    outs.emplace_back(of.dtype,
                      std::vector<int64_t>{batch, given.queries, of.heads, of.valueHeadDim});
    lses.emplace_back(DType::F32, std::vector<int64_t>{batch, of.heads, given.queries});
  }
  std::vector<Pages> pages;
  for (int rank = 0; given.page > 0 && rank < given.ranks; ++rank)
    pages.push_back(pagesOf(given, k, v, rank, random));
  auto inputsOf = [&](int rank) {
    DecodeInputs inputs{.q = q, .k = k, .v = v};
    inputs.lengths = lengths;
    if (given.page > 0) {
      inputs.k = pages[size_t(rank)].k;
      inputs.v = pages[size_t(rank)].v;
      inputs.pageTable = pages[size_t(rank)].table;
    }
    return inputs;
  };
  DecodeOptions options{of, given.split};
  if (given.ranks == 1) {
    HostDecode(options, context()).run(inputsOf(0), outs[0], lses[0]);
  } else {
    InProcessWorld world(given.ranks);
    runRanks(world, [&](int rank) {
      DecodeInputs inputs = inputsOf(rank);
      DecodeKeys keys = DecodeKeys::ofPages(rank, given.ranks, std::max<int64_t>(given.page, 1));
      if (given.page == 0) { // unequal shares, the last one empty
        int64_t each = (given.rows + given.ranks - 2) / std::max(given.ranks - 1, 1),
                begin = std::min(each * rank, given.rows), end = std::min(begin + each, given.rows);
        inputs.k = k.view().slice(1, begin, end - begin);
        inputs.v = v.view().slice(1, begin, end - begin);
        keys = {};
        keys.positions.first = begin;
      }
      HostDecode(options, context())
          .run(inputs, keys, world.at(rank), outs[size_t(rank)], lses[size_t(rank)]);
    });
  }
  double bar = of.dtype == DType::F32 ? 2e-5 : of.dtype == DType::F16 ? 4e-3 : 2e-2;
  for (int rank = 0; rank < given.ranks; ++rank) {
    CHECK(reference::relativeError(reference::arrayOf(outs[size_t(rank)]), right.out) < bar);
    CHECK(reference::relativeError(reference::arrayOf(lses[size_t(rank)]), right.lse) <
          (of.dtype == DType::F32 ? 2e-6 : bar));
  }
}

} // namespace

TEST_CASE("entries of any length, empty ones too, contiguous and in pages of any size") {
  unsigned seed = 1;
  for (int64_t page : {0, 64, 128, 16, 48, 7, 1})
    for (int64_t queries : {1, 3, 16})
      for (bool causal : {false, true}) {
        CAPTURE(page);
        CAPTURE(queries);
        CAPTURE(causal);
        Case given{.options = {.heads = 4, .kvHeads = 2, .headDim = 32, .causal = causal},
                   .queries = queries,
                   .rows = 300,
                   .lengths = {300, 0, 1, 17, 64, 257},
                   .page = page};
        if (causal) // fewer keys than queries: rows before the first key see nothing
          given.lengths.push_back(2);
        check(given, seed++);
      }
}

TEST_CASE("windows, softcap, ALiBi, scales, head maps, value dims and types") {
  unsigned seed = 100;
  for (DType dtype : {DType::F32, DType::BF16, DType::F16})
    for (int64_t page : {0, 64, 24}) {
      CAPTURE(nameOf(dtype));
      CAPTURE(page);
      AttentionOptions plain{
          .heads = 8, .kvHeads = 1, .headDim = 48, .valueHeadDim = 40, .dtype = dtype};
      std::vector<AttentionOptions> all(6, plain);
      all[0].window = {20, 0};
      all[1].softcap = 3;
      all[2].alibi = true;
      all[3].scale = 0.3;
      all[4].kvHeads = 4;
      all[4].headMap = HeadMap::Tiled;
      all[5].causal = true;
      all[5].kvHeads = 8;
      for (const AttentionOptions &options : all)
        check(
            {.options = options, .queries = 2, .rows = 400, .lengths = {399, 33, 5}, .page = page},
            seed++);
    }
}

TEST_CASE("parts give the same within rounding, and with a split the same bits in any batch") {
  for (int64_t split : {64, 128, 1024})
    for (int64_t page : {0, 64})
      check({.options = {.heads = 2, .kvHeads = 1, .headDim = 64, .causal = true},
             .rows = 700,
             .lengths = {700, 300, 0},
             .page = page,
             .split = split},
            7);
  AttentionOptions options{.heads = 4, .kvHeads = 2, .headDim = 32};
  std::mt19937 random(3);
  HostTensor q = randomTensor(DType::F32, {5, 1, 4, 32}, random),
             k = randomTensor(DType::F32, {5, 900, 2, 32}, random),
             v = randomTensor(DType::F32, {5, 900, 2, 32}, random);
  auto outOf = [&](int64_t first, int64_t count) {
    HostTensor out(DType::F32, {count, 1, 4, 32}), lse(DType::F32, {count, 4, 1});
    HostDecode({options, 128}, context())
        .run({.q = q.view().slice(0, first, count),
              .k = k.view().slice(0, first, count),
              .v = v.view().slice(0, first, count)},
             out, lse);
    return out;
  };
  HostTensor together = outOf(0, 5);
  for (int64_t entry = 0; entry < 5; ++entry) {
    HostTensor alone = outOf(entry, 1);
    CHECK(std::equal(alone.dataAs<float>(), alone.dataAs<float>() + 128,
                     together.dataAs<float>() + entry * 128));
  }
}

TEST_CASE("ranks that share the keys, some without any, all have the whole result") {
  unsigned seed = 200;
  for (int ranks : {2, 3, 5})
    for (int64_t page : {0, 64, 16})
      for (bool causal : {false, true})
        check({.options = {.heads = 4,
                           .kvHeads = 2,
                           .headDim = 32,
                           .causal = causal,
                           .window = {causal ? 70 : -1, -1}},
               .queries = 3,
               .rows = 230,
               .lengths = {230, 0, 3, 100},
               .page = page,
               .ranks = ranks},
              seed++);
}

TEST_CASE("a cache: appended tokens, shared prefixes, freed pages, over ranks") {
  for (int ranks : {1, 3}) {
    std::mt19937 random(11);
    AttentionOptions options{.heads = 4, .kvHeads = 2, .headDim = 16, .causal = true};
    std::vector<KvCache> caches;
    for (int rank = 0; rank < ranks; ++rank)
      caches.emplace_back(KvCacheOptions{.pages = 24,
                                         .pageSize = 8,
                                         .kvHeads = 2,
                                         .headDim = 16,
                                         .entries = 3,
                                         .pagesOfEntry = 16,
                                         .rank = rank,
                                         .ranks = ranks});
    std::vector<std::vector<HostTensor>> k(3), v(3); // appended to each entry
    auto append = [&](int64_t entry, int64_t tokens) {
      k[size_t(entry)].push_back(randomTensor(DType::F32, {tokens, 2, 16}, random));
      v[size_t(entry)].push_back(randomTensor(DType::F32, {tokens, 2, 16}, random));
      for (KvCache &cache : caches)
        cache.append(entry, k[size_t(entry)].back(), v[size_t(entry)].back());
    };
    append(0, 19);
    append(0, 1);
    append(0, 13);
    for (KvCache &cache : caches)
      cache.share(0, 1, 16);
    int64_t before = caches[0].freePages();
    append(1, 5);
    append(2, 3);
    auto joined = [&](const std::vector<HostTensor> &parts, int64_t shared,
                      const std::vector<HostTensor> &of) {
      int64_t tokens = shared;
      for (const HostTensor &part : parts)
        tokens += part.dim(0);
      HostTensor made(DType::F32, {1, tokens, 2, 16});
      int64_t at = 0;
      auto add = [&](const Tensor &part) {
        copy(part, made.view().select(0, 0).slice(0, at, part.dim(0)));
        at += part.dim(0);
      };
      for (const HostTensor &part : of)
        if (at < shared)
          add(part.view().slice(0, 0, std::min(part.dim(0), shared - at)));
      for (const HostTensor &part : parts)
        add(part);
      return made;
    };
    HostTensor q = randomTensor(DType::F32, {3, 1, 4, 16}, random);
    std::vector<HostTensor> outs, lses;
    for (int rank = 0; rank < ranks; ++rank) {
      outs.emplace_back(DType::F32, std::vector<int64_t>{3, 1, 4, 16});
      lses.emplace_back(DType::F32, std::vector<int64_t>{3, 4, 1});
    }
    InProcessWorld world(ranks);
    runRanks(world, [&](int rank) {
      const KvCache &cache = caches[size_t(rank)];
      HostDecode({options}, context())
          .run(cache.inputs(q), cache.keys(), world.at(rank), outs[size_t(rank)],
               lses[size_t(rank)]);
    });
    for (int64_t entry = 0; entry < 3; ++entry) {
      int64_t shared = entry == 1 ? 16 : 0;
      reference::Problem problem;
      problem.q = reference::arrayOf(q.view().slice(0, entry, 1));
      problem.k = reference::arrayOf(joined(k[size_t(entry)], shared, k[0]));
      problem.v = reference::arrayOf(joined(v[size_t(entry)], shared, v[0]));
      reference::Result right = reference::attention(problem);
      CHECK(caches[0].length(entry) == problem.k.shape[1]);
      for (const HostTensor &out : outs)
        CHECK(reference::relativeError(reference::arrayOf(out.view().slice(0, entry, 1)),
                                       right.out) < 2e-5);
    }
    for (KvCache &cache : caches)
      cache.free(1);
    CHECK(caches[0].freePages() >= before - 1); // the shared ones stay with entry 0
    for (KvCache &cache : caches) {
      cache.free(0);
      cache.free(2);
      CHECK(cache.freePages() == 24);
    }
    CHECK_THROWS_AS(append(0, 8 * 16 * ranks + 1), InputError);
    CHECK(caches[0].length(0) == 0);
    CHECK_THROWS_AS(caches[0].append(3, k[0][0], v[0][0]), InputError);
    CHECK_THROWS_AS(caches[0].share(0, 1, 3), InputError);
  }
}

TEST_CASE("two attentions merge, empty ones on either side") {
  std::mt19937 random(5);
  HostTensor q = randomTensor(DType::F32, {2, 3, 4, 24}, random),
             k = randomTensor(DType::F32, {2, 50, 4, 24}, random),
             v = randomTensor(DType::F32, {2, 50, 4, 24}, random);
  AttentionOptions options{.heads = 4, .headDim = 24};
  auto part = [&](int64_t begin, int64_t count) {
    std::pair made{HostTensor(DType::F32, {2, 3, 4, 24}), HostTensor(DType::F32, {2, 4, 3})};
    HostDecode({options}, context())
        .run({.q = q, .k = k.view().slice(1, begin, count), .v = v.view().slice(1, begin, count)},
             made.first, made.second);
    return made;
  };
  auto whole = part(0, 50);
  for (int64_t cut : {0, 1, 20, 50}) {
    auto a = part(0, cut), b = part(cut, 50 - cut);
    HostTensor out(DType::F32, {2, 3, 4, 24}), lse(DType::F32, {2, 4, 3});
    merge(context(), a.first, a.second, b.first, b.second, out, lse);
    CHECK(reference::relativeError(reference::arrayOf(out), reference::arrayOf(whole.first)) <
          1e-6);
    CHECK(reference::relativeError(reference::arrayOf(lse), reference::arrayOf(whole.second)) <
          1e-6);
  }
}

TEST_CASE("what cannot be is refused by name") {
  HostTensor q(DType::F32, {2, 1, 4, 32}), k(DType::F32, {6, 16, 2, 32}),
      out(DType::F32, {2, 1, 4, 32}), lse(DType::F32, {2, 4, 1});
  AttentionOptions options{.heads = 4, .kvHeads = 2, .headDim = 32};
  auto refusal = [&](auto &&change) -> std::string {
    HostTensor table = integers({0, 1, 2, 3, -1, -1}, {2, 3}), lengths = integers({40, 10}, {2});
    DecodeInputs inputs{
        .q = q, .k = k, .v = k, .pageTable = table.view(), .lengths = lengths.view()};
    DecodeOptions all{options};
    change(inputs, all, table, lengths);
    try {
      HostDecode(all, context()).run(inputs, out, lse);
    } catch (const InputError &error) {
      return error.what();
    }
    return "";
  };
  using Inputs = DecodeInputs &;
  using All = DecodeOptions &;
  using Table = HostTensor &;
  CHECK(refusal([](Inputs, All, Table, Table) {}) == "");
  CHECK(refusal([](Inputs, All, Table table, Table) { table.dataAs<int32_t>()[4] = 6; }) ==
        "page 1 of entry 1: got 6, allowed: -1, none, to 5");
  CHECK(refusal([](Inputs, All, Table table, Table) { table.dataAs<int32_t>()[0] = -2; }) ==
        "page 0 of entry 0: got -2, allowed: -1, none, to 5");
  CHECK(refusal([](Inputs, All, Table, Table lengths) { lengths.dataAs<int32_t>()[1] = 49; }) ==
        "length of entry 1: got 49, allowed: 0 to 48, the rows of its pages");
  CHECK(refusal([](Inputs, All, Table, Table lengths) { lengths.dataAs<int32_t>()[0] = -1; }) ==
        "length of entry 0: got -1, allowed: 0 to 48, the rows of its pages");
  CHECK(refusal([](Inputs inputs, All, Table, Table) { inputs.lengths.reset(); }) ==
        "lengths: got none, allowed: i32 [b], with a page table");
  CHECK(refusal([](Inputs, All all, Table, Table) { all.split = 100; }) ==
        "split: got 100, allowed: 0, or a multiple of 64 keys");
  CHECK(refusal([&](Inputs inputs, All, Table, Table) {
          inputs.q = q.view().slice(0, 0, 1);
        }).starts_with("lengths: got"));
}
