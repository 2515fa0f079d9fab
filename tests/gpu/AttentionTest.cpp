// Attention on a real device against the ring of the host.

#include "ringc/jit/DeviceCompiler.h"
#include "ringc/jit/HostCompiler.h"
#include "tests/gpu/RingInputs.h"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

void checkClose(const AttentionOptions &options, int world, int64_t batch, int64_t queries,
                int64_t keys) {
  static const AttentionContext host = hostContext();
  static const DeviceContext device = deviceContext();
  CAPTURE(nameOf(options.layout));
  CAPTURE(nameOf(options.dtype));
  CAPTURE(options.headDim);
  CAPTURE(world);
  RingInputs made(options, batch, queries, keys);
  HostAttentionRing onHost(options, 1, host);
  HostAttentionRing::Forward expected = onHost.forward(made.inputs());
  OffloadedAttentionRing onDevice(options, world, device);
  OffloadedAttentionRing::Forward forward = onDevice.forward(made.inputs());
  // Both round p to 16 bits, in tiles of their own.
  double bar = options.dtype == DType::BF16 ? 1e-2 : options.dtype == DType::F16 ? 1.5e-3 : 2e-5;
  CHECK(errorOf(forward.out, expected.out) < bar);
  CHECK(errorOf(forward.lse, expected.lse) < bar);
  HostAttentionRing::Gradients gradients = onHost.backward(made.inputs(), expected, made.dout);
  OffloadedAttentionRing::Gradients back = onDevice.backward(made.inputs(), forward, made.dout);
  CHECK(errorOf(back.dq, gradients.dq) < 2 * bar);
  CHECK(errorOf(back.dk, gradients.dk) < 2 * bar);
  CHECK(errorOf(back.dv, gradients.dv) < 2 * bar);
}

} // namespace

TEST_CASE("one rank, types and head dims") {
  for (DType dtype : {DType::BF16, DType::F16, DType::F32})
    for (int64_t headDim : {64, 128})
      for (bool causal : {false, true})
        checkClose({.heads = 4, .kvHeads = 2, .headDim = headDim, .dtype = dtype, .causal = causal},
                   1, 2, 257, 257);
}

TEST_CASE("head dims of one column") {
  for (auto [headDim, valueDim] : {std::pair{1, 1}, {1, 64}, {64, 1}})
    for (BackwardForm form : {BackwardForm::Split, BackwardForm::Fused})
      for (DType dtype : {DType::BF16, DType::F32})
        checkClose({.heads = 2,
                    .headDim = headDim,
                    .valueHeadDim = valueDim,
                    .dtype = dtype,
                    .causal = true,
                    .layout = SequenceLayout::zigzag(),
                    .backward = form},
                   2, 1, 200, 200);
}

TEST_CASE("several logical ranks, every layout") {
  for (const SequenceLayout &layout : {SequenceLayout::contiguous(), SequenceLayout::striped(),
                                       SequenceLayout::striped(5), SequenceLayout::zigzag()})
    for (int world : {2, 7})
      for (bool causal : {false, true})
        checkClose({.heads = 4,
                    .kvHeads = 2,
                    .headDim = 64,
                    .dtype = DType::BF16,
                    .causal = causal,
                    .layout = layout},
                   world, 1, 301, 301);
}

TEST_CASE(
    "the fused backward: types, head dims, layouts, masks, other lengths of queries and keys") {
  for (DType dtype : {DType::BF16, DType::F16, DType::F32})
    for (auto [headDim, valueDim] : {std::pair{64, 64}, {128, 128}, {40, 24}, {192, 128}})
      for (bool causal : {false, true})
        checkClose({.heads = 4,
                    .kvHeads = 2,
                    .headDim = headDim,
                    .valueHeadDim = valueDim,
                    .dtype = dtype,
                    .causal = causal,
                    .backward = BackwardForm::Fused},
                   1, 2, 257, 257);
  for (const SequenceLayout &layout : {SequenceLayout::striped(5), SequenceLayout::zigzag()})
    checkClose({.heads = 4,
                .kvHeads = 2,
                .headDim = 64,
                .dtype = DType::BF16,
                .causal = true,
                .softcap = 20.0,
                .layout = layout,
                .backward = BackwardForm::Fused},
               3, 1, 301, 301);
  checkClose({.heads = 2,
              .headDim = 128,
              .dtype = DType::BF16,
              .window = {50, 3},
              .backward = BackwardForm::Fused},
             2, 1, 130, 333);
}

TEST_CASE("warps side by side: sums of rows go across them, computed tiles through shared memory") {
  AttentionOptions options = {.heads = 2,
                              .headDim = 80,
                              .valueHeadDim = 40,
                              .dtype = DType::BF16,
                              .causal = true,
                              .tile = {{"q", 64}, {"kv", 64}, {"warps", 4}, {"n_warps", 2}}};
  for (DType dtype : {DType::BF16, DType::F32}) {
    options.dtype = dtype;
    if (dtype == DType::F32)
      options.tile = {{"q", 32}, {"kv", 32}, {"warps", 6}, {"n_warps", 3}};
    for (BackwardForm form : {BackwardForm::Split, BackwardForm::Fused}) {
      options.backward = form;
      checkClose(options, 2, 1, 131, 131);
    }
  }
}

TEST_CASE("masks that bound positions, from either side, together, and beside others") {
  const std::vector<std::string> conditions = {
      "i - j <= 10 and j - i <= 5",
      "i - j < 33 and i - j > -4",
      "-9 <= i - j and 40 > i - j",
      "j >= 3 and 90 > j",
      "j - i == -20 or j < 2",
      "j <= i or j < 20",
      "j >= i or j > 60",
      "b == 0 or j <= i",
      "j <= i and (h != 1 or i - j < 17)",
      "i >= 40 and j <= i",
      "not (j > i)",
      "j <= i and (i - j) % 3 != 1",
      "j <= i - 2147483647 or j <= i",
      "i - j <= 2147483647 and j - i <= -1",
      "i - j >= -2147483647 - 1 and j < 2147483647",
      "j + 1 <= i + 1 and i < 100 and j >= b",
      "(j <= i and i - j <= 30) or j < 4",
      "i - j < -2147483647",
      "min(i, 50) >= j",
  };
  int number = 0;
  for (const std::string &condition : conditions) {
    CAPTURE(condition);
    std::string source =
        "mask seen(b: index, h: index, i: index, j: index) { return " + condition + " }";
    const std::array layouts = {SequenceLayout::zigzag(), SequenceLayout::contiguous(),
                                SequenceLayout::striped(), SequenceLayout::striped(5)};
    checkClose({.heads = 4,
                .kvHeads = 2,
                .headDim = number % 3 == 2 ? 128 : 64,
                .dtype = DType::BF16,
                .masks = {{"user.tile", "seen", source}},
                .layout = layouts[size_t(number % 4)],
                .backward = number % 2 ? BackwardForm::Split : BackwardForm::Fused},
               2, 2, 151, 151);
    ++number;
  }
  for (Window window : {Window{2147483647, 0}, {0, 1}, {-1, 2147483647}, {31, -1}})
    checkClose({.heads = 2,
                .headDim = 64,
                .dtype = DType::BF16,
                .window = window,
                .layout = SequenceLayout::zigzag()},
               3, 1, 200, 200);
}
