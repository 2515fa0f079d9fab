#include "ringc/attention/HostAttentionRank.h"
#include "tests/ring/semantics/Errors.h"

#include "ringc/attention/Rope.h"
#include "ringc/attention/shared/Extents.h"
#include "ringc/comm/InProcess.h"
#include "ringc/ring/Sharding.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

using Style = RopeOptions::Style;

const SequenceLayout layouts[] = {SequenceLayout::contiguous(), SequenceLayout::striped(),
                                  SequenceLayout::striped(3), SequenceLayout::zigzag()};

/// Rows at consecutive positions.
Positions consecutive(int64_t first, int64_t rows) {
  int64_t block = std::max<int64_t>(rows, 1);
  return {first, block, block};
}

Positions shifted(Positions at, int64_t by) {
  at.first += by;
  return at;
}

/// Every row of a whole [b, n, h, d] by sign * (first + row), in long double.
reference::Array turned(reference::Array x, int64_t first, const RopeOptions &options, int sign) {
  int64_t dims = options.rotaryDims ? options.rotaryDims : x.shape[3];
  bool half = options.style == Style::HalfSplit;
  for (int64_t b = 0; b < x.shape[0]; ++b)
    for (int64_t row = 0; row < x.shape[1]; ++row)
      for (int64_t h = 0; h < x.shape[2]; ++h)
        for (int64_t pair = 0; pair < dims / 2; ++pair) {
          long double angle = sign * (long double)(first + row) *
                              std::pow((long double)options.base, -2.0L * pair / (long double)dims);
          double &p = x.at(b, row, h, half ? pair : 2 * pair);
          double &q = x.at(b, row, h, half ? pair + dims / 2 : 2 * pair + 1);
          double turnedP = double(p * std::cos(angle) - q * std::sin(angle));
          q = double(q * std::cos(angle) + p * std::sin(angle));
          p = turnedP;
        }
  return x;
}

/// As a model does: each rank turns its own rows of q and k, attends, and turns its gradients back.
/// The sequence begins at position `begin`.
reference::Result computeRoped(const Case &given, const Data &data, const RopeOptions &options,
                               int64_t begin) {
  HostTensor out(data.dout.dtype(), data.dout.shape()), dq(data.q.dtype(), data.q.shape()),
      dk(data.k.dtype(), data.k.shape()), dv(data.v.dtype(), data.v.shape());
  HostTensor lse(DType::F32, {data.q.dim(0), data.q.dim(2), data.q.dim(1)});
  InProcessWorld world(given.world);
  runRanks(world, [&](int rank) {
    RankProblem part(given.options, given.world, rank, given.shape);
    auto take = [&](const Tensor &whole, int axis = 1) {
      return shard(whole, axis, part.layout, rank, given.world);
    };
    auto give = [&](const Tensor &local, int axis, const Tensor &whole) {
      unshardInto(local, axis, part.layout, rank, given.world, whole);
    };
    Positions queries = shifted(part.queryPositions(), begin),
              keys = shifted(part.keyPositions(rank), begin);
    HostTensor q = take(data.q), k = take(data.k), v = take(data.v), dout = take(data.dout);
    rope(q, q, queries, options);
    rope(k, k, keys, options);

    HostTensor ownOut = take(out), ownLse = take(lse, 2), ownDq = take(dq), ownDk = take(dk),
               ownDv = take(dv);
    AttentionInputs inputs{.q = q, .k = k, .v = v};
    ForwardResults results{ownOut, ownLse};
    HostAttentionRank attention(given.options, world.at(rank), context());
    attention.forward(given.shape, inputs, results);
    attention.backward(given.shape, inputs, results, dout, {ownDq, ownDk, ownDv});
    ropeInverse(ownDq, ownDq, queries, options);
    ropeInverse(ownDk, ownDk, keys, options);

    give(ownOut, 1, out);
    give(ownLse, 2, lse);
    give(ownDq, 1, dq);
    give(ownDk, 1, dk);
    give(ownDv, 1, dv);
  });
  return resultOf(out, lse, dq, dk, dv);
}

/// Against attention in double on rows turned in double, at `referenceBegin`: what is computed does
/// not depend on where the sequence begins.
void checkRoped(const Case &given, const RopeOptions &options, int64_t begin,
                int64_t referenceBegin) {
  uint64_t seed = freshSeed();
  INFO(given.name(), ", begins at ", begin, ", RINGC_TEST_SEED=", seed);
  Data data = finiteData(given, seed);
  reference::Problem problem = problemOf(given, data);
  int64_t firstQuery = referenceBegin + given.shape.keyLength - given.shape.queryLength;
  problem.q = turned(problem.q, firstQuery, options, 1);
  problem.k = turned(problem.k, referenceBegin, options, 1);
  auto turnBack = [&](reference::Result result) {
    result.dq = turned(result.dq, firstQuery, options, -1);
    result.dk = turned(result.dk, referenceBegin, options, -1);
    return result;
  };
  reference::Result actual = computeRoped(given, data, options, begin),
                    right = turnBack(reference::attention(problem)), plain;
  bool wide = given.options.dtype == DType::F32;
  if (!wide)
    plain = turnBack(reference::plainAttention(problem, given.options.dtype));
  for (auto part : {&reference::Result::out, &reference::Result::lse, &reference::Result::dq,
                    &reference::Result::dk, &reference::Result::dv}) {
    double bar = wide ? 2e-5 : 2 * reference::relativeError(plain.*part, right.*part) + 1e-5;
    CHECK(reference::relativeError(actual.*part, right.*part) <= bar);
  }
}

} // namespace

TEST_CASE("RoPE with local positions: permute, shard, rope, unshard is rope, permute to the last "
          "bit") {
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 2, 3, 4})
      for (int64_t n : {1, 2, 5, 13, 16, 31})
        for (int64_t begin : {int64_t(0), (int64_t(1) << 24) - 7, (int64_t(1) << 31) - n})
          for (Style style : {Style::HalfSplit, Style::Interleaved})
            for (DType dtype : {DType::F32, DType::F16, DType::BF16}) {
              RopeOptions options{.style = style, .rotaryDims = 8};
              Case given{.options = {.heads = 2, .headDim = 10, .dtype = dtype},
                         .shape = {2, n, n}};
              HostTensor x = finiteData(given, 1).q;
              HostTensor whole(dtype, x.shape());
              rope(x, whole, consecutive(begin, n), options);

              std::vector<HostTensor> shards;
              std::vector<Tensor> views;
              for (int rank = 0; rank < world; ++rank) {
                shards.push_back(shard(x, 1, layout, rank, world));
                views.push_back(shards.back());
                rope(views.back(), views.back(), shifted(positions(layout, rank, world, n), begin),
                     options);
              }
              HostTensor gathered = unshard(views, 1, layout);
              CAPTURE(nameOf(layout));
              CAPTURE(world);
              CAPTURE(n);
              REQUIRE(std::memcmp(gathered.data(), whole.data(), size_t(whole.byteCount())) == 0);
            }
}

TEST_CASE("RoPE on a ring: every rank turns its own rows, outputs and gradients are the whole's") {
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 2, 3, 4})
      for (auto [queries, keys] : {std::pair<int64_t, int64_t>{53, 53}, {19, 50}, {41, 30}, {2, 2}})
        for (Style style : {Style::HalfSplit, Style::Interleaved})
          checkRoped({.options = {.heads = 4,
                                  .kvHeads = 2,
                                  .headDim = 24,
                                  .valueHeadDim = 16,
                                  .causal = queries <= keys,
                                  .layout = layout},
                      .world = world,
                      .shape = {2, queries, keys}},
                     {.style = style, .rotaryDims = style == Style::HalfSplit ? 24 : 20}, 0, 0);
}

TEST_CASE("RoPE on a ring in 16 bit is no worse than twice an eager implementation") {
  for (const SequenceLayout &layout : layouts)
    for (DType dtype : {DType::F16, DType::BF16})
      checkRoped(
          {.options = {.heads = 2, .headDim = 32, .dtype = dtype, .causal = true, .layout = layout},
           .world = 3,
           .shape = {1, 61, 61}},
          {}, 0, 0);
}

TEST_CASE("positions above 2^24: RoPE depends on distances, wherever the sequence begins") {
  constexpr int64_t n = 61;
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 3})
      for (int64_t begin :
           {(int64_t(1) << 24) - 20, (int64_t(1) << 24) + 1, (int64_t(1) << 31) - n})
        for (int64_t referenceBegin : {int64_t(0), begin})
          checkRoped({.options = {.heads = 2, .headDim = 32, .causal = true, .layout = layout},
                      .world = world,
                      .shape = {1, n, n}},
                     {}, begin, referenceBegin);
}
