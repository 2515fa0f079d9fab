#include "tests/ring/semantics/Errors.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

using namespace ringc;
using namespace ringc::test;

namespace {

Case accurate(DType dtype, SequenceLayout layout, int world) {
  return {.options = {.heads = 2, .headDim = 64, .dtype = dtype, .causal = true, .layout = layout},
          .world = world,
          .shape = {1, 384, 384}};
}

constexpr DType precisions[] = {DType::F32, DType::F16, DType::BF16};

} // namespace

TEST_CASE("error grows with N: not by more than half from 1 to 16 ranks") {
  uint64_t seed = freshSeed();
  INFO("RINGC_TEST_SEED=", seed);
  for (DType dtype : precisions)
    for (SequenceLayout layout : {SequenceLayout::striped(), SequenceLayout::zigzag()}) {
      Case alone = accurate(dtype, layout, 1);
      Data data = randomData(alone, seed);
      Judge judge(alone, data);
      Errors one = judge.whole(compute(alone, data));
      for (int world : {2, 4, 8, 16}) {
        Case ring = accurate(dtype, layout, world);
        Errors many = judge.whole(compute(ring, data));
        for (size_t which = 0; which < one.size(); ++which) {
          INFO(ring.name(), ", ", resultNames[which], ": ", many[which], ", of one rank ",
               one[which]);
          CHECK(many[which] <= 1.5 * one[which]);
        }
      }
    }
}

TEST_CASE("one rank is at most twice as far from the truth as a plain implementation") {
  uint64_t seed = freshSeed();
  INFO("RINGC_TEST_SEED=", seed);
  for (DType dtype : precisions)
    for (bool causal : {false, true}) {
      Case alone = accurate(dtype, SequenceLayout::contiguous(), 1);
      alone.options.causal = causal;
      Data data = randomData(alone, seed);
      Judge judge(alone, data);
      Errors errors = judge.whole(compute(alone, data)), plain = judge.whole(judge.plain());
      for (size_t which = 0; which < errors.size(); ++which) {
        INFO(alone.name(), ", ", resultNames[which], ": ", errors[which], ", plain ", plain[which]);
        CHECK(errors[which] <= 2 * plain[which]);
        if (dtype == DType::F32)
          CHECK(errors[which] <= 2e-5);
      }
    }
}

TEST_CASE("log-sum-exp merge: blocks whose lse differ by 200, either way round") {
  for (double high : {200.0, -200.0}) {
    uint64_t seed = freshSeed();
    INFO("RINGC_TEST_SEED=", seed);
    Case given{.options = {.headDim = 32, .scale = 1.0}, .world = 4, .shape = {1, 64, 64}};
    Data data = finiteData(given, seed);
    // The first column of Q and K alone lifts every other shard's logits.
    for (int64_t row = 0; row < 64; ++row) {
      data.q.dataAs<float>()[row * 32] = 1;
      data.k.dataAs<float>()[row * 32] = row / 16 % 2 ? float(high) : 0;
    }
    // A number of 200 in f32 leaves an error of 200 * 2^-24 in the exponent, and there are several.
    Errors errors = Judge(given, data).worstRank(compute(given, data));
    for (double error : errors)
      CHECK(error < 1e-4);
  }
}

TEST_CASE("un-normalised f16 accumulator: 128k keys with v = 1 give 1") {
  constexpr int64_t keys = 128 * 1024;
  for (int world : {1, 3}) {
    Case given{
        .options = {.headDim = 64, .dtype = DType::F16}, .world = world, .shape = {1, 3, keys}};
    Data data;
    data.q = HostTensor(DType::F16, {1, 3, 1, 64});
    data.k = HostTensor(DType::F16, {1, keys, 1, 64});
    data.v = reference::tensorOf(
        [] {
          reference::Array ones({1, keys, 1, 64});
          std::fill(ones.data.begin(), ones.data.end(), 1.0);
          return ones;
        }(),
        DType::F16);
    data.dout = finiteData({.options = given.options, .shape = {1, 3, 1}}, freshSeed()).dout;
    reference::Result result = compute(given, data);
    auto all = [](const reference::Array &array, auto &&holds) {
      return std::ranges::all_of(array.data, holds);
    };
    CHECK(all(result.out, [](double out) { return out == 1; }));
    CHECK(
        all(result.lse, [](double lse) { return std::abs(lse - std::log(double(keys))) < 1e-5; }));
    CHECK(all(result.dq, [](double dq) { return dq == 0; }));
    CHECK(all(result.dk, [](double dk) { return dk == 0; }));
    CHECK(all(result.dv, [](double dv) { return std::isfinite(dv); }));
  }
}

TEST_CASE("base-2 and base-e lse mixed: halves of the keys merge by what is exported") {
  uint64_t seed = freshSeed();
  INFO("RINGC_TEST_SEED=", seed);
  Case whole{.options = {.heads = 2, .headDim = 32}, .world = 2, .shape = {1, 40, 90}};
  Data data = finiteData(whole, seed);
  reference::Result together = compute(whole, data), half[2];
  for (int64_t which : {0, 1}) {
    Case part = whole;
    part.shape.keyLength = 45;
    half[which] = compute(part, {.q = HostTensor::copyOf(data.q),
                                 .k = HostTensor::copyOf(data.k.view().slice(1, which * 45, 45)),
                                 .v = HostTensor::copyOf(data.v.view().slice(1, which * 45, 45)),
                                 .dout = HostTensor::copyOf(data.dout)});
  }
  for (int64_t h = 0; h < 2; ++h)
    for (int64_t row = 0; row < 40; ++row) {
      double a = half[0].lse.at(0, h, row, 0), b = half[1].lse.at(0, h, row, 0);
      double lse = std::log(std::exp(a) + std::exp(b));
      CHECK(together.lse.at(0, h, row, 0) == doctest::Approx(lse).epsilon(1e-5));
      for (int64_t c = 0; c < 32; ++c)
        CHECK(std::abs(together.out.at(0, row, h, c) -
                       (std::exp(a - lse) * half[0].out.at(0, row, h, c) +
                        std::exp(b - lse) * half[1].out.at(0, row, h, c))) < 1e-5);
    }
}
