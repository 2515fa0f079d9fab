#include "tools/ringc/TransformerCase.h"

#include "ringc/comm/InProcess.h"
#include "ringc/module/HostModuleBackend.h"
#include "tests/support/ReferenceTransformer.h"
#include "tools/ringc/ModuleParts.h"
#include "tools/ringc/RandomProblem.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <numeric>
#include <random>
#include <span>
#include <utility>

namespace ringc::cli {

namespace {

using reference::Array;

/// What all ranks work on together. Where labels are not given there is one token more.
struct Whole {
  HostTensor tokens, labels, keyMask, cuSeqlens;
  RingTransformerWeights weights;
};

int64_t batchOf(const TransformerCase &of) {
  return of.batches.empty() ? of.batch
                            : std::accumulate(of.batches.begin(), of.batches.end(), int64_t(0));
}

Whole wholeOf(const TransformerCase &of) {
  const RingTransformerOptions &options = of.options;
  int64_t batch = batchOf(of), rows = of.length + (of.labels ? 0 : 1);
  Whole whole;
  std::mt19937_64 random(of.seed);
  whole.tokens = HostTensor(DType::I32, {batch, rows});
  whole.labels = HostTensor(DType::I32, {batch, rows});
  auto token = [&] { return int32_t(random() % uint64_t(options.numTokens)); };
  std::generate_n(whole.tokens.dataAs<int32_t>(), batch * rows, token);
  std::generate_n(whole.labels.dataAs<int32_t>(), batch * rows,
                  [&] { return random() % 4 == 0 ? int32_t(options.ignoreIndex) : token(); });
  whole.weights = RingTransformerWeights::initial(options, random());
  for (auto &[name, tensor] : whole.weights.tensors)
    if (name.ends_with("gamma")) {
      HostTensor noise = randomTensor(DType::F32, {tensor.dim(0)}, random);
      for (int64_t i = 0; i < tensor.dim(0); ++i)
        tensor.dataAs<float>()[i] += 0.3f * noise.dataAs<float>()[i];
    }
  whole.keyMask = randomMask({batch, rows}, random);
  whole.cuSeqlens = HostTensor(DType::I32, {int64_t(of.cuSeqlens.size())});
  std::ranges::copy(of.cuSeqlens, whole.cuSeqlens.dataAs<int32_t>());
  return whole;
}

struct OfRank {
  HostTensor logits;
  double loss = 0;
  RingTransformerWeights gradients;
  bool sameBits = true; ///< of loss and gradients, as on rank 0
};

/// Whether loss and gradients are those of rank 0, which all ranks ask at once.
bool isOfFirst(ModuleRanks &ranks, const OfRank &own) {
  uint64_t sum = checksum(std::as_bytes(std::span(&own.loss, 1)));
  for (const auto &[name, tensor] : own.gradients.tensors)
    sum = sum * 31 + checksum({tensor.dataAs<std::byte>(), size_t(tensor.byteCount())});
  std::vector<std::byte> first = ranks.gather(std::as_bytes(std::span(&sum, 1))).front();
  return std::memcmp(first.data(), &sum, sizeof sum) == 0;
}

ModuleParts partsOf(const TransformerCase &of) {
  return {attentionOf(of.options, 0), of.world, of.batches, of.ringSize, of.ringOff};
}

/// What the logits are of.
Tensor withLabels(const TransformerCase &of, const Tensor &rows) {
  return of.labels ? rows : rows.slice(1, 0, rows.dim(1) - 1);
}

OfRank runRank(const TransformerCase &of, const Whole &whole,
               std::shared_ptr<ModuleBackend> backend) {
  ModuleParts parts = partsOf(of);
  int rank = backend->ranks().rank();
  RingTransformer model(of.options, std::move(backend), whole.weights);
  HostTensor tokens = parts.of(whole.tokens, rank), labels = parts.of(whole.labels, rank),
             keyMask = parts.of(whole.keyMask, rank);
  RingTransformerInputs inputs{.tokens = tokens};
  if (of.keyMask)
    inputs.keyMask = keyMask;
  if (!of.cuSeqlens.empty())
    inputs.cuSeqlens = whole.cuSeqlens;
  inputs.ringSize = of.ringSize;
  inputs.ringOff = of.ringOff;
  if (of.tellsWhole)
    inputs.whole = {batchOf(of), of.length};
  RingTransformerInputs forLogits = inputs;
  forLogits.tokens = withLabels(of, tokens);
  if (of.keyMask)
    forLogits.keyMask = withLabels(of, keyMask);
  SharedTensor logits = model.logits(forLogits);
  OfRank made;
  made.logits = HostTensor(of.options.dtype, logits.view().shape());
  model.backend().download(logits, made.logits);
  if (of.labels)
    inputs.labels = labels;
  RingTransformerLoss forward = model.loss(inputs);
  made.loss = forward.loss;
  made.gradients = model.backward(forward).download();
  made.sameBits = isOfFirst(model.backend().ranks(), made);
  return made;
}

reference::TransformerProblem problemOf(const TransformerCase &of, const Whole &whole) {
  const RingTransformerOptions &options = of.options;
  reference::TransformerProblem problem;
  problem.depth = options.depth;
  problem.dim = options.dim;
  problem.numTokens = options.numTokens;
  int64_t batch = batchOf(of), rows = whole.tokens.dim(1);
  for (int64_t layer = 0; layer < options.depth; ++layer) {
    RingAttentionOptions attention = attentionOf(options, layer);
    reference::ModuleProblem module;
    module.heads = attention.heads;
    module.kvHeads = attention.kvHeads();
    module.dimHead = attention.dimHead;
    module.rotaryTheta = attention.rotaryEmbedTheta;
    module.positions.resize(size_t(batch));
    for (std::vector<int64_t> &positions : module.positions)
      for (int64_t i = 0; i < of.length; ++i) {
        auto document = std::ranges::upper_bound(of.cuSeqlens, int32_t(i));
        positions.push_back(of.cuSeqlens.empty() ? i : i - *(document - 1));
      }
    module.softcap = attention.softcap;
    module.headMap = attention.headMap == HeadMap::Tiled ? reference::HeadMap::Tiled
                                                         : reference::HeadMap::Blocked;
    module.mask.causal = attention.causal;
    module.mask.windowLeft = attention.maxLookbackSeqLen.value_or(-1);
    for (int64_t b = 0; of.keyMask && b < batch; ++b)
      for (int64_t i = 0; i < of.length; ++i)
        module.mask.keyMask.push_back(whole.keyMask.dataAs<uint8_t>()[b * rows + i]);
    module.mask.cuSeqlens = of.cuSeqlens;
    problem.layers.push_back(std::move(module));
  }
  for (int64_t b = 0; b < batch; ++b) {
    const int32_t *tokens = whole.tokens.dataAs<int32_t>() + b * rows,
                  *labels = of.labels ? whole.labels.dataAs<int32_t>() + b * rows : tokens + 1;
    problem.tokens.emplace_back(tokens, tokens + of.length);
    problem.labels.emplace_back(labels, labels + of.length);
    for (int64_t &label : problem.labels.back())
      if (label == options.ignoreIndex)
        label = -1;
  }
  for (const auto &[name, tensor] : whole.weights.tensors) {
    HostTensor rounded(options.dtype, tensor.shape());
    convert(tensor, rounded);
    problem.weights[name] = reference::arrayOf(rounded);
  }
  return problem;
}

/// In double precision, and as an eager implementation has it.
struct Expected {
  Expected(const TransformerCase &of, const Whole &whole) {
    reference::TransformerProblem problem = problemOf(of, whole);
    exact = plain = reference::transformer(problem);
    if (of.options.dtype == DType::F32)
      return;
    problem.rounded = of.options.dtype;
    plain = reference::transformer(problem);
  }

  reference::TransformerResult exact, plain;
};

Array numberOf(double number) {
  Array made({1, 1, 1, 1});
  made.data[0] = number;
  return made;
}

std::vector<ModuleError> errorsOfRank(const TransformerCase &of, const OfRank &own,
                                      const Expected &expected, int rank) {
  std::vector<ModuleError> errors;
  Bars bars{of.options.dtype, of.options.f32Products, std::nullopt};
  double rows = double(of.length) * double(batchOf(of));
  auto add = [&](const std::string &name, const Array &ours, const Array &exact,
                 const Array &plain) {
    ModuleError error{name, rank, reference::relativeError(ours, exact),
                      reference::relativeError(plain, exact)};
    error.bar = bars.dtype == DType::F32 ? bars.ofF32() : bars.against(error.plain, rows);
    if (!own.sameBits && name != "logits")
      error.ours = std::numeric_limits<double>::infinity();
    errors.push_back(error);
  };
  ModuleParts parts = partsOf(of);
  auto part = [&](const Array &logits) {
    return reference::arrayOf(parts.of(reference::tensorOf(logits, DType::F32, 3), rank).view());
  };
  add("logits", reference::arrayOf(own.logits), part(expected.exact.logits),
      part(expected.plain.logits));
  add("loss", numberOf(own.loss), numberOf(expected.exact.loss), numberOf(expected.plain.loss));
  for (const auto &[name, gradient] : own.gradients.tensors)
    add("gradient of " + name, reference::arrayOf(gradient), expected.exact.gradients.at(name),
        expected.plain.gradients.at(name));
  return errors;
}

} // namespace

std::string TransformerCase::name() const {
  std::string text = std::string(nameOf(options.dtype)) + " world " + std::to_string(world) +
                     ", layout " + nameOf(layoutOf(attentionOf(options, 0))) + ", n " +
                     std::to_string(length) + ", heads " + std::to_string(options.heads) +
                     ", depth " + std::to_string(options.depth);
  for (auto [given, what] : {std::pair(options.causal, ", causal"),
                             {options.ringAttn, ", ring"},
                             {options.autoShardSeq.value_or(options.ringAttn), ", auto shard"},
                             {options.recompute, ", recompute"},
                             {labels, ", labels"},
                             {keyMask, ", key mask"},
                             {!cuSeqlens.empty(), ", documents"},
                             {ringOff, ", ring off"}})
    if (given)
      text += what;
  if (ringSize)
    text += ", ring size " + std::to_string(*ringSize);
  return text;
}

class TransformerCheck::Impl {
public:
  explicit Impl(const TransformerCase &given)
      : of(given), whole(wholeOf(of)), expected(of, whole) {}

  std::vector<ModuleError> ofRank(std::shared_ptr<ModuleBackend> backend) const {
    int rank = backend->ranks().rank();
    return errorsOfRank(of, runRank(of, whole, std::move(backend)), expected, rank);
  }

private:
  TransformerCase of;
  Whole whole;
  Expected expected;
};

TransformerCheck::TransformerCheck(const TransformerCase &transformer)
    : self(std::make_unique<Impl>(transformer)) {}
TransformerCheck::~TransformerCheck() = default;
TransformerCheck::TransformerCheck(TransformerCheck &&) noexcept = default;
TransformerCheck &TransformerCheck::operator=(TransformerCheck &&) noexcept = default;

std::vector<ModuleError> TransformerCheck::ofRank(std::shared_ptr<ModuleBackend> backend) const {
  return self->ofRank(std::move(backend));
}

std::vector<ModuleError> errorsOf(const TransformerCase &of, const AttentionContext &context) {
  TransformerCheck check(of);
  std::vector<std::vector<ModuleError>> ranks(size_t(of.world));
  InProcessWorld world(of.world, {.lends = of.world % 2 == 0}); // lent and sent
  runRanks(world, [&](int rank) {
    ranks[size_t(rank)] = check.ofRank(hostModuleBackend(context, world.at(rank)));
  });
  std::vector<ModuleError> errors;
  for (std::vector<ModuleError> &ofRank : ranks)
    std::ranges::move(ofRank, std::back_inserter(errors));
  return errors;
}

} // namespace ringc::cli
