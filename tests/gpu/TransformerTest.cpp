// The transformer on real devices, of one rank and of several of one process, against double
// precision: results, gradients, steps and tokens one by one.

#include "ringc/jit/DeviceCompiler.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/module/DeviceModuleBackend.h"
#include "ringc/ring/SubRings.h"
#include "ringc/transformer/AdamW.h"
#include "ringc/transformer/TokenDecoder.h"
#include "ringc/world/ModuleWorld.h"
#include "tests/support/ReferenceAttention.h"
#include "tools/ringc/TransformerCase.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

using namespace ringc;
using cli::ModuleError;
using cli::TransformerCase;
using cli::TransformerCheck;

namespace {

RingTransformerOptions usual(DType dtype) {
  RingTransformerOptions made;
  made.numTokens = 61;
  made.dim = 132;
  made.depth = 2;
  made.dimHead = 32;
  made.heads = 4;
  made.numGroupedQueryHeads = 2;
  made.causal = true;
  made.dtype = dtype;
  return made;
}

RingTransformerOptions ofRing(DType dtype, int64_t rowsOfRank) {
  RingTransformerOptions made = usual(dtype);
  made.ringAttn = true;
  made.ringSeqSize = made.bucketSize = rowsOfRank;
  return made;
}

/// Ranks that are threads, dealt over `devices`.
void onRanks(int ranks, const std::vector<int> &devices,
             const std::function<void(const std::shared_ptr<ModuleBackend> &)> &body) {
  std::unique_ptr<World> world = makeWorld({.ranks = ranks, .onDevices = true, .devices = devices});
  onModuleRanks(*world, hostContext(), body);
}

void check(const TransformerCase &of) {
  CAPTURE(of.name());
  CAPTURE(of.seed);
  DeviceContext device = deviceContext();
  CudaStream stream(device.device);
  std::vector<ModuleError> errors =
      TransformerCheck(of).ofRank(deviceModuleBackend(device, stream));
  CHECK(errors.size() == 2 + weightsOf(of.options).size());
  for (const ModuleError &error : errors) {
    CAPTURE(error.result);
    CAPTURE(error.plain);
    CHECK(error.ours <= error.bar);
  }
}

std::vector<int32_t> randomTokens(int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int32_t &token : tokens)
    token = int32_t(random() % 61);
  return tokens;
}

} // namespace

TEST_CASE("the transformer's logits, loss and gradients") {
  for (DType dtype : {DType::F32, DType::BF16, DType::F16})
    for (bool recompute : {false, true}) {
      TransformerCase of{.options = usual(dtype), .length = 301, .seed = std::random_device{}()};
      of.options.recompute = recompute;
      check(of);
      of.keyMask = true;
      of.options.maxLookbackSeqLen = {60, std::nullopt};
      check(of);
    }
}

TEST_CASE("the transformer learns on a device, the same bits every time") {
  for (DType dtype : {DType::F32, DType::BF16}) {
    auto train = [&] {
      DeviceContext device = deviceContext();
      CudaStream stream(device.device);
      RingTransformerOptions options = usual(dtype);
      RingTransformer model(options, deviceModuleBackend(device, stream),
                            RingTransformerWeights::initial(options, 1));
      AdamW optimiser(model, {.rate = 3e-3});
      std::vector<double> losses;
      for (int step = 0; step < 40; ++step) {
        HostTensor tokens(DType::I32, {2, 65});
        for (int64_t i = 0; i < 130; ++i)
          tokens.dataAs<int32_t>()[i] = int32_t((i + step) % 13);
        RingTransformerLoss forward = model.loss({.tokens = tokens});
        losses.push_back(forward.loss);
        optimiser.step(model.backward(forward));
      }
      return losses;
    };
    std::vector<double> losses = train();
    CHECK(losses.front() > 3);
    CHECK(losses.back() < 0.5);
    CHECK(train() == losses);
  }
}

TEST_CASE("the transformer of ranks of one process, on one device and on all") {
  for (const std::vector<int> &devices : {std::vector{0}, {}})
    for (int ranks : {2, 3})
      for (DType dtype : {DType::F32, DType::BF16}) {
        TransformerCase of{.options = ofRing(dtype, (301 + ranks - 1) / ranks),
                           .world = ranks,
                           .length = 301,
                           .batches = {1, 0, 1},
                           .seed = std::random_device{}()};
        of.options.stripedRingAttn = true;
        of.batches.resize(size_t(ranks));
        CAPTURE(of.name());
        CAPTURE(of.seed);
        CAPTURE(devices.size());
        TransformerCheck check(of);
        std::vector<std::vector<ModuleError>> errors(static_cast<size_t>(ranks));
        onRanks(ranks, devices, [&](const std::shared_ptr<ModuleBackend> &backend) {
          errors[size_t(backend->ranks().rank())] = check.ofRank(backend);
        });
        for (const std::vector<ModuleError> &ofRank : errors) {
          CHECK(ofRank.size() == 2 + weightsOf(of.options).size());
          for (const ModuleError &error : ofRank) {
            CAPTURE(error.result);
            CAPTURE(error.rank);
            CHECK(error.ours <= error.bar);
          }
        }
      }
}

TEST_CASE("ranks of one process learn what one rank does, the same bits every time") {
  auto train = [](int ranks) {
    std::vector<double> losses;
    onRanks(ranks, {0}, [&](const std::shared_ptr<ModuleBackend> &backend) {
      RingTransformerOptions options = ofRing(DType::F32, (64 + ranks - 1) / ranks);
      RingTransformer model(options, backend, RingTransformerWeights::initial(options, 1));
      AdamW optimiser(model, {.rate = 3e-3});
      BatchRange own = batchOfRing(2, ranks, backend->ranks().rank());
      for (int step = 0; step < 40; ++step) {
        HostTensor tokens(DType::I32, {own.count, 65});
        for (int64_t i = 0; i < tokens.elementCount(); ++i)
          tokens.dataAs<int32_t>()[i] = int32_t((own.begin * 65 + i + step) % 13);
        RingTransformerLoss forward = model.loss({.tokens = tokens});
        if (backend->ranks().rank() == 0)
          losses.push_back(forward.loss);
        optimiser.step(model.backward(forward));
      }
    });
    return losses;
  };
  std::vector<double> alone = train(1);
  for (int ranks : {2, 3}) {
    CAPTURE(ranks);
    std::vector<double> losses = train(ranks);
    REQUIRE(losses.size() == alone.size());
    for (size_t step = 0; step < 10; ++step)
      CHECK(std::abs(losses[step] - alone[step]) < 1e-3 * alone[step]);
    CHECK(losses.back() < 0.5);
    CHECK(train(ranks) == losses);
  }
}

TEST_CASE("ranks of one process say tokens one by one as the whole sequence does") {
  for (const std::vector<int> &devices : {std::vector{0}, {}})
    for (DType dtype : {DType::F32, DType::BF16}) {
      std::vector<int32_t> text = randomTokens(150, std::random_device{}());
      HostTensor tokens(DType::I32, {1, 150});
      std::ranges::copy(text, tokens.dataAs<int32_t>());
      onRanks(2, devices, [&](const std::shared_ptr<ModuleBackend> &backend) {
        RingTransformerOptions options = ofRing(dtype, 150);
        RingTransformer model(options, backend, RingTransformerWeights::initial(options, 1));
        HostTensor read(dtype, {150, 61}), whole(DType::F32, {150, 61});
        SharedTensor logits = model.logits({.tokens = tokens}); // each rank has the sequence
        model.backend().download(logits.view().select(0, 0), read);
        convert(read, whole);
        TokenDecoder decoder(model, {.tokens = 160, .pageSize = 16});
        std::span<const int32_t> all(text);
        auto check = [&](const HostTensor &made, int64_t at) {
          CAPTURE(at);
          CHECK(reference::relativeError(reference::arrayOf(made),
                                         reference::arrayOf(whole.view().slice(0, at, 1))) <
                (dtype == DType::F32 ? 2e-5 : 0.03));
        };
        check(decoder.append(0, all.first(101)), 100);
        for (int64_t at = 101; at < 140; ++at)
          check(decoder.step(all.subspan(size_t(at), 1)), at);
        check(decoder.append(0, all.last(10)), 149);
      });
    }
}

TEST_CASE("tokens one by one on a device say what the whole sequence says") {
  for (DType dtype : {DType::F32, DType::BF16}) {
    DeviceContext device = deviceContext();
    CudaStream stream(device.device);
    RingTransformerOptions options = usual(dtype);
    RingTransformer model(options, deviceModuleBackend(device, stream),
                          RingTransformerWeights::initial(options, 1));
    std::vector<int32_t> text = randomTokens(150, std::random_device{}());
    HostTensor tokens(DType::I32, {1, 150}), read(dtype, {150, 61}), whole(DType::F32, {150, 61});
    std::ranges::copy(text, tokens.dataAs<int32_t>());
    SharedTensor logits = model.logits({.tokens = tokens});
    model.backend().download(logits.view().select(0, 0), read);
    convert(read, whole);
    TokenDecoder decoder(model, {.tokens = 160, .pageSize = 16});
    std::span<const int32_t> all(text);
    auto errorAt = [&](const HostTensor &made, int64_t at) {
      return reference::relativeError(reference::arrayOf(made),
                                      reference::arrayOf(whole.view().slice(0, at, 1)));
    };
    double bar = dtype == DType::F32 ? 2e-5 : 0.03;
    CHECK(errorAt(decoder.append(0, all.first(101)), 100) < bar);
    for (int64_t at = 101; at < 140; ++at)
      CHECK(errorAt(decoder.step(all.subspan(size_t(at), 1)), at) < bar);
    CHECK(errorAt(decoder.append(0, all.last(10)), 149) < bar);
  }
}
