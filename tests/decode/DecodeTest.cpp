// Decoding against the attention of each entry by itself in double precision: lengths of their own,
// pages, masks and scores, parts, ranks.

#include "ringc/decode/Decode.h"
#include "ringc/comm/InProcess.h"
#include "ringc/decode/KvCache.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/support/Error.h"
#include "tests/support/ReferenceAttention.h"
#include "tools/ringc/DecodeCase.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

using namespace ringc;
using namespace ringc::cli;

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

void check(const DecodeCase &given) {
  CAPTURE(given.name());
  DecodeCheck against(given);
  std::vector<DecodeErrors> errors(static_cast<size_t>(given.ranks));
  InProcessWorld world(given.ranks);
  runRanks(world,
           [&](int rank) { errors[size_t(rank)] = against.onHost(context(), world.at(rank)); });
  for (const DecodeErrors &ofRank : errors) {
    for (const DecodeError &each : ofRank)
      CHECK(each.ours <= each.bar);
    if (given.options.attention.dtype == DType::F32)
      CHECK(ofRank[1].ours < 2e-6);
  }
}

/// Whole keys of one rank, or pages.
DecodeCase caseOf(const AttentionOptions &options, int64_t queries, int64_t rows,
                  std::vector<int64_t> lengths, int64_t page, uint64_t seed) {
  DecodeCase made{.options = {options}, .queries = queries, .rows = rows, .page = page};
  made.lengths = std::move(lengths);
  made.cuts = {0, rows};
  made.seed = seed;
  return made;
}

} // namespace

TEST_CASE("entries of any length, empty ones too, contiguous and in pages of any size") {
  uint64_t seed = 1;
  for (int64_t page : {0, 64, 128, 16, 48, 7, 1})
    for (int64_t queries : {1, 3, 16})
      for (bool causal : {false, true}) {
        DecodeCase given = caseOf({.heads = 4, .kvHeads = 2, .headDim = 32, .causal = causal},
                                  queries, 300, {300, 0, 1, 17, 64, 257}, page, seed++);
        if (causal) // fewer keys than queries: rows before the first key see nothing
          given.lengths.push_back(2);
        check(given);
      }
}

TEST_CASE("pages that are nowhere hide their keys") {
  uint64_t seed = 50;
  for (int64_t page : {1, 7, 16, 64, 200})
    for (int ranks : {1, 3})
      for (bool causal : {false, true}) {
        DecodeCase given = caseOf({.heads = 4, .kvHeads = 2, .headDim = 32, .causal = causal}, 3,
                                  700, {700, 0, 1, 650}, page, seed++);
        given.missingPages = true;
        given.ranks = ranks;
        check(given);
      }
}

TEST_CASE("windows, softcap, ALiBi, scales, head maps, value dims and types") {
  uint64_t seed = 100;
  for (DType dtype : {DType::F32, DType::BF16, DType::F16})
    for (int64_t page : {0, 64, 24}) {
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
        check(caseOf(options, 2, 400, {399, 33, 5}, page, seed++));
    }
}

TEST_CASE("parts give the same within rounding, and with a split the same bits in any batch") {
  for (int64_t split : {64, 128, 1024})
    for (int64_t page : {0, 64}) {
      DecodeCase given = caseOf({.heads = 2, .kvHeads = 1, .headDim = 64, .causal = true}, 1, 700,
                                {700, 300, 0}, page, 7);
      given.options.split = split;
      check(given);
    }
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
  uint64_t seed = 200;
  for (int ranks : {2, 3, 5})
    for (int64_t page : {0, 64, 16})
      for (bool causal : {false, true}) {
        DecodeCase given = caseOf({.heads = 4,
                                   .kvHeads = 2,
                                   .headDim = 32,
                                   .causal = causal,
                                   .window = {causal ? 70 : -1, -1}},
                                  3, 230, {230, 0, 3, 100}, page, seed++);
        given.ranks = ranks;
        given.cuts = evenCuts(230, ranks - 1); // the last one has nothing
        given.cuts.push_back(230);
        check(given);
        if (page > 0)
          continue;
        given.cuts.clear();
        given.block = 5;
        check(given);
      }
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
