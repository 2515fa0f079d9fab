// Steps of the optimiser, on several ranks and after a break.

#include "ringc/comm/InProcess.h"
#include "ringc/module/HostModuleBackend.h"
#include "ringc/support/Error.h"
#include "ringc/transformer/AdamW.h"
#include "tests/transformer/Folder.h"
#include "tests/transformer/TransformerTest.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

/// Sequences that count modulo a number: to be learned.
HostTensor counting(int64_t batch, int64_t length, unsigned seed) {
  HostTensor made(DType::I32, {batch, length});
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t i = 0; i < length; ++i)
      made.dataAs<int32_t>()[b * length + i] = int32_t((seed + b * 5 + i) % 11);
  return made;
}

RingTransformerOptions counter() {
  RingTransformerOptions options = small();
  options.causal = true;
  options.ringSeqSize = options.bucketSize = 64;
  options.autoShardSeq = true;
  return options;
}

struct Trained {
  std::vector<double> losses;
  RingTransformerWeights weights;
};

using Body = std::function<void(RingTransformer &, AdamW &, int rank)>;

/// Of the first rank.
RingTransformerWeights onRanks(const RingTransformerOptions &options, int world, const Body &body) {
  RingTransformerWeights initial = RingTransformerWeights::initial(options, 3), first;
  InProcessWorld ranks(world, {.deadline = std::chrono::seconds(60)});
  runRanks(ranks, [&](int rank) {
    RingTransformer model(options, hostModuleBackend(transformerContext(), ranks.at(rank)),
                          initial);
    AdamW optimiser(model, {.rate = 0.01});
    body(model, optimiser, rank);
    if (rank == 0)
      first = model.weights();
  });
  return first;
}

/// All sequences are the first rank's.
Tensor ofRank(const HostTensor &tokens, int rank) {
  return tokens.view().slice(0, 0, rank == 0 ? tokens.dim(0) : 0);
}

Trained train(RingTransformerOptions options, int world, int steps) {
  options.ringSeqSize = options.bucketSize = (24 + world - 1) / world;
  Trained made;
  made.weights = onRanks(options, world, [&](RingTransformer &model, AdamW &optimiser, int rank) {
    for (int step = 0; step < steps; ++step) {
      HostTensor tokens = counting(3, 25, unsigned(step));
      RingTransformerLoss forward = model.loss({.tokens = ofRank(tokens, rank)});
      optimiser.step(model.backward(forward));
      if (rank == 0)
        made.losses.push_back(forward.loss);
    }
  });
  return made;
}

bool same(const RingTransformerWeights &a, const RingTransformerWeights &b) {
  return std::ranges::equal(a.tensors, b.tensors, [](const auto &x, const auto &y) {
    return std::memcmp(x.second.data(), y.second.data(), size_t(x.second.byteCount())) == 0;
  });
}

} // namespace

TEST_CASE("a step is AdamW's") {
  RingTransformerOptions options = counter();
  RingTransformerWeights before = RingTransformerWeights::initial(options, 3), gradients;
  RingTransformerWeights after =
      onRanks(options, 1, [&](RingTransformer &model, AdamW &optimiser, int) {
        RingTransformerGradients made = model.backward(model.loss({.tokens = counting(2, 20, 1)}));
        gradients = made.download();
        optimiser.step(made);
        CHECK(optimiser.steps() == 1);
      });
  double worst = 0;
  for (const auto &[name, tensor] : before.tensors)
    for (int64_t i = 0; i < tensor.elementCount(); ++i) {
      double g = gradients.tensors.at(name).dataAs<float>()[i], w = tensor.dataAs<float>()[i];
      double expected = w - 0.01 * (0.01 * w + g / (std::abs(g) + 1e-8)); // corrections cancel
      worst =
          std::max(worst, std::abs(double(after.tensors.at(name).dataAs<float>()[i]) - expected));
    }
  CHECK(worst < 1e-6);
}

TEST_CASE("what is learned is the same on 1, 2 and 4 ranks, in 16 bits too") {
  for (DType dtype : {DType::F32, DType::BF16}) {
    RingTransformerOptions options = counter();
    options.dtype = dtype;
    Trained one = train(options, 1, 40);
    CHECK(one.losses.front() > 2);
    CHECK(one.losses.back() < 0.7);
    for (int world : {2, 4}) {
      Trained many = train(options, world, 40);
      for (size_t step = 0; step < one.losses.size(); ++step)
        CHECK(many.losses[step] ==
              doctest::Approx(one.losses[step]).epsilon(dtype == DType::F32 ? 1e-3 : 0.05));
    }
  }
}

TEST_CASE("a run that was broken off goes on as if it had not been") {
  Folder folder;
  std::string path = folder.file("model.safetensors");
  RingTransformerOptions options = counter();
  options.dtype = DType::BF16;
  options.ringSeqSize = options.bucketSize = 12;
  auto steps = [](int from, int to, RingTransformer &model, AdamW &optimiser, int rank) {
    for (int step = from; step < to; ++step) {
      HostTensor tokens = counting(3, 25, unsigned(step));
      optimiser.step(model.backward(model.loss({.tokens = ofRank(tokens, rank)})));
    }
  };
  RingTransformerWeights whole = onRanks(options, 2, [&](auto &model, auto &optimiser, int rank) {
    steps(0, 6, model, optimiser, rank);
  });
  (void)onRanks(options, 2, [&](RingTransformer &model, AdamW &optimiser, int rank) {
    steps(0, 3, model, optimiser, rank);
    if (rank == 0)
      optimiser.save(path);
  });
  CHECK(folder.files() == 1);
  RingTransformerWeights continued =
      onRanks(options, 2, [&](RingTransformer &model, AdamW &optimiser, int rank) {
        optimiser.load(path);
        CHECK(optimiser.steps() == 3);
        steps(3, 6, model, optimiser, rank);
      });
  CHECK(same(whole, continued));
  CHECK(same(RingTransformerWeights::load(path, options),
             RingTransformerWeights::load(path, options)));
}

TEST_CASE("a load that fails changes nothing, and a save that fails leaves what was there") {
  Folder folder;
  RingTransformerOptions options = counter();
  std::string path = folder.file("weights.safetensors");
  RingTransformerWeights::initial(options, 9).save(path, options);
  RingTransformerWeights after = onRanks(options, 1, [&](RingTransformer &, AdamW &optimiser, int) {
    CHECK(messageOf<InputError>([&] {
            optimiser.load(path);
          }).starts_with(path + ": got tensor name 'adamw.mean.token_emb.weight'"));
    CHECK(messageOf<InputError>([&] { optimiser.save(folder.file("no/where")); }) != "");
  });
  CHECK(same(after, RingTransformerWeights::initial(options, 3)));
  CHECK(folder.files() == 1);
}

TEST_CASE("labels that do not count, all of them") {
  RingTransformerOptions options = counter();
  HostTensor tokens = counting(2, 20, 1), labels(DType::I32, {2, 20});
  std::fill_n(labels.dataAs<int32_t>(), 40, -1);
  (void)onRanks(options, 1, [&](RingTransformer &model, AdamW &, int) {
    RingTransformerLoss forward = model.loss({.tokens = tokens, .labels = labels});
    CHECK(forward.loss == 0);
    CHECK(forward.labels == 0);
    for (const auto &[name, gradient] : model.backward(forward).download().tensors) {
      CAPTURE(name);
      CHECK(std::ranges::all_of(
          std::span(gradient.template dataAs<float>(), size_t(gradient.elementCount())),
          [](float number) { return number == 0; }));
    }
  });
}

TEST_CASE("inputs that cannot be, on every rank") {
  RingTransformerOptions options = counter();
  auto said = [&](int world, const std::function<void(int, RingTransformerInputs &)> &change) {
    std::vector<std::string> all(size_t(world), "nothing");
    HostTensor tokens = counting(1, 20, 1);
    RingTransformerWeights weights = RingTransformerWeights::initial(options, 1);
    InProcessWorld ranks(world, {.deadline = std::chrono::seconds(20)});
    runRanks(ranks, [&](int rank) {
      RingTransformer model(options, hostModuleBackend(transformerContext(), ranks.at(rank)),
                            weights);
      RingTransformerInputs inputs{.tokens = tokens};
      change(rank, inputs);
      all[size_t(rank)] = messageOf<std::exception>([&] { (void)model.loss(inputs); });
    });
    return all;
  };
  HostTensor wrong = counting(1, 20, 1), floats(DType::F32, {1, 20}), none(DType::I32, {1, 0}),
             cuts(DType::I32, {2}), fewer(DType::I32, {1, 19});
  wrong.dataAs<int32_t>()[7] = 13;
  std::vector<std::string> two =
      said(2, [&](int rank, auto &inputs) { inputs.tokens = rank == 1 ? wrong : inputs.tokens; });
  CHECK(two[1] == "tokens[0, 7]: got 13, allowed: 0 to 12");
  CHECK(two[0].find("tokens[0, 7]: got 13") != two[0].npos);
  CHECK(said(1, [&](int, auto &inputs) { inputs.tokens = floats; })[0] ==
        "tokens: got f32[1, 20], allowed: i32[b, n]");
  CHECK(said(1, [&](int, auto &inputs) { inputs.tokens = none; })[0] ==
        "tokens: got i32[1, 0], allowed: one or more in a sequence, the last a label");
  CHECK(said(1, [&](int, auto &inputs) { inputs.labels = fewer; })[0] ==
        "labels: got i32[1, 19], allowed: i32[1, 20]");
  CHECK(said(1, [&](int, auto &inputs) { inputs.cuSeqlens = cuts; })[0].starts_with(
      "labels: got none, allowed: labels with cu_seqlens"));
  wrong.dataAs<int32_t>()[7] = -1;
  CHECK(said(1, [&](int, auto &inputs) { inputs.labels = wrong; })[0] == "");
  options.autoShardSeq = false;
  for (const std::string &each : said(2, [](int, auto &) {}))
    CHECK(each.starts_with("labels: got none, allowed: labels where ranks have shards"));
}

TEST_CASE("ranks whose weights are apart hear of it") {
  RingTransformerOptions options = counter();
  InProcessWorld ranks(2, {.deadline = std::chrono::seconds(20)});
  runRanks(ranks, [&](int rank) {
    RingTransformer model(options, hostModuleBackend(transformerContext(), ranks.at(rank)),
                          RingTransformerWeights::initial(options, uint64_t(rank)));
    CHECK(messageOf<DisagreementError>([&] {
            (void)model.loss({.tokens = counting(1, 20, 1)});
          }).find("weights") != std::string::npos);
  });
}
