// The transformer of one rank on a real device, against double precision: results, gradients, steps
// and tokens one by one.

#include "ringc/jit/DeviceCompiler.h"
#include "ringc/module/DeviceModuleBackend.h"
#include "ringc/transformer/AdamW.h"
#include "ringc/transformer/TokenDecoder.h"
#include "tests/support/ReferenceAttention.h"
#include "tools/ringc/TransformerCase.h"

#include <doctest/doctest.h>

#include <algorithm>
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
