// Tokens one by one, with a cache over ranks, against the logits of whole sequences.

#include "ringc/transformer/TokenDecoder.h"
#include "ringc/comm/InProcess.h"
#include "ringc/module/HostModuleBackend.h"
#include "ringc/support/Error.h"
#include "tests/support/ReferenceAttention.h"
#include "tests/transformer/TransformerTest.h"

#include <doctest/doctest.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

RingTransformerOptions causal() {
  RingTransformerOptions options = small();
  options.causal = true;
  options.numGroupedQueryHeads = 2;
  return options;
}

std::vector<int32_t> randomTokens(int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int32_t &token : tokens)
    token = int32_t(random() % 13);
  return tokens;
}

using Body = std::function<void(RingTransformer &, int rank)>;

void onRanks(const RingTransformerOptions &options, int world, const Body &body) {
  RingTransformerWeights weights = RingTransformerWeights::initial(options, 3);
  InProcessWorld ranks(world, {.deadline = std::chrono::seconds(60)});
  runRanks(ranks, [&](int rank) {
    RingTransformer model(options, hostModuleBackend(transformerContext(), ranks.at(rank)),
                          weights);
    body(model, rank);
  });
}

/// Behind each token, of the whole sequence on one rank: [n, num_tokens].
HostTensor wholeLogits(RingTransformerOptions options, const std::vector<int32_t> &tokens) {
  options.ringAttn = options.stripedRingAttn = false;
  HostTensor ids(DType::I32, {1, int64_t(tokens.size())}), made;
  std::ranges::copy(tokens, ids.dataAs<int32_t>());
  onRanks(options, 1, [&](RingTransformer &model, int) {
    SharedTensor logits = model.logits({.tokens = ids});
    made = HostTensor(DType::F32, {ids.dim(1), options.numTokens});
    convert(logits.view().select(0, 0), made);
  });
  return made;
}

double errorOf(const HostTensor &logits, int64_t row, const HostTensor &whole, int64_t at) {
  return reference::relativeError(reference::arrayOf(logits.view().slice(0, row, 1)),
                                  reference::arrayOf(whole.view().slice(0, at, 1)));
}

} // namespace

TEST_CASE("prompts of any length, and the tokens behind them") {
  for (DType dtype : {DType::F32, DType::BF16})
    for (int world : {1, 2, 3})
      for (int64_t prompt : {1, 2, 15, 16, 17, 40, 64}) {
        RingTransformerOptions options = causal();
        options.dtype = dtype;
        unsigned seed = std::random_device{}();
        CAPTURE(seed);
        CAPTURE(world);
        CAPTURE(prompt);
        std::vector<int32_t> tokens = randomTokens(prompt + 12, seed);
        HostTensor whole = wholeLogits(options, tokens);
        double bar = dtype == DType::F32 ? 2e-5 : 0.03;
        onRanks(options, world, [&](RingTransformer &model, int) {
          TokenDecoder decoder(model, {.tokens = 80, .pageSize = 8});
          std::span<const int32_t> all(tokens);
          CHECK(errorOf(decoder.append(0, all.first(size_t(prompt))), 0, whole, prompt - 1) < bar);
          for (int64_t at = prompt; at < prompt + 8; ++at)
            CHECK(errorOf(decoder.step(all.subspan(size_t(at), 1)), 0, whole, at) < bar);
          CHECK(errorOf(decoder.append(0, all.last(4)), 0, whole, prompt + 11) < bar); // a chunk
          CHECK(decoder.length(0) == prompt + 12);
        });
      }
}

TEST_CASE("entries of other lengths, look-back of a layer, and an entry that is used again") {
  RingTransformerOptions options = causal();
  options.maxLookbackSeqLen = {5, std::nullopt};
  options.softcap = 2;
  std::vector<std::vector<int32_t>> texts = {randomTokens(30, 1), randomTokens(9, 2),
                                             randomTokens(22, 3)};
  for (int world : {1, 3})
    onRanks(options, world, [&](RingTransformer &model, int) {
      TokenDecoder decoder(model, {.entries = 2, .tokens = 32, .pageSize = 4});
      std::span<const int32_t> first(texts[0]), second(texts[1]), third(texts[2]);
      HostTensor ofFirst = wholeLogits(options, texts[0]),
                 ofSecond = wholeLogits(options, texts[1]),
                 ofThird = wholeLogits(options, texts[2]);
      (void)decoder.append(0, first.first(26));
      (void)decoder.append(1, second.first(5));
      for (size_t step = 0; step < 4; ++step) {
        HostTensor logits = decoder.step(std::array{first[26 + step], second[5 + step]});
        CHECK(errorOf(logits, 0, ofFirst, 26 + int64_t(step)) < 2e-5);
        CHECK(errorOf(logits, 1, ofSecond, 5 + int64_t(step)) < 2e-5);
      }
      decoder.free(0);
      CHECK(decoder.length(0) == 0);
      CHECK(errorOf(decoder.append(0, third), 0, ofThird, 21) < 2e-5);
    });
}

TEST_CASE("tokens that cannot be, and ranks that differ") {
  RingTransformerOptions options = causal();
  onRanks(options, 1, [&](RingTransformer &model, int) {
    auto said = [](auto body) { return messageOf<InputError>(body); };
    TokenDecoder decoder(model, {.entries = 2, .tokens = 8, .pageSize = 4});
    CHECK(said([&] { (void)decoder.append(2, std::array{1}); }) == "entry: got 2, allowed: 0 to 1");
    CHECK(said([&] { (void)decoder.append(0, {}); }) == "tokens: got none, allowed: one or more");
    CHECK(said([&] { (void)decoder.append(0, std::array{1, 13}); }) ==
          "tokens[1]: got 13, allowed: 0 to 12");
    CHECK(said([&] { (void)decoder.step(std::array{1}); }) ==
          "tokens: got 1 tokens, allowed: 2, one for each entry");
    CHECK(said([&] { (void)decoder.append(0, randomTokens(9, 1)); }) ==
          "tokens of entry 0: got 9, allowed: at most 8");
    CHECK(said([&] { TokenDecoder(model, {.entries = 0}); }) ==
          "entries: got 0, allowed: 1 or more");
    CHECK(said([&] { TokenDecoder(model, {.pageSize = 0}); }).starts_with("page size: got 0"));
  });
  RingTransformerOptions blind = options;
  blind.causal = false;
  onRanks(blind, 1, [&](RingTransformer &model, int) {
    CHECK(messageOf<InputError>([&] { TokenDecoder(model, {}); }) ==
          "causal: got false, allowed: true: tokens see no later ones");
  });
  onRanks(options, 2, [&](RingTransformer &model, int rank) {
    TokenDecoder decoder(model, {});
    CHECK(messageOf<DisagreementError>([&] {
            (void)decoder.append(0, std::array{rank});
          }).find("tokens") != std::string::npos);
  });
}
