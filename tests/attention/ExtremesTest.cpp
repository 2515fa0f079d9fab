// Logits far from what training makes of them: additive masks, large offsets and scales, and rows
// of tiles that do not exist. What is right is what f32 arithmetic says of the logits, each rounded
// to f32 as it is made.

#include "tests/attention/AttentionCase.h"

#include "ringc/attention/shared/Options.h"
#include "tests/support/ReferenceAttention.h"
#include "tools/ringc/ReferenceProblem.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float leastF32 = std::numeric_limits<float>::lowest();

struct Tensors {
  HostTensor q, k, v, dout;
  HostTensor bias = {}; ///< f32 [1, 1, n_q, n_k], or nothing
};

/// q and k are multiples of a half, so that their products, and logits with a scale of a power of
/// 2, are exact in f32 in whatever order they are summed up.
Tensors exactTensors(const AttentionOptions &options, int64_t queries, int64_t keys,
                     unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> halves(-3, 3);
  Tensors made{
      HostTensor(options.dtype, {1, queries, options.heads, options.headDim}),
      HostTensor(options.dtype, {1, keys, options.kvHeads, options.headDim}),
      randomTensor(options.dtype, {1, keys, options.kvHeads, options.valueHeadDim}, seed + 1),
      randomTensor(options.dtype, {1, queries, options.heads, options.valueHeadDim}, seed + 2)};
  for (HostTensor *tensor : {&made.q, &made.k}) {
    HostTensor exact(DType::F32, tensor->shape());
    std::generate_n(exact.dataAs<float>(), exact.elementCount(),
                    [&] { return 0.5f * float(halves(random)); });
    convert(exact, *tensor);
  }
  return made;
}

HostTensor biasOf(int64_t queries, int64_t keys,
                  const std::function<float(int64_t, int64_t)> &value) {
  HostTensor made(DType::F32, {1, 1, queries, keys});
  for (int64_t i = 0; i < queries; ++i)
    for (int64_t j = 0; j < keys; ++j)
      made.dataAs<float>()[i * keys + j] = value(i, j);
  return made;
}

struct Computed {
  reference::Array out, lse, dq, dk, dv;
};

Computed run(const AttentionOptions &options, int world, const AttentionInputs &inputs,
             const Tensor &dout, bool withoutRows = false) {
  HostAttentionRing ring(options, world, context());
  HostAttentionRing::Forward forward = ring.forward(inputs);
  if (withoutRows)
    forward.rowMax = HostTensor(), forward.rowSum = HostTensor();
  HostAttentionRing::Gradients gradients = ring.backward(inputs, forward, dout);
  return {reference::arrayOf(forward.out), reference::arrayOf(forward.lse),
          reference::arrayOf(gradients.dq), reference::arrayOf(gradients.dk),
          reference::arrayOf(gradients.dv)};
}

/// Double precision from logits that are rounded to f32 after the scale and after the bias.
reference::Problem roundedProblem(const AttentionOptions &options, const AttentionInputs &inputs,
                                  const Tensor &dout, const HostTensor *bias) {
  AttentionInputs plain = inputs;
  plain.bias = {};
  reference::Problem problem = cli::problemOf(options, plain, dout);
  int64_t keys = inputs.k.dim(1), shift = keys - inputs.q.dim(1);
  const float *values = bias ? bias->dataAs<float>() : nullptr;
  problem.score = [=](double s, int, int, int64_t i, int64_t j) {
    float logit = float(s);
    if (values)
      logit += values[(i - shift) * keys + j];
    return double(logit);
  };
  problem.scoreDerivative = [](double, int, int, int64_t, int64_t) { return 1.0; };
  return problem;
}

void compare(const Computed &got, const reference::Result &expected, double bar) {
  CHECK(reference::relativeError(got.out, expected.out) <= bar);
  CHECK(reference::relativeError(got.lse, expected.lse) <= bar);
  CHECK(reference::relativeError(got.dq, expected.dq) <= bar);
  CHECK(reference::relativeError(got.dk, expected.dk) <= bar);
  CHECK(reference::relativeError(got.dv, expected.dv) <= bar);
}

/// Both forms of the backward, alone and on rings.
void checkEverywhere(AttentionOptions options, const Tensors &tensors,
                     const AttentionInputs &inputs, double bar) {
  options = completed(options);
  reference::Result expected = reference::attention(
      roundedProblem(options, inputs, tensors.dout, tensors.bias.rank() ? &tensors.bias : nullptr));
  struct Ring {
    SequenceLayout layout;
    int world;
  };
  for (BackwardForm form : {BackwardForm::Split, BackwardForm::Fused})
    for (const Ring &ring :
         {Ring{SequenceLayout::contiguous(), 1}, Ring{SequenceLayout::zigzag(), 3},
          Ring{SequenceLayout::striped(), 4}}) {
      options.backward = form;
      options.layout = ring.layout;
      CAPTURE(int(form));
      CAPTURE(ring.world);
      compare(run(options, ring.world, inputs, tensors.dout), expected, bar);
    }
}

} // namespace

TEST_CASE("absent keys and queries of a tile make no difference to a backward") {
  struct Shape {
    int64_t queries, keys;
  };
  for (Shape shape : {Shape{64, 1}, {64, 65}, {130, 100}, {70, 70}, {1, 200}, {65, 127}})
    for (float logit : {-100.0f, -1000.0f, 100.0f, -3e6f})
      for (bool causal : {false, true}) {
        AttentionOptions options = completed(
            {.headDim = 4, .scale = 1.0, .causal = causal && shape.queries <= shape.keys});
        Tensors tensors = exactTensors(options, shape.queries, shape.keys, 7);
        for (int64_t i = 0; i < shape.queries; ++i)
          for (int64_t e = 0; e < 4; ++e)
            tensors.q.dataAs<float>()[i * 4 + e] = e == 0;
        for (int64_t j = 0; j < shape.keys; ++j)
          tensors.k.dataAs<float>()[j * 4] = logit;
        AttentionInputs inputs{.q = tensors.q, .k = tensors.k, .v = tensors.v};
        CAPTURE(shape.queries);
        CAPTURE(shape.keys);
        CAPTURE(logit);
        // dq's true value sums up terms that cancel: their size is that of |ds| * |k|.
        reference::Result expected =
            reference::attention(roundedProblem(options, inputs, tensors.dout, nullptr));
        for (BackwardForm form : {BackwardForm::Split, BackwardForm::Fused})
          for (int world : {1, 2}) {
            options.backward = form;
            Computed got = run(options, world, inputs, tensors.dout);
            CHECK(reference::relativeError(got.out, expected.out) <= 2e-5);
            CHECK(reference::relativeError(got.dv, expected.dv) <= 2e-5);
            for (size_t at = 0; at < got.dq.data.size(); ++at)
              CHECK(std::abs(got.dq.data[at] - expected.dq.data[at]) <= 2e-5 * std::abs(logit));
          }
      }
}

TEST_CASE("an additive mask is what f32 makes of it") {
  constexpr int64_t n = 90;
  for (float least :
       {-1e4f, -65504.0f, -1e9f, -1e30f, -1e38f, -3e38f, -3.3895e38f, leastF32, -infinity})
    for (const char *where : {"row", "rows of a tile", "part of a row", "column", "all"})
      for (bool causal : {false, true}) {
        AttentionOptions options =
            completed({.heads = 2, .kvHeads = 1, .headDim = 16, .scale = 0.25, .causal = causal});
        Tensors tensors = exactTensors(options, n, n, 11);
        std::string kind = where;
        tensors.bias = biasOf(n, n, [&](int64_t i, int64_t j) {
          bool masked = kind == "row"              ? i == 7
                        : kind == "rows of a tile" ? i >= 64
                        : kind == "part of a row"  ? i == 70 && j < 65
                        : kind == "column"         ? j % 5 == 3
                                                   : true;
          return masked ? least : 0.0f;
        });
        AttentionInputs inputs{
            .q = tensors.q, .k = tensors.k, .v = tensors.v, .bias = tensors.bias};
        CAPTURE(least);
        CAPTURE(kind);
        CAPTURE(causal);
        checkEverywhere(options, tensors, inputs, 2e-5);
      }
}

TEST_CASE("an additive mask beside a key mask") {
  constexpr int64_t n = 100;
  HostTensor visible(DType::Bool, {1, n});
  for (int64_t j = 0; j < n; ++j)
    visible.dataAs<uint8_t>()[j] = j >= 33 && j % 7 != 2;
  for (float least : {-1e9f, -1e30f, leastF32})
    for (DType dtype : {DType::F32, DType::BF16, DType::F16}) {
      AttentionOptions options =
          completed({.headDim = 16, .dtype = dtype, .scale = 0.25, .causal = true});
      Tensors tensors = exactTensors(options, n, n, 13);
      tensors.bias =
          biasOf(n, n, [&](int64_t i, int64_t) { return i == 40 || i > 80 ? least : 0.0f; });
      AttentionInputs inputs{
          .q = tensors.q, .k = tensors.k, .v = tensors.v, .keyMask = visible, .bias = tensors.bias};
      CAPTURE(least);
      CAPTURE(int(dtype));
      checkEverywhere(options, tensors, inputs,
                      dtype == DType::F32   ? 2e-5
                      : dtype == DType::F16 ? 2e-3
                                            : 1.5e-2);
    }
}

TEST_CASE("a large common offset costs no accuracy") {
  constexpr int64_t n = 300;
  for (float offset : {1e4f, -1e4f, 1e6f, -1e6f, 4e6f, -1.4e7f, 1.2e7f})
    for (bool causal : {true, false}) {
      AttentionOptions options = completed({.headDim = 16, .scale = 0.25, .causal = causal});
      Tensors tensors = exactTensors(options, n, n, 17);
      // The products are multiples of 1/16: of 1, with q scaled, so that they are exact
      // beside 1.4e7.
      for (int64_t at = 0; at < tensors.q.elementCount(); ++at)
        tensors.q.dataAs<float>()[at] *= 16;
      for (int64_t at = 0; at < tensors.k.elementCount(); ++at)
        tensors.k.dataAs<float>()[at] *= at % 16 < 2;
      tensors.bias = biasOf(n, n, [&](int64_t, int64_t) { return offset; });
      AttentionInputs inputs{.q = tensors.q, .k = tensors.k, .v = tensors.v, .bias = tensors.bias};
      CAPTURE(offset);
      CAPTURE(causal);
      // Plain f32 has up to 2e-6 in dq, whose terms nearly cancel, and 3e-7 elsewhere.
      checkEverywhere(options, tensors, inputs, 4e-6);
    }
}

TEST_CASE("an offset that changes from key to key crosses every bound") {
  // The largest logit of a row rises and falls through the sizes at which exponents are counted
  // otherwise.
  constexpr int64_t n = 200;
  const float sizes[] = {-3e30f, -2.1e7f,    -1.0000002e7f, -1e7f,        -9999999.0f, -1.0f,
                         0.0f,   9999998.0f, 1e7f,          1.0000002e7f, 2.1e7f,      1e20f};
  for (int step : {1, 7, 65})
    for (bool rising : {true, false}) {
      AttentionOptions options = completed({.headDim = 16, .scale = 0.25});
      Tensors tensors = exactTensors(options, n, n, 19);
      tensors.bias = biasOf(n, n, [&](int64_t i, int64_t j) {
        int64_t at = (j / step + i) % 12;
        return sizes[rising ? at : 11 - at];
      });
      for (int64_t i = 0; i < n; ++i) // rows without the largest, some of them
        for (int64_t j = 0; j < n; ++j)
          if (float &value = tensors.bias.dataAs<float>()[i * n + j]; value > sizes[i % 12])
            value = sizes[i % 12];
      AttentionInputs inputs{.q = tensors.q, .k = tensors.k, .v = tensors.v, .bias = tensors.bias};
      CAPTURE(step);
      CAPTURE(rising);
      checkEverywhere(options, tensors, inputs, 4e-6);
    }
}

TEST_CASE("finite logits of any size: the largest key wins") {
  constexpr int64_t n = 200;
  for (double scale : {1e6, 1e8, 1e10, 1e20, 1e35, -1e8, -1e20, 1e-30, 0.0}) {
    AttentionOptions options = completed({.headDim = 8, .scale = scale, .causal = true});
    Tensors tensors = exactTensors(options, n, n, 23);
    std::vector<int> order(n);
    for (int j = 0; j < n; ++j)
      order[size_t(j)] = j + 1;
    std::shuffle(order.begin(), order.end(), std::mt19937(5));
    for (int64_t at = 0; at < n * 8; ++at) {
      tensors.q.dataAs<float>()[at] = at % 8 == 0;
      tensors.k.dataAs<float>()[at] = at % 8 == 0 ? float(order[size_t(at / 8)]) : 0.0f;
    }
    AttentionInputs inputs{.q = tensors.q, .k = tensors.k, .v = tensors.v};
    CAPTURE(scale);
    reference::Result expected =
        reference::attention(roundedProblem(options, inputs, tensors.dout, nullptr));
    for (int world : {1, 3}) {
      Computed got = run(options, world, inputs, tensors.dout);
      CHECK(reference::relativeError(got.out, expected.out) <= 2e-5);
      CHECK(reference::relativeError(got.lse, expected.lse) <= 2e-5);
      CHECK(reference::relativeError(got.dv, expected.dv) <= 2e-5);
      for (const reference::Array *gradient : {&got.dq, &got.dk})
        for (double value : gradient->data)
          CHECK(std::isfinite(value));
    }
  }
}

TEST_CASE("from lse alone p has the rounding of lse, and no more") {
  constexpr int64_t n = 130;
  for (float offset : {0.0f, 100.0f, -1e4f}) {
    AttentionOptions options = completed({.headDim = 16, .scale = 0.25, .causal = true});
    Tensors tensors = exactTensors(options, n, n, 29);
    tensors.bias = biasOf(n, n, [&](int64_t, int64_t) { return offset; });
    AttentionInputs inputs{.q = tensors.q, .k = tensors.k, .v = tensors.v, .bias = tensors.bias};
    reference::Result expected =
        reference::attention(roundedProblem(options, inputs, tensors.dout, &tensors.bias));
    compare(run(options, 2, inputs, tensors.dout, /*withoutRows=*/true), expected,
            2e-5 + std::abs(offset) * 0x1p-24);
  }
}
