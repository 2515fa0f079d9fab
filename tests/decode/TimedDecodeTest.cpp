// Decodes that `ringc bench` times: ranks make their own shares of numbers that nobody has whole.

#include "tools/ringc/TimedDecode.h"
#include "ringc/jit/HostCompiler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>

using namespace ringc;
using namespace ringc::cli;

namespace {

const AttentionContext &context() {
  static const AttentionContext shared = hostContext(2);
  return shared;
}

DecodeWork workOf(int64_t keys, int64_t page, AttentionOptions options = {}) {
  options.heads = 4;
  options.kvHeads = 2;
  options.headDim = 32;
  options.valueHeadDim = 16;
  return {{.attention = options},
          {.batch = 3, .keys = keys, .heads = 4, .kvHeads = 2, .headDim = 32, .valueHeadDim = 16},
          page};
}

bool isRight(const DecodeWorkCheck &check, const DecodeResults &results) {
  return std::ranges::all_of(check.errorsOf(results.out, results.lse),
                             [](const DecodeError &each) { return each.ours <= each.bar; });
}

} // namespace

TEST_CASE("numbers are had from any place on") {
  EndlessNumbers numbers(DType::F32, 7);
  HostTensor whole(DType::F32, {2500000}), part(DType::F32, {1200000});
  numbers.copyTo(0, whole);
  numbers.copyTo(1000001, part);
  CHECK(std::equal(part.dataAs<float>(), part.dataAs<float>() + 1200000,
                   whole.dataAs<float>() + 1000001));
}

TEST_CASE("ranks share the keys of a timed decode, also where some have none") {
  for (int ranks : {1, 2, 3, 7})
    for (auto [keys, page] : {std::pair(96, 0), {96, 16}, {5, 0}, {5, 5}, {0, 0}})
      for (DType dtype : {DType::F32, DType::BF16}) {
        CAPTURE(ranks);
        CAPTURE(keys);
        CAPTURE(page);
        std::unique_ptr<World> world = makeWorld({.ranks = ranks});
        DecodeWork work =
            workOf(keys, page, {.dtype = dtype, .window = {60, -1}, .alibi = dtype == DType::F32});
        DecodeWorkCheck check(work);
        std::unique_ptr<TimedDecode> decode = timedOnHost(*world, work, context());
        decode->run();
        for (int turn = 0; turn < 2; ++turn) {
          std::vector<DecodeResults> results = decode->results();
          CHECK(int(results.size()) == ranks);
          CHECK(std::ranges::all_of(
              results, [&](const DecodeResults &each) { return isRight(check, each); }));
          for (const DecodeTurn &each : decode->turn()) {
            CHECK(each.launched.whole > 0);
            CHECK((each.launched.part > 0) == (ranks > 1));
            CHECK(each.graph.whole == 0);
          }
        }
      }
}

TEST_CASE("keys that lie elsewhere are seen to be wrong") {
  for (int64_t page : {0, 4}) {
    DecodeWork work = workOf(96, page);
    // All KV heads of all entries, and one.
    DecodeWorkCheck all(work), one(work, 1);
    HostDecode decode(work.options, context());
    DecodeWorkShare whole(work, 0, 1), half(work, 1, 2);
    DecodeResults right{work.newOut(), work.newLse()}, wrong{work.newOut(), work.newLse()};
    decode.run(whole.inputs(), right.out, right.lse);
    DecodeInputs inputs = half.inputs();
    inputs.lengths = half.lengthsAlone();
    decode.run(inputs, wrong.out, wrong.lse);
    for (const DecodeWorkCheck *check : {&all, &one}) {
      CHECK(isRight(*check, right));
      CHECK_FALSE(isRight(*check, wrong));
    }
    // Entry 1, KV head 1 of 3 x 2: what the one looks at is in the middle.
    auto *out = right.out.dataAs<float>();
    constexpr size_t seen = (size_t(1) * 4 + 2) * 16;
    out[seen] += 1;
    CHECK_FALSE(isRight(all, right));
    CHECK_FALSE(isRight(one, right));
    out[seen] -= 1;
    out[0] += 1;
    CHECK_FALSE(isRight(all, right));
    CHECK(isRight(one, right));
  }
}
