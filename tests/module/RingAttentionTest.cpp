// The module and all its gradients against double precision, on every rank.

#include "ringc/comm/InProcess.h"
#include "ringc/module/HostModuleBackend.h"
#include "ringc/support/Error.h"
#include "tests/module/ModuleTest.h"
#include "tests/support/ReferenceAttention.h"
#include "tools/ringc/ModuleCase.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <string>
#include <vector>

using namespace ringc;
using namespace ringc::test;
using cli::ModuleCase;
using cli::ModuleError;

namespace {

constexpr std::array layouts = {SequenceLayout::contiguous(), SequenceLayout::striped(),
                                SequenceLayout::zigzag()};

RingAttentionOptions small() {
  RingAttentionOptions options;
  options.dim = 20;
  options.dimHead = 8;
  options.heads = 4;
  options.ringAttn = true;
  options.rotaryEmbed = true;
  return options;
}

void checkErrors(const ModuleCase &module) {
  CAPTURE(module.name());
  for (const ModuleError &error : errorsOf(module, moduleContext())) {
    CAPTURE(error.result);
    CAPTURE(error.rank);
    CAPTURE(error.plain);
    CHECK(error.ours <= error.bar);
  }
}

/// What a mask of the module can be made of.
void addMask(ModuleCase &module, const std::string &kind) {
  module.options.causal = kind != "full" && kind != "key mask";
  if (kind == "look-back")
    module.options.maxLookbackSeqLen = 9;
  module.keyMask = kind == "key mask" || kind == "causal, key mask";
  if (kind == "documents")
    module.cuSeqlens = {0, 3, 3, 10, 17, 31};
}

} // namespace

TEST_CASE("every number of ranks, layout and mask") {
  for (int world : {1, 2, 3, 4})
    for (const SequenceLayout &layout : layouts)
      for (const char *mask :
           {"full", "causal", "look-back", "key mask", "causal, key mask", "documents"}) {
        ModuleCase module{.options = small(), .world = world};
        module.options.layout = layout;
        addMask(module, mask);
        checkErrors(module);
      }
}

TEST_CASE("groups of query heads, both ways round") {
  for (int64_t group : {2, 4})
    for (HeadMap map : {HeadMap::Tiled, HeadMap::Blocked})
      for (int world : {1, 3}) {
        ModuleCase module{.options = small(), .world = world};
        module.options.heads = 8;
        module.options.numGroupedQueryHeads = group;
        module.options.headMap = map;
        module.options.causal = module.options.stripedRingAttn = true;
        checkErrors(module);
      }
}

TEST_CASE("lengths that do not divide, and are less than the ranks") {
  for (int64_t length : {1, 2, 3, 7, 31, 64})
    for (const SequenceLayout &layout : layouts) {
      ModuleCase module{.options = small(), .world = 4, .length = length};
      module.options.causal = true;
      module.options.layout = layout;
      checkErrors(module);
    }
}

TEST_CASE("without norm, without rotary, with softcap") {
  for (int world : {1, 3}) {
    ModuleCase module{.options = small(), .world = world};
    module.options.prenorm = false;
    checkErrors(module);
    module.options.prenorm = true;
    module.options.rotaryEmbed = false;
    checkErrors(module);
    module.options.softcap = 0.5;
    checkErrors(module);
  }
}

TEST_CASE("16 bit types") {
  for (DType dtype : {DType::BF16, DType::F16})
    for (int world : {1, 3}) {
      ModuleCase module{.options = small(), .world = world};
      module.options.dtype = dtype;
      module.options.causal = module.options.stripedRingAttn = true;
      checkErrors(module);
    }
}

TEST_CASE("positions of the caller, which restart, for rotary") {
  for (int world : {1, 2, 3}) {
    ModuleCase module{.options = small(), .world = world, .positions = true};
    module.options.causal = true;
    checkErrors(module);
  }
}

TEST_CASE("sub-rings: a world of several rings shares the batch") {
  for (const SequenceLayout &layout : layouts)
    for (int64_t batch : {1, 2, 5}) { // one leaves a ring idle
      ModuleCase module{.options = small(), .world = 4, .batch = batch, .ringSize = 2};
      module.options.causal = true;
      module.options.layout = layout;
      checkErrors(module);
      module.tellsWhole = true;
      checkErrors(module);
    }
}

TEST_CASE("auto_shard_seq: batches of any size, to one ring and to several") {
  for (const SequenceLayout &layout : layouts)
    for (bool keyMask : {false, true})
      for (int64_t ringSeqSize : {8, 16, 31}) { // rings of 4, 2 and 1
        ModuleCase module{.options = small(), .world = 4, .batches = {2, 0, 1, 3}};
        module.options.causal = module.options.autoShardSeq = true;
        module.options.ringSeqSize = module.options.bucketSize = ringSeqSize;
        module.options.layout = layout;
        module.keyMask = keyMask;
        checkErrors(module);
      }
  ModuleCase module{.options = small(), .world = 3, .batches = {1, 2, 1}, .positions = true};
  module.options.causal = module.options.autoShardSeq = true;
  module.cuSeqlens = {0, 12, 31};
  checkErrors(module);
}

TEST_CASE("a call without a ring, and a module without one") {
  ModuleCase module{.options = small(), .world = 2, .ringOff = true};
  module.options.causal = true;
  checkErrors(module);
  module.options.autoShardSeq = true;
  module.batches = {2, 1};
  checkErrors(module);
  module.ringOff = false;
  module.options.forceRegularAttn = true;
  checkErrors(module);
  module.options = small();
  module.options.ringAttn = false;
  module.cuSeqlens = {0, 5, 31};
  checkErrors(module);
}

TEST_CASE("layers share a backend, and go back in the other order") {
  RingAttentionOptions options = small();
  options.causal = true;
  constexpr int world = 2;
  HostTensor tokens = randomNormal(DType::F32, {1, 16, options.dim}, 1),
             dout = randomNormal(DType::F32, {1, 16, options.dim}, 2);
  RingAttentionWeights first = RingAttentionWeights::initial(options, 1),
                       second = RingAttentionWeights::initial(options, 2);
  auto run = [&](int size) {
    HostTensor gradient(DType::F32, tokens.shape());
    InProcessWorld ranks(size);
    runRanks(ranks, [&](int rank) {
      std::shared_ptr<ModuleBackend> backend = hostModuleBackend(moduleContext(), ranks.at(rank));
      RingAttention one(options, backend, first), two(options, backend, second);
      int64_t rows = 16 / size;
      RingAttentionForward below =
          one.forward({.tokens = tokens.view().slice(1, rank * rows, rows)});
      RingAttentionForward above = two.forward({.tokens = below.out});
      RingAttentionGradients down = two.backward(above, dout.view().slice(1, rank * rows, rows));
      copy(one.backward(below, down.tokens).tokens, gradient.view().slice(1, rank * rows, rows));
    });
    return gradient;
  };
  CHECK(reference::relativeError(reference::arrayOf(run(world)), reference::arrayOf(run(1))) <
        2e-5);
}

TEST_CASE("the same bits every time") {
  ModuleCase module{.options = small(), .world = 3};
  module.options.causal = true;
  std::vector<ModuleError> first = errorsOf(module, moduleContext()),
                           second = errorsOf(module, moduleContext());
  REQUIRE(first.size() == second.size());
  for (size_t i = 0; i < first.size(); ++i)
    CHECK(first[i].ours == second[i].ours);
}

namespace {

/// Calls a module on each rank, with inputs of its own, and gives what each says.
std::vector<std::string>
messages(const RingAttentionOptions &options, int world,
         const std::function<void(int, RingAttentionInputs &, RingAttentionWeights &)> &change) {
  std::vector<std::string> said(size_t(world), "nothing");
  InProcessWorld transports(world, {.deadline = std::chrono::seconds(20)});
  HostTensor tokens = randomNormal(options.dtype, {1, 8, options.dim}, 1);
  auto body = [&](int rank) {
    RingAttentionWeights weights = RingAttentionWeights::initial(options, 1);
    RingAttentionInputs inputs{.tokens = tokens};
    change(rank, inputs, weights);
    try {
      RingAttention module(options, hostModuleBackend(moduleContext(), transports.at(rank)),
                           weights);
      (void)module.forward(inputs);
    } catch (const std::exception &error) {
      said[size_t(rank)] = error.what();
    }
  };
  runRanks(transports, body);
  return said;
}

std::string messageOfOne(const RingAttentionOptions &options,
                         const std::function<void(RingAttentionInputs &)> &change) {
  return messages(options, 1, [&](int, RingAttentionInputs &inputs, RingAttentionWeights &) {
    change(inputs);
  })[0];
}

} // namespace

TEST_CASE("inputs that cannot be") {
  RingAttentionOptions options = small();
  HostTensor wide(DType::F32, {1, 8, 21}), mask(DType::Bool, {1, 9}), rows(DType::I32, {9}),
      cuts(DType::I32, {2});
  CHECK(messageOfOne(options, [&](auto &inputs) { inputs.tokens = wide; }) ==
        "tokens: got f32[1, 8, 21], allowed: f32[b, n, 20]");
  CHECK(messageOfOne(options, [&](auto &inputs) { inputs.keyMask = mask; }) ==
        "key mask: got bool[1, 9], allowed: bool[1, 8]");
  CHECK(messageOfOne(options, [&](auto &inputs) { inputs.positions = rows; }) ==
        "positions: got i32[9], allowed: i32[8] or i32[1, 8]");
  CHECK(messageOfOne(options, [&](auto &inputs) { inputs.ringSize = 2; }) ==
        "ring_size: got 2, allowed: a divisor of the world, 1");
  CHECK(messageOfOne(options, [&](auto &inputs) { inputs.whole = {1, 9}; }) ==
        "tokens of rank 0: got 1 entries of 8 rows, allowed: 1 entries of 9 rows, its share of 1 "
        "entries of 9 rows dealt to rings of 1, layout contiguous");
  CHECK(messageOfOne(options, [&](auto &inputs) {
          inputs.cuSeqlens = cuts;
        }).starts_with("cu_seqlens[1]: got 0, allowed: "));
  options.rotaryEmbed = false;
  CHECK(messageOfOne(options, [&](auto &inputs) { inputs.positions = rows; }) ==
        "positions: got i32[9] without rotary_embed, allowed: none");
  CHECK(messageOfOne(options, [&](auto &inputs) {
          inputs.ringOff = true;
          inputs.ringSize = 1;
        }) == "ring_size: got 1, allowed: none in a call without a ring");
}

TEST_CASE("all ranks hear of what does not fit together") {
  RingAttentionOptions options = small();
  for (const std::string &said :
       messages(options, 2, [](int rank, auto &, RingAttentionWeights &weights) {
         weights.toOut.dataAs<float>()[0] += float(rank);
       }))
    CHECK(said.find("weights") != said.npos);
  for (const std::string &said :
       messages(options, 2,
                [](int rank, RingAttentionInputs &inputs, auto &) { inputs.ringOff = rank == 1; }))
    CHECK(said.find("ring") != said.npos);
  // Eight rows on rank 0, five on rank 1: no layout deals 13 so.
  for (const std::string &said :
       messages(options, 2, [](int rank, RingAttentionInputs &inputs, auto &) {
         inputs.tokens = inputs.tokens.slice(1, 0, rank == 0 ? 8 : 5);
       }))
    CHECK(said.find("got 1 entries of 8 rows, allowed: 1 entries of 7 rows") != said.npos);
  options.autoShardSeq = true;
  options.ringSeqSize = options.bucketSize = 3;
  for (const std::string &said : messages(options, 2, [](int, auto &, auto &) {}))
    CHECK(said.find("tokens of a sequence: got 8, allowed: at most 6") != said.npos);
}
