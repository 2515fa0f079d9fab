// The transformer on devices, without one: the same model, its kernels, ring and sums in the order
// of streams, against double precision.

#include "ringc/module/DeviceModuleBackend.h"
#include "ringc/transformer/TokenDecoder.h"
#include "tests/gpu/FakeThreadWorld.h"
#include "tests/gpu/FakeWorld.h"
#include "tests/support/ReferenceAttention.h"
#include "tools/ringc/TransformerCase.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <span>
#include <string>
#include <vector>

using namespace ringc;
using namespace ringc::test;
using cli::ModuleError;
using cli::TransformerCase;
using cli::TransformerCheck;

namespace {

TransformerCase small(int world) {
  TransformerCase made;
  made.options.numTokens = 13;
  made.options.dim = 20;
  made.options.depth = 2;
  made.options.dimHead = 8;
  made.options.heads = 4;
  made.options.causal = made.options.ringAttn = true;
  made.options.ringSeqSize = made.options.bucketSize = 16;
  for (int rank = 0; rank < world; ++rank)
    made.batches.push_back(rank == 1 ? 0 : 1);
  made.world = world;
  return made;
}

void checkErrors(const TransformerCase &of, const std::vector<ModuleError> &errors) {
  CAPTURE(of.name());
  CHECK(errors.size() == 2 + weightsOf(of.options).size());
  for (const ModuleError &error : errors) {
    CAPTURE(error.result);
    CAPTURE(error.rank);
    CHECK(error.ours <= error.bar);
  }
}

} // namespace

TEST_CASE("the transformer of one rank on a device") {
  for (DType dtype : {DType::F32, DType::BF16}) {
    TransformerCase of = small(1);
    of.options.dtype = dtype;
    of.options.recompute = dtype == DType::BF16;
    of.keyMask = true;
    DeviceContext device = fakeWorld().front();
    CudaStream stream(device.device);
    checkErrors(of, TransformerCheck(of).ofRank(deviceModuleBackend(device, stream)));
  }
}

TEST_CASE_TEMPLATE("the transformer of several ranks, over NCCL and in threads", World, NcclWorld,
                   ThreadWorld) {
  for (int size : {2, 3})
    for (bool labels : {true, false}) {
      TransformerCase of = small(size);
      of.options.stripedRingAttn = true;
      of.labels = labels;
      TransformerCheck check(of);
      World world(size);
      std::vector<std::vector<ModuleError>> errors(static_cast<size_t>(size));
      std::vector<std::string> said = world.run([&](int rank, RemoteTransport &transport) {
        const DeviceContext &device = world.devices[size_t(rank)];
        CudaStream stream(device.device);
        errors[size_t(rank)] = check.ofRank(deviceModuleBackend(device, stream, transport));
      });
      for (const std::string &each : said)
        CHECK(each == "nothing thrown");
      for (const std::vector<ModuleError> &ofRank : errors)
        checkErrors(of, ofRank);
    }
}

TEST_CASE_TEMPLATE("tokens one by one on devices say what the whole sequence says", World,
                   NcclWorld, ThreadWorld) {
  for (int size : {1, 2}) {
    RingTransformerOptions options = small(1).options;
    unsigned seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    HostTensor tokens(DType::I32, {1, 44});
    std::span<int32_t> text(tokens.dataAs<int32_t>(), 44);
    std::ranges::generate(text, [&] { return int32_t(random() % 13); });
    RingTransformerWeights weights = RingTransformerWeights::initial(options, seed);
    options.ringSeqSize = options.bucketSize = 44;
    World world(size);
    std::vector<std::string> said = world.run([&](int rank, RemoteTransport &transport) {
      const DeviceContext &device = world.devices[size_t(rank)];
      CudaStream stream(device.device);
      RingTransformer model(options, deviceModuleBackend(device, stream, transport), weights);
      SharedTensor logits = model.logits({.tokens = tokens}); // each rank has the sequence
      HostTensor whole(DType::F32, {44, 13});
      model.backend().download(logits.view().select(0, 0), whole);
      TokenDecoder decoder(model, {.tokens = 44, .pageSize = 8});
      auto check = [&](const HostTensor &made, int64_t at) {
        CAPTURE(at);
        CHECK(reference::relativeError(reference::arrayOf(made),
                                       reference::arrayOf(whole.view().slice(0, at, 1))) < 2e-5);
      };
      check(decoder.append(0, text.first(33)), 32);
      for (int64_t at = 33; at < 39; ++at)
        check(decoder.step(text.subspan(size_t(at), 1)), at);
      check(decoder.append(0, text.last(5)), 43);
    });
    for (const std::string &each : said)
      CHECK(each == "nothing thrown");
  }
}
