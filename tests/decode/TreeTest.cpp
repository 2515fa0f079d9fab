// Ranks that decode together: the calls that they compare, and the original's tree_attn_decode.

#include "ringc/comm/InProcess.h"
#include "ringc/decode/TreeAttnDecode.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/support/Error.h"
#include "tests/support/DecodeProblem.h"
#include "tests/support/ReferenceAttention.h"
#include "tools/ringc/RandomProblem.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

const AttentionContext &context() {
  static const AttentionContext shared = hostContext(2);
  return shared;
}

/// What each rank's `body` throws.
std::vector<std::string>
messagesOf(int ranks, const std::function<void(int rank, Transport &transport)> &body) {
  InProcessWorld world(ranks, {.deadline = std::chrono::seconds(20)});
  std::vector<std::string> messages{size_t(ranks)};
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < ranks; ++rank)
      threads.emplace_back([&, rank] {
        try {
          body(rank, world.at(rank));
        } catch (const std::exception &error) {
          messages[size_t(rank)] = error.what();
        }
      });
  }
  return messages;
}

bool sameBits(const Tensor &a, const Tensor &b) {
  return std::memcmp(a.data(), b.data(), size_t(a.byteCount())) == 0;
}

/// [b, n, h, d] as the original has it, [b, h, n, d].
Tensor byHeads(const Tensor &tensor) { return tensor.permute({0, 2, 1, 3}); }

} // namespace

TEST_CASE("tree_attn_decode: every rank has the whole result, of whole keys and of shards") {
  unsigned seed = 1;
  for (int ranks : {1, 2, 3, 5})
    for (TreeKeys keys : {TreeKeys::Whole, TreeKeys::Shard})
      for (int64_t rows : {1, 4, 7, 333})
        for (int64_t kvHeads : {1, 4}) {
          CAPTURE(ranks);
          CAPTURE(int(keys));
          CAPTURE(rows);
          CAPTURE(kvHeads);
          std::mt19937_64 random(seed++);
          constexpr int64_t batch = 2, heads = 4, dim = 24, valueDim = 16;
          HostTensor q = cli::randomTensor(DType::F32, {batch, heads, 1, dim}, random),
                     k = cli::randomTensor(DType::F32, {batch, kvHeads, rows, dim}, random),
                     v = cli::randomTensor(DType::F32, {batch, kvHeads, rows, valueDim}, random);
          reference::Problem problem;
          problem.q = reference::arrayOf(byHeads(q));
          problem.k = reference::arrayOf(byHeads(k));
          problem.v = reference::arrayOf(byHeads(v));
          reference::Result right = reference::attention(problem);
          std::vector<HostTensor> outs, lses;
          for (int rank = 0; rank < ranks; ++rank) {
            outs.emplace_back(DType::F32, std::vector<int64_t>{batch, heads, 1, valueDim});
            lses.emplace_back(DType::F32, std::vector<int64_t>{batch, heads, 1});
          }
          // Shards: the last but one has none, the last all that is left.
          auto first = [&](int rank) {
            return rank == ranks ? rows : rows * std::min(rank, ranks - 2) / ranks;
          };
          InProcessWorld world(ranks);
          runRanks(world, [&](int rank) {
            TreeInputs inputs{.q = q, .k = k, .v = v, .keys = keys};
            if (keys == TreeKeys::Shard && ranks > 1) {
              int64_t begin = first(rank), end = first(rank + 1);
              inputs.k = k.view().slice(2, begin, end - begin);
              inputs.v = v.view().slice(2, begin, end - begin);
            }
            HostDecode decode(
                {{.heads = heads, .kvHeads = kvHeads, .headDim = dim, .valueHeadDim = valueDim}},
                context());
            treeAttnDecode(decode, inputs, world.at(rank), outs[size_t(rank)], lses[size_t(rank)]);
          });
          for (int rank = 0; rank < ranks; ++rank) {
            CHECK(reference::relativeError(reference::arrayOf(byHeads(outs[size_t(rank)])),
                                           right.out) < 2e-5);
            CHECK(reference::relativeError(reference::arrayOf(lses[size_t(rank)]), right.lse) <
                  2e-6);
            CHECK(sameBits(outs[size_t(rank)], outs[0]));
            CHECK(sameBits(lses[size_t(rank)], lses[0]));
          }
        }
}

TEST_CASE("tree_attn_decode: masks see the positions of whole keys, and shards have none") {
  std::mt19937_64 random(5);
  HostTensor q = cli::randomTensor(DType::F32, {1, 2, 3, 16}, random),
             k = cli::randomTensor(DType::F32, {1, 2, 50, 16}, random);
  reference::Problem problem;
  problem.q = reference::arrayOf(byHeads(q));
  problem.k = problem.v = reference::arrayOf(byHeads(k));
  problem.mask.causal = true;
  problem.alibi = true;
  reference::Result right = reference::attention(problem);
  for (TreeKeys keys : {TreeKeys::Whole, TreeKeys::Shard}) {
    auto errors = messagesOf(3, [&](int, Transport &transport) {
      HostTensor out(DType::F32, {1, 2, 3, 16}), lse(DType::F32, {1, 2, 3});
      HostDecode decode({{.heads = 2, .headDim = 16, .causal = true, .alibi = true}}, context());
      treeAttnDecode(decode, {.q = q, .k = k, .v = k, .keys = keys}, transport, out, lse);
      if (reference::relativeError(reference::arrayOf(byHeads(out)), right.out) > 2e-5)
        throw std::runtime_error("wrong");
    });
    for (const std::string &error : errors)
      if (keys == TreeKeys::Whole)
        CHECK(error == "");
      else
        CHECK((error.starts_with("lengths: got none, allowed: i32 [b], or one for all") ||
               error.find("failed: lengths: got none") != std::string::npos));
  }
}

TEST_CASE("whatever another rank does not have is named on all ranks, and nothing was sent") {
  AttentionOptions grouped{.heads = 4, .kvHeads = 2, .headDim = 32};
  cli::DecodeCase plain;
  plain.options = {grouped};
  plain.queries = 2;
  plain.lengths = {100, 3};
  plain.ranks = 3;
  auto differ = [&](const std::function<void(DecodeOptions &, DecodeInputs &)> &change) {
    DecodeProblem problem(plain, 3);
    HostTensor other = integers({99, 3}, {2});
    auto errors = messagesOf(3, [&](int rank, Transport &transport) {
      DecodeOptions options = problem.options();
      DecodeInputs inputs = problem.inputsOf(rank);
      if (rank == 1)
        change(options, inputs);
      HostTensor out(options.attention.dtype, inputs.q.shape()),
          lse(DType::F32, {inputs.q.dim(0), inputs.q.dim(2), inputs.q.dim(1)});
      try {
        HostDecode(options, context()).run(inputs, problem.keysOf(rank), transport, out, lse);
      } catch (const PeerError &) {
        CHECK(transport.sentBytes() < lse.byteCount() + 4096); // records alone
        throw;
      }
    });
    std::string said;
    for (int rank = 0; rank < 3; ++rank) {
      std::string begin = "rank " + std::to_string(rank) + ": hop 0, plans, peer " +
                          (rank == 1 ? "0" : "1") + ": the ranks do not agree: ";
      CHECK_MESSAGE(errors[size_t(rank)].starts_with(begin), errors[size_t(rank)]);
      std::string what =
          errors[size_t(rank)].substr(std::min(begin.size(), errors[size_t(rank)].size()));
      CHECK((said.empty() || what == said));
      said = what;
    }
    return said;
  };
  HostTensor bigger(DType::F32, {2, 3, 4, 32}), fewer(DType::F32, {1, 2, 4, 32}),
      halves(DType::F16, {2, 2, 4, 32}), keys16(DType::F16, {2, 1, 2, 32}),
      lengths = integers({100, 4}, {2}), one = integers({100}, {1}),
      keys = HostTensor(DType::F32, {1, 5, 2, 32});
  CHECK(differ([](auto &options, auto &) { options.split = 128; }) ==
        "split: 0 on rank 0, 128 on rank 1");
  CHECK(differ([](auto &options, auto &) {
          options.attention.scale = 0.5;
        }).ends_with(" on rank 0, 0.5 on rank 1"));
  CHECK(differ([](auto &options, auto &) { options.attention.causal = true; }) ==
        "causal: no on rank 0, yes on rank 1");
  CHECK(differ([](auto &options, auto &) { options.attention.window = {5, -1}; }) ==
        "window: -1,-1 on rank 0, 5,-1 on rank 1");
  CHECK(differ([&](auto &, auto &inputs) { inputs.q = bigger; }) ==
        "queries: 2 on rank 0, 3 on rank 1");
  CHECK(differ([&](auto &, auto &inputs) {
          inputs.q = fewer;
          inputs.k = inputs.v = keys;
          inputs.lengths = one;
        }) == "entries in the batch: 2 on rank 0, 1 on rank 1");
  CHECK(differ([&](auto &options, auto &inputs) {
          options.attention.dtype = DType::F16;
          inputs.q = halves;
          inputs.k = inputs.v = keys16;
        }) == "dtype: f32 on rank 0, f16 on rank 1");
  CHECK(differ([](auto &options, auto &) {
          options.attention.masks = {
              {"own.tile", "all",
               "mask all(b: index, h: index, i: index, j: index) { return true }"}};
        }) == "masks: none on rank 0, all on rank 1");
  CHECK(differ([](auto &, auto &inputs) {
          inputs.lengths.reset();
        }).starts_with("lengths: i32[2] with checksum "));
  CHECK(differ([&](auto &, auto &inputs) {
          inputs.lengths = lengths;
        }).starts_with("lengths: i32[2] with checksum "));
}

TEST_CASE("a rank whose inputs cannot be ends the call on all") {
  AttentionOptions small{.heads = 2, .headDim = 16};
  cli::DecodeCase given;
  given.options = {small};
  given.ranks = 3;
  DecodeProblem problem(given, 4);
  auto errors = messagesOf(3, [&](int rank, Transport &transport) {
    DecodeKeys keys = problem.keysOf(rank);
    if (rank == 2)
      keys.positions.block = 0;
    HostTensor out = problem.newOut(), lse = problem.newLse();
    HostDecode(problem.options(), context()).run(problem.inputsOf(rank), keys, transport, out, lse);
  });
  CHECK(errors[2] == "positions of keys: got first 100, block 0, jump 1073741824, allowed: a block "
                     "of 1 or more, a jump as long or longer, all below 2^31");
  for (int rank : {0, 1})
    CHECK(errors[size_t(rank)].find("failed: positions of keys: got first 100, block 0") !=
          std::string::npos);
  errors = messagesOf(3, [&](int rank, Transport &transport) {
    HostTensor out = problem.newOut(), lse = problem.newLse(), narrow(DType::F32, {1, 1, 1});
    HostDecode(problem.options(), context())
        .run(problem.inputsOf(rank), problem.keysOf(rank), transport, out,
             rank == 0 ? narrow : lse);
  });
  CHECK(errors[0] == "lse: got f32[1, 1, 1], allowed: f32 [1, 2, 1]: batch, heads, queries");
  CHECK(errors[1].find("failed: lse: got") != std::string::npos);
}

TEST_CASE("an empty batch, over ranks too") {
  for (int ranks : {1, 3}) {
    AttentionOptions small{.heads = 2, .headDim = 16};
    cli::DecodeCase given;
    given.options = {small};
    given.lengths = {};
    given.ranks = ranks;
    DecodeProblem problem(given, 4);
    auto errors = messagesOf(ranks, [&](int rank, Transport &transport) {
      HostTensor out = problem.newOut(), lse = problem.newLse();
      HostDecode(problem.options(), context())
          .run(problem.inputsOf(rank), problem.keysOf(rank), transport, out, lse);
    });
    CHECK(errors == std::vector<std::string>(size_t(ranks), ""));
  }
}
