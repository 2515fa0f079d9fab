// Weights by the original's names; a checkpoint that numpy wrote (data/make.py).

#include "ringc/comm/InProcess.h"
#include "ringc/files/File.h"
#include "ringc/files/Safetensors.h"
#include "ringc/module/HostModuleBackend.h"
#include "ringc/support/Error.h"
#include "tests/support/ReferenceAttention.h"
#include "tests/transformer/Folder.h"
#include "tests/transformer/TransformerTest.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

const std::string data = RINGC_TRANSFORMER_DATA;

/// That of data/make.py.
RingTransformerOptions ofCheckpoint() {
  RingTransformerOptions options;
  options.numTokens = 11;
  options.dim = 12;
  options.depth = 2;
  options.heads = 4;
  options.numGroupedQueryHeads = 2;
  options.dimHead = 6;
  options.ffMult = 2;
  options.causal = true;
  return options;
}

bool same(const RingTransformerWeights &a, const RingTransformerWeights &b) {
  return std::ranges::equal(a.tensors, b.tensors, [](const auto &x, const auto &y) {
    return x.first == y.first && std::ranges::equal(x.second.shape(), y.second.shape()) &&
           std::memcmp(x.second.data(), y.second.data(), size_t(x.second.byteCount())) == 0;
  });
}

} // namespace

TEST_CASE("a checkpoint that numpy wrote gives what numpy makes of it, on one rank and on three") {
  RingTransformerOptions options = ofCheckpoint();
  HostTensor tokens = readSafetensors(data + "/logits.safetensors", "tokens"),
             expected = readSafetensors(data + "/logits.safetensors", "logits");
  for (int world : {1, 3}) {
    options.ringAttn = options.stripedRingAttn = world > 1;
    RingTransformerWeights weights =
        RingTransformerWeights::load(data + "/checkpoint.safetensors", options);
    InProcessWorld ranks(world);
    runRanks(ranks, [&](int rank) {
      RingTransformer model(options, hostModuleBackend(transformerContext(), ranks.at(rank)),
                            weights);
      bool isFirst = rank == 0; // it brings both sequences, the others none
      SharedTensor logits = model.logits({.tokens = tokens.view().slice(0, 0, isFirst ? 2 : 0)});
      if (isFirst)
        CHECK(reference::relativeError(reference::arrayOf(logits), reference::arrayOf(expected)) <
              1e-6);
    });
  }
}

TEST_CASE("names and shapes") {
  std::vector<RingTransformerWeight> list = weightsOf(ofCheckpoint());
  REQUIRE(list.size() == 1 + 2 * 8 + 2);
  CHECK(list[0].name == "token_emb.weight");
  CHECK(list[9].name == "layers.1.0.to_qkv.0.gamma");
  CHECK(list[13].name == "layers.1.1.1.weight");
  CHECK(list[13].shape == std::vector<int64_t>{24, 12});
  CHECK(list.back().name == "to_logits.1.weight");
}

TEST_CASE("saved and loaded") {
  Folder folder;
  RingTransformerOptions options = ofCheckpoint();
  RingTransformerWeights weights = RingTransformerWeights::initial(options, 7);
  std::string path = folder.file("weights.safetensors");
  weights.save(path, options);
  CHECK(same(RingTransformerWeights::load(path, options), weights));
  CHECK(!same(RingTransformerWeights::initial(options, 8), weights));
  // The original's load_state_dict wants every name of its own.
  auto names = [](const std::string &of) {
    std::vector<std::string> list;
    for (const StoredShape &stored : safetensorsShapes(of))
      list.push_back(stored.name);
    std::ranges::sort(list);
    return list;
  };
  CHECK(names(path) == names(data + "/checkpoint.safetensors"));
}

TEST_CASE("a checkpoint says what its model is") {
  RingTransformerOptions options = ofCheckpoint();
  options.causal = false;
  CHECK(optionsOfCheckpoint(data + "/checkpoint.safetensors") == options);
  Folder folder;
  options.rotaryEmbedTheta = 500000;
  options.depth = 1;
  options.numGroupedQueryHeads = 4;
  RingTransformerWeights::initial(options, 1).save(folder.file("other"), options);
  CHECK(optionsOfCheckpoint(folder.file("other")) == options);
  CHECK(messageOf<InputError>([] { (void)optionsOfCheckpoint(data + "/logits.safetensors"); }) ==
        data + "/logits.safetensors: got no tensor token_emb.weight of 2 axes, allowed: a "
               "checkpoint of a RingTransformer");
}

TEST_CASE("initial weights are PyTorch's distributions") {
  RingTransformerOptions options = ofCheckpoint();
  options.numTokens = 4000;
  RingTransformerWeights weights = RingTransformerWeights::initial(options, 7);
  auto meanSquare = [&](const char *name, float &most) {
    const HostTensor &tensor = weights.tensors.at(name);
    double sum = 0;
    most = 0;
    for (int64_t i = 0; i < tensor.elementCount(); ++i) {
      float number = tensor.dataAs<float>()[i];
      most = std::max(most, std::abs(number));
      sum += double(number) * double(number);
    }
    return sum / double(tensor.elementCount());
  };
  float most = 0;
  CHECK(meanSquare("token_emb.weight", most) == doctest::Approx(1).epsilon(0.03));
  CHECK(most > 3);
  CHECK(meanSquare("to_logits.1.weight", most) == doctest::Approx(1.0 / 36).epsilon(0.03));
  CHECK(most <= 1 / std::sqrt(12.0F));
  (void)meanSquare("layers.0.1.3.bias", most);
  CHECK(most <= 1 / std::sqrt(24.0F));
  CHECK(meanSquare("layers.0.1.0.gamma", most) == 1);
}

TEST_CASE("a file that does not fit says which tensor, and both shapes") {
  std::string path = data + "/checkpoint.safetensors";
  auto load = [&](const RingTransformerOptions &options) {
    return messageOf<InputError>([&] { (void)RingTransformerWeights::load(path, options); });
  };
  RingTransformerOptions options = ofCheckpoint();
  options.numTokens = 12;
  CHECK(load(options) == path + ":token_emb.weight: got f32[11, 12], allowed: f32[12, 12], as the "
                                "transformer's options have it");
  options = ofCheckpoint();
  options.depth = 3;
  CHECK(
      load(options).starts_with(path + ": got tensor name 'layers.2.0.to_qkv.0.gamma', allowed: "));
  options = ofCheckpoint();
  options.rotaryEmbedTheta = 500000;
  CHECK(load(options).starts_with(path + ":rotary_emb.inv_freq[1]: got 0.046"));
}

TEST_CASE("weights that are not the options'") {
  RingTransformerOptions options = ofCheckpoint();
  RingTransformerWeights weights = RingTransformerWeights::initial(options, 7);
  weights.tensors["to_logits.2.weight"] = HostTensor(DType::F32, {3});
  CHECK(messageOf<InputError>([&] { checkWeights(options, weights); }) ==
        "to_logits.2.weight: got f32[3], allowed: no weight of that name");
  weights.tensors.erase("to_logits.2.weight");
  weights.tensors.erase("token_emb.weight");
  CHECK(messageOf<InputError>([&] { checkWeights(options, weights); }) ==
        "token_emb.weight: got nothing, allowed: f32[11, 12]");
}

TEST_CASE("options that cannot be") {
  auto said = [](auto change) {
    RingTransformerOptions options = ofCheckpoint();
    change(options);
    return messageOf<InputError>([&] { validate(options); });
  };
  CHECK(said([](auto &options) { options.depth = 0; }) == "depth: got 0, allowed: 1 to 1048576");
  CHECK(said([](auto &options) { options.numTokens = 0; }) ==
        "num_tokens: got 0, allowed: 1 to 2147483647");
  CHECK(said([](auto &options) { options.dimHead = 5; }) ==
        "dim_head: got 5, allowed: an even number with rotary_embed");
  CHECK(said([](auto &options) { options.autoShardSeq = true; }) ==
        "auto_shard_seq: got true without ring_attn, allowed: it needs ring_attn");
  CHECK(said([](auto &options) { options.maxLookbackSeqLen = {1, 2, 3}; }) ==
        "max_lookback_seq_len: got 3 numbers, allowed: none, one, or one for each of the 2 layers");
  CHECK(said([](auto &options) {
          options.causal = false;
          options.maxLookbackSeqLen = {{}, 4};
        }) == "max_lookback_seq_len: got 4 without causal, allowed: it needs causal");
}
