// Ranks that are called by themselves, with what is not the same on all of them.

#include "ringc/attention/HostAttentionRank.h"
#include "tests/attention/AttentionCase.h"

#include "ringc/comm/InProcess.h"
#include "ringc/ring/Agreement.h"
#include "ringc/support/Error.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

/// What one rank gives to its call.
struct Call {
  AttentionOptions options{.heads = 2, .headDim = 32, .causal = true};
  AttentionShape shape{.batch = 1, .queryLength = 24, .keyLength = 24};
  AttentionInputs inputs = {}; ///< besides q, k, v
  bool backward = false;
};

/// A call of each of three ranks, of which rank 1's is changed; then one that none has changed.
/// What each threw in the first: all the same from where it begins to name the field.
std::string disagreement(const std::function<void(Call &)> &all,
                         const std::function<void(Call &)> &change) {
  constexpr int world = 3;
  InProcessWorld transports(world, {.deadline = std::chrono::seconds(60)});
  std::vector<std::string> said(world, "nothing thrown");
  auto run = [&](int rank, const Call &call) {
    const AttentionOptions &options = call.options;
    int64_t rows = call.shape.queryLength / world;
    HostTensor q = randomTensor(options.dtype, {1, rows, options.heads, options.headDim}, 1),
               k = randomTensor(options.dtype, {1, rows, options.heads, options.headDim}, 2);
    HostTensor out(options.dtype, q.shape()), lse(DType::F32, {1, options.heads, rows}),
        dq(options.dtype, q.shape()), dk(options.dtype, q.shape()), dv(options.dtype, q.shape());
    AttentionInputs inputs = call.inputs;
    inputs.q = q;
    inputs.k = k;
    inputs.v = k;
    HostAttentionRank attention(options, transports.at(rank), context());
    if (call.backward)
      attention.backward(call.shape, inputs, {out, lse}, q, {dq, dk, dv});
    else
      attention.forward(call.shape, inputs, {out, lse});
  };
  runRanks(transports, [&](int rank) {
    Call call;
    all(call);
    Call changed = call;
    if (rank == 1)
      change(changed);
    try {
      run(rank, changed);
    } catch (const DisagreementError &error) {
      said[size_t(rank)] = error.what();
    }
    CHECK_NOTHROW(run(rank, call)); // nothing is left behind
  });
  constexpr std::string_view before = "the ranks do not agree: ";
  std::string field;
  for (const std::string &each : said) {
    size_t at = each.find(before);
    REQUIRE_MESSAGE(at != each.npos, each);
    std::string own = each.substr(at + before.size());
    CHECK((field.empty() || own == field));
    field = own;
  }
  return field;
}

std::string disagreement(const std::function<void(Call &)> &change) {
  return disagreement([](Call &) {}, change);
}

UserFunction near(const std::string &text) { return {"own.tile", "near", text}; }
constexpr const char *reach = "mask near(b: index, h: index, i: index, j: index, reach: i32, "
                              "by: view<f32>[M]) { return f32(i - j) < f32(reach) + by[0] }";

} // namespace

TEST_CASE("every option is compared, and named with both values on all ranks") {
  using Window = ringc::Window;
  CHECK(disagreement([](Call &call) { call.options.window = Window{5, -1}; }) ==
        "window: -1,-1 on rank 0, 5,-1 on rank 1");
  CHECK(disagreement([](Call &call) { call.options.scale = 0.25; }) ==
        "scale: 0.17677669529663687 on rank 0, 0.25 on rank 1");
  CHECK(disagreement([](Call &call) { call.options.dtype = DType::BF16; }) ==
        "dtype: f32 on rank 0, bf16 on rank 1");
  CHECK(disagreement([](Call &call) { call.options.prefix = 3; }) ==
        "prefix: 0 on rank 0, 3 on rank 1");
  CHECK(disagreement([](Call &call) { call.options.causal = false; }) ==
        "causal: yes on rank 0, no on rank 1");
  CHECK(disagreement([](Call &call) { call.options.softcap = 30; }) ==
        "softcap: none on rank 0, 30 on rank 1");
  CHECK(disagreement([](Call &call) { call.options.alibi = true; }) ==
        "alibi: no on rank 0, yes on rank 1");
  CHECK(disagreement([](Call &call) { call.options.heads = 4; }) ==
        "heads: 2 on rank 0, 4 on rank 1");
  CHECK(disagreement([](Call &call) { call.options.headMap = HeadMap::Tiled; }) ==
        "kv head map: blocked on rank 0, tiled on rank 1");
  CHECK(disagreement([](Call &call) { call.options.layout = SequenceLayout::striped(); }) ==
        "layout: contiguous on rank 0, striped on rank 1");
  CHECK(disagreement([](Call &call) { call.options.schedule = Schedule::Ring; }) ==
        "schedule: auto on rank 0, ring on rank 1");
  CHECK(disagreement([](Call &call) { call.options.tile = {{"q", 16}}; }) ==
        "tile: none on rank 0, q=16 on rank 1");
  CHECK(disagreement([](Call &call) { call.options.backward = BackwardForm::Fused; },
                     [](Call &call) { call.options.backward = BackwardForm::Split; }) ==
        "backward: fused on rank 0, split on rank 1");
}

TEST_CASE("what a default stands for is the same as the default") {
  InProcessWorld transports(2);
  runRanks(transports, [&](int rank) {
    AttentionOptions options{.heads = 2, .headDim = 32};
    if (rank == 1) {
      options.scale = 1 / std::sqrt(32.0);
      options.kvHeads = 2;
      options.valueHeadDim = 32;
    }
    HostTensor q = randomTensor(DType::F32, {1, 8, 2, 32}, 1);
    HostTensor out(DType::F32, q.shape()), lse(DType::F32, {1, 2, 8});
    HostAttentionRank attention(options, transports.at(rank), context());
    CHECK_NOTHROW(attention.forward({1, 16, 16}, {.q = q, .k = q, .v = q}, {out, lse}));
  });
}

TEST_CASE("shapes, the pass, and what inputs are there") {
  CHECK(disagreement([](Call &call) { call.shape.queryLength = call.shape.keyLength = 27; }) ==
        "queries: 24 on rank 0, 27 on rank 1");
  CHECK(disagreement([](Call &call) { call.backward = true; }) ==
        "pass: forward on rank 0, backward on rank 1");
  HostTensor mask(DType::Bool, {1, 8});
  CHECK(disagreement([&](Call &call) { call.inputs.keyMask = mask; }) ==
        "key mask: no on rank 0, yes on rank 1");
  HostTensor bias(DType::F32, {1, 2, 8, 24}), ofAll(DType::F32, {1, 1, 8, 24});
  CHECK(disagreement([&](Call &call) { call.inputs.bias = bias; },
                     [&](Call &call) { call.inputs.bias = ofAll; }) ==
        "bias: [1, h, n_q, n_k] on rank 0, [1, 1, n_q, n_k] on rank 1");
  HostTensor two(DType::I32, {3}), other(DType::I32, {3});
  two.dataAs<int32_t>()[1] = 10;
  other.dataAs<int32_t>()[1] = 11;
  two.dataAs<int32_t>()[2] = other.dataAs<int32_t>()[2] = 24;
  std::string said = disagreement([&](Call &call) { call.inputs.cuSeqlens = two; },
                                  [&](Call &call) { call.inputs.cuSeqlens = other; });
  CHECK(said.starts_with("cu_seqlens: i32[3] with checksum "));
}

TEST_CASE("texts of masks and scores, numbers and what lies in views that all ranks have") {
  HostTensor one(DType::F32, {1}), other(DType::F32, {1});
  other.dataAs<float>()[0] = 1;
  auto given = [&](Call &call) {
    call.options.masks = {near(reach)};
    call.inputs.arguments = {{"reach", int64_t(4)}, {"by", one.view()}};
  };
  CHECK(disagreement(given, [](Call &call) { call.inputs.arguments["reach"] = int64_t(5); }) ==
        "argument near.reach: 4 on rank 0, 5 on rank 1");
  CHECK(disagreement(given, [&](Call &call) {
          call.inputs.arguments["by"] = other.view();
        }).starts_with("argument near.by: f32[1] with checksum "));
  CHECK(disagreement(given, [](Call &call) {
          call.options.masks = {near(std::string(reach) + " ")};
        }).starts_with("source of mask near: sha256 "));
  CHECK(disagreement(given, [](Call &call) {
          call.options.masks.clear();
          call.inputs.arguments.clear();
        }) == "masks: near on rank 0, none on rank 1");
}

TEST_CASE("a rank whose own call cannot be says so to the others") {
  InProcessWorld transports(2);
  std::string other;
  CHECK_THROWS_AS(runRanks(transports,
                           [&](int rank) {
                             AttentionOptions options{.heads = 2, .headDim = 32};
                             HostTensor q = randomTensor(DType::F32, {1, rank ? 7 : 8, 2, 32}, 1);
                             HostTensor out(DType::F32, q.shape()),
                                 lse(DType::F32, {1, 2, q.view().dim(1)});
                             HostAttentionRank attention(options, transports.at(rank), context());
                             try {
                               attention.forward({1, 16, 16}, {.q = q, .k = q, .v = q}, {out, lse});
                             } catch (const PeerError &error) {
                               other = error.what();
                               throw;
                             }
                           }),
                  InputError);
  CHECK(other.find("rank 1 failed: q: got f32[1, 7, 2, 32]") != std::string::npos);
}

TEST_CASE("an HostAttentionRing has one caller: its ranks compare nothing") {
  HostAttentionRing ring({.heads = 2, .headDim = 32}, 3, context());
  HostTensor q = randomTensor(DType::F32, {1, 24, 2, 32}, 1);
  (void)ring.forward({.q = q, .k = q, .v = q});
  int64_t sent = 0;
  for (const ExecutionReport &report : ring.reports())
    sent += report.sentBytes;
  CHECK(sent == 3 * 2 * 2 * 8 * 2 * 32 * 4);
}
