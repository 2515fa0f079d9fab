// The ring of a device without a device: the host's kernels behind the tests' own driver give the
// bits that the ring of the host gives.

#include "ringc/attention/shared/Options.h"
#include "tests/gpu/FakeWorld.h"
#include "tests/gpu/RingInputs.h"

#include <doctest/doctest.h>

#include <cstring>

using namespace ringc;
using namespace ringc::test;

namespace {

bool sameBits(const HostTensor &a, const HostTensor &b) {
  return a.byteCount() == b.byteCount() &&
         std::memcmp(a.data(), b.data(), size_t(a.byteCount())) == 0;
}

void checkSchedule(const AttentionOptions &options, int world, const AttentionInputs &inputs,
                   const Tensor &dout) {
  CAPTURE(nameOf(options.layout));
  CAPTURE(nameOf(*options.schedule));
  CAPTURE(world);
  HostAttentionRing onHost(completed(options), world, hostWorld()); // the defaults of a device
  HostAttentionRing::Forward forward = onHost.forward(inputs);
  HostAttentionRing::Gradients gradients = onHost.backward(inputs, forward, dout);
  for (int devices : {1, 2, 3}) {
    CAPTURE(devices);
    OffloadedAttentionRing onDevice(options, world, fakeWorld(devices));
    OffloadedAttentionRing::Forward made = onDevice.forward(inputs);
    CHECK(sameBits(made.out, forward.out));
    CHECK(sameBits(made.lse, forward.lse));
    OffloadedAttentionRing::Gradients back = onDevice.backward(inputs, made, dout);
    CHECK(sameBits(back.dq, gradients.dq));
    CHECK(sameBits(back.dk, gradients.dk));
    CHECK(sameBits(back.dv, gradients.dv));
  }
  CHECK(fake().liveObjects == 0);
}

void checkSame(AttentionOptions options, int world, const AttentionInputs &inputs,
               const Tensor &dout) {
  for (Schedule schedule : commonSchedules) {
    options.schedule = schedule;
    checkSchedule(options, world, inputs, dout);
  }
}

void checkSame(const AttentionOptions &options, int world, int64_t batch, int64_t queries,
               int64_t keys) {
  RingInputs made(options, batch, queries, keys);
  checkSame(options, world, made.inputs(), made.dout);
}

const SequenceLayout layouts[] = {SequenceLayout::contiguous(), SequenceLayout::striped(),
                                  SequenceLayout::striped(5), SequenceLayout::zigzag()};

} // namespace

TEST_CASE("every layout, causal or not, on one rank and several") {
  for (const SequenceLayout &layout : layouts)
    for (int world : {1, 2, 3, 7})
      for (bool causal : {false, true})
        checkSame({.heads = 4,
                   .kvHeads = 2,
                   .headDim = 32,
                   .headMap = world % 2 ? HeadMap::Tiled : HeadMap::Blocked,
                   .causal = causal,
                   .layout = layout},
                  world, 2, 61, 61);
}

TEST_CASE("windows with dead hops, other lengths of queries and keys, 16 bits, sub-rings") {
  checkSame({.heads = 2, .headDim = 32, .causal = true, .window = {20, 0}}, 6, 1, 97, 97);
  checkSame({.heads = 2, .headDim = 48, .valueHeadDim = 40, .dtype = DType::BF16}, 3, 1, 33, 70);
  checkSame({.heads = 2, .headDim = 32, .window = {5, -1}}, 5, 1, 70, 33);
  checkSame({.heads = 2, .headDim = 32, .causal = true, .ringSize = 2}, 6, 4, 33, 33);
  checkSame({.heads = 2, .headDim = 32, .causal = true}, 4, 1, 3, 3);
  checkSame({.heads = 2, .headDim = 32, .causal = true}, 2, 1, 0, 0);
}

TEST_CASE("the fused backward keeps its sum of dq from the first hop to the last") {
  for (int world : {1, 3})
    checkSame({.heads = 4,
               .kvHeads = 2,
               .headDim = 32,
               .causal = true,
               .layout = SequenceLayout::zigzag(),
               .backward = BackwardForm::Fused},
              world, 2, 61, 61);
  checkSame({.headDim = 32, .window = {5, 0}, .backward = BackwardForm::Fused}, 5, 1, 70, 33);
  checkSame({.headDim = 32, .causal = true, .backward = BackwardForm::Fused}, 4, 1, 2, 2);
}

TEST_CASE("data that masks and scores read travels with its keys or stays with its queries") {
  AttentionOptions options{.heads = 2,
                           .headDim = 32,
                           .softcap = 15.0,
                           .alibi = true,
                           .layout = SequenceLayout::zigzag()};
  RingInputs made(options, 2, 50, 50);
  AttentionInputs inputs = made.inputs();
  HostTensor keyMask(DType::Bool, {2, 50}), documents(DType::I32, {4}),
      bias = randomNumbers(DType::F32, {1, 2, 50, 50}, 9);
  for (int64_t i = 0; i < 100; ++i)
    keyMask.dataAs<bool>()[i] = i % 7 != 3;
  std::memcpy(documents.data(), std::array<int32_t, 4>{0, 13, 30, 50}.data(), 16);
  inputs.bias = bias;
  inputs.keyMask = keyMask;
  checkSame(options, 3, inputs, made.dout);
  inputs.cuSeqlens = documents;
  checkSame(options, 4, inputs, made.dout);
  options.ringSize = 2;
  checkSame(options, 4, inputs, made.dout);
}

TEST_CASE("masks of the user's on sub-rings see entries of the whole batch") {
  AttentionOptions options{.headDim = 32,
                           .masks = {{"user.tile", "by_entry",
                                      "mask by_entry(b: index, h: index, i: index, j: index) { "
                                      "return (i + j) % (b + 2) == 0 }"}},
                           .ringSize = 2};
  checkSame(options, 6, 5, 20, 20);
}
