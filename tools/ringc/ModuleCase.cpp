#include "tools/ringc/ModuleCase.h"

#include "ringc/comm/InProcess.h"
#include "ringc/module/AutoShard.h"
#include "ringc/module/HostModuleBackend.h"
#include "ringc/ring/Agreement.h"
#include "tests/support/ReferenceModule.h"
#include "tools/ringc/ModuleParts.h"
#include "tools/ringc/RandomProblem.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <limits>
#include <numeric>
#include <random>
#include <span>

namespace ringc::cli {

namespace {

using reference::Array;

/// What all ranks work on together.
struct Whole {
  HostTensor tokens, dout, keyMask, positions, cuSeqlens;
  RingAttentionWeights weights;
};

int64_t batchOf(const ModuleCase &module) {
  return module.batches.empty()
             ? module.batch
             : std::accumulate(module.batches.begin(), module.batches.end(), int64_t(0));
}

Whole wholeOf(const ModuleCase &module) {
  const RingAttentionOptions &options = module.options;
  int64_t batch = batchOf(module), length = module.length;
  Whole whole;
  std::mt19937_64 random(module.seed);
  whole.tokens = randomTensor(options.dtype, {batch, length, options.dim}, random);
  whole.dout = randomTensor(options.dtype, {batch, length, options.dim}, random);
  whole.weights = RingAttentionWeights::initial(options, random());
  if (options.prenorm) {
    HostTensor noise = randomTensor(DType::F32, {options.dim}, random);
    for (int64_t i = 0; i < options.dim; ++i)
      whole.weights.gamma.dataAs<float>()[i] += 0.3f * noise.dataAs<float>()[i];
  }
  whole.keyMask = randomMask({batch, length}, random);
  whole.positions = HostTensor(DType::I32, {batch, length});
  std::generate_n(whole.positions.dataAs<int32_t>(), batch * length,
                  [&] { return int32_t(random() % 1000); });
  whole.cuSeqlens = HostTensor(DType::I32, {int64_t(module.cuSeqlens.size())});
  std::ranges::copy(module.cuSeqlens, whole.cuSeqlens.dataAs<int32_t>());
  return whole;
}

ModuleParts partsOf(const ModuleCase &module) {
  return {module.options, module.world, module.batches, module.ringSize, module.ringOff};
}

struct OfRank {
  HostTensor out, dtokens, gamma, toQkv, toOut;
  bool sameGamma, sameToQkv, sameToOut; ///< bits as on rank 0
};

/// Whether a weight's gradient is that of rank 0, which all ranks ask at once.
bool isOfFirst(ModuleRanks &ranks, const HostTensor &gradient) {
  uint64_t own = checksum({gradient.dataAs<std::byte>(), size_t(gradient.byteCount())});
  std::vector<std::byte> first = ranks.gather(std::as_bytes(std::span(&own, 1))).front();
  return std::memcmp(first.data(), &own, sizeof own) == 0;
}

OfRank runRank(const ModuleCase &module, const Whole &whole,
               std::shared_ptr<ModuleBackend> backend) {
  ModuleParts parts = partsOf(module);
  int rank = backend->ranks().rank();
  RingAttention attention(module.options, std::move(backend), whole.weights);
  ModuleBackend &memory = attention.backend();
  auto put = [&](const Tensor &all) {
    HostTensor own = parts.of(all, rank);
    SharedTensor made = memory.allocate(own.dtype(), own.shape());
    memory.upload(own, made);
    return made;
  };
  auto take = [&](const Tensor &result) {
    if (result.rank() == 0)
      return HostTensor();
    HostTensor made(result.dtype(), result.shape());
    memory.download(result, made);
    return made;
  };
  SharedTensor tokens = put(whole.tokens), dout = put(whole.dout), keyMask = put(whole.keyMask),
               positions = put(whole.positions);
  RingAttentionInputs inputs{.tokens = tokens};
  if (module.keyMask)
    inputs.keyMask = keyMask;
  if (module.positions)
    inputs.positions = positions;
  if (!module.cuSeqlens.empty())
    inputs.cuSeqlens = whole.cuSeqlens;
  inputs.ringSize = module.ringSize;
  inputs.ringOff = module.ringOff;
  if (module.tellsWhole)
    inputs.whole = {batchOf(module), module.length};
  RingAttentionForward forward = attention.forward(inputs);
  RingAttentionGradients gradients = attention.backward(forward, dout);
  OfRank own{take(forward.out),
             take(gradients.tokens),
             take(gradients.gamma),
             take(gradients.toQkv),
             take(gradients.toOut),
             true,
             true,
             true};
  ModuleRanks &ranks = memory.ranks();
  own.sameGamma = !module.options.prenorm || isOfFirst(ranks, own.gamma);
  own.sameToQkv = isOfFirst(ranks, own.toQkv);
  own.sameToOut = isOfFirst(ranks, own.toOut);
  return own;
}

/// As the module multiplies them.
Array rounded(const HostTensor &weight, DType dtype) {
  HostTensor made(dtype, weight.shape());
  convert(weight, made);
  return reference::arrayOf(made);
}

reference::ModuleProblem problemOf(const ModuleCase &module, const Whole &whole) {
  const RingAttentionOptions &options = module.options;
  reference::ModuleProblem problem;
  problem.heads = options.heads;
  problem.kvHeads = options.kvHeads();
  problem.dimHead = options.dimHead;
  if (options.rotaryEmbed)
    problem.rotaryTheta = options.rotaryEmbedTheta;
  problem.positions.resize(size_t(batchOf(module)));
  for (int64_t b = 0; b < batchOf(module); ++b)
    for (int64_t i = 0; i < module.length; ++i) {
      auto document = std::ranges::upper_bound(module.cuSeqlens, int32_t(i));
      int64_t start = module.cuSeqlens.empty() ? 0 : *(document - 1);
      problem.positions[size_t(b)].push_back(
          module.positions ? whole.positions.dataAs<int32_t>()[b * module.length + i] : i - start);
    }
  problem.softcap = options.softcap;
  problem.headMap =
      options.headMap == HeadMap::Tiled ? reference::HeadMap::Tiled : reference::HeadMap::Blocked;
  problem.mask.causal = options.causal;
  problem.mask.windowLeft = options.maxLookbackSeqLen.value_or(-1);
  if (module.keyMask)
    problem.mask.keyMask.assign(whole.keyMask.dataAs<uint8_t>(),
                                whole.keyMask.dataAs<uint8_t>() + whole.keyMask.elementCount());
  problem.mask.cuSeqlens = module.cuSeqlens;
  problem.tokens = reference::arrayOf(whole.tokens);
  if (options.prenorm)
    problem.gamma = rounded(whole.weights.gamma, options.dtype);
  problem.toQkv = rounded(whole.weights.toQkv, options.dtype);
  problem.toOut = rounded(whole.weights.toOut, options.dtype);
  problem.dout = reference::arrayOf(whole.dout);
  return problem;
}

Array times(Array array, double factor) {
  for (double &number : array.data)
    number *= factor;
  return array;
}

} // namespace

std::string ModuleCase::name() const {
  std::string text = std::string(nameOf(options.dtype)) + " world " + std::to_string(world) +
                     ", layout " + nameOf(layoutOf(options)) + ", n " + std::to_string(length) +
                     ", heads " + std::to_string(options.heads) + "/" +
                     std::to_string(options.kvHeads());
  for (auto [given, what] : {std::pair(options.causal, ", causal"),
                             {options.ringAttn, ", ring"},
                             {options.autoShardSeq, ", auto shard"},
                             {keyMask, ", key mask"},
                             {positions, ", positions"},
                             {!cuSeqlens.empty(), ", documents"},
                             {ringOff, ", ring off"}})
    if (given)
      text += what;
  if (options.maxLookbackSeqLen)
    text += ", look-back " + std::to_string(*options.maxLookbackSeqLen);
  if (ringSize)
    text += ", ring size " + std::to_string(*ringSize);
  return text;
}

namespace {

/// In double precision, and as an eager implementation has it.
struct Expected {
  Expected(const ModuleCase &module, const Whole &whole) {
    reference::ModuleProblem problem = problemOf(module, whole);
    exact = plain = reference::attentionModule(problem);
    if (module.options.dtype == DType::F32)
      return;
    problem.rounded = module.options.dtype;
    plain = reference::attentionModule(problem);
  }

  reference::ModuleResult exact, plain;
};

std::vector<ModuleError> errorsOfRank(const ModuleCase &module, const OfRank &own,
                                      const Expected &expected, int rank) {
  ModuleParts parts = partsOf(module);
  std::vector<ModuleError> errors;
  Bars bars{module.options.dtype, module.options.f32Products, std::nullopt};
  double rows = double(own.out.dim(0)) * double(own.out.dim(1));
  auto add = [&](const char *name, const HostTensor &ours, const Array &exact, const Array &plain) {
    ModuleError error{name, rank, reference::relativeError(reference::arrayOf(ours), exact),
                      reference::relativeError(plain, exact)};
    error.bar = bars.dtype == DType::F32 ? bars.ofF32() : bars.against(error.plain, rows);
    errors.push_back(error);
  };
  auto addRows = [&](const char *name, const HostTensor &ours,
                     Array reference::ModuleResult::*result) {
    auto part = [&](const Array &of) {
      return reference::arrayOf(parts.of(reference::tensorOf(of, DType::F32, 3), rank).view());
    };
    add(name, ours, part(expected.exact.*result), part(expected.plain.*result));
  };
  auto addWeights = [&](const char *name, const HostTensor &ours, bool sameBits,
                        Array reference::ModuleResult::*result) {
    add(name, ours, times(expected.exact.*result, parts.copies()),
        times(expected.plain.*result, parts.copies()));
    if (!sameBits)
      errors.back().ours = std::numeric_limits<double>::infinity();
  };
  using reference::ModuleResult;
  addRows("out", own.out, &ModuleResult::out);
  addRows("gradient of tokens", own.dtokens, &ModuleResult::dtokens);
  if (module.options.prenorm)
    addWeights("gradient of gamma", own.gamma, own.sameGamma, &ModuleResult::dgamma);
  addWeights("gradient of to_qkv", own.toQkv, own.sameToQkv, &ModuleResult::dtoQkv);
  addWeights("gradient of to_out", own.toOut, own.sameToOut, &ModuleResult::dtoOut);
  return errors;
}

} // namespace

class ModuleCheck::Impl {
public:
  explicit Impl(const ModuleCase &of)
      : module(of), whole(wholeOf(module)), expected(module, whole) {}

  std::vector<ModuleError> ofRank(std::shared_ptr<ModuleBackend> backend) const {
    int rank = backend->ranks().rank();
    OfRank own = runRank(module, whole, std::move(backend));
    return errorsOfRank(module, own, expected, rank);
  }

private:
  ModuleCase module;
  Whole whole;
  Expected expected;
};

ModuleCheck::ModuleCheck(const ModuleCase &module) : self(std::make_unique<Impl>(module)) {}
ModuleCheck::~ModuleCheck() = default;
ModuleCheck::ModuleCheck(ModuleCheck &&) noexcept = default;
ModuleCheck &ModuleCheck::operator=(ModuleCheck &&) noexcept = default;

std::vector<ModuleError> ModuleCheck::ofRank(std::shared_ptr<ModuleBackend> backend) const {
  return self->ofRank(std::move(backend));
}

std::vector<ModuleError> errorsOf(const ModuleCase &module, const AttentionContext &context) {
  ModuleCheck check(module);
  std::vector<std::vector<ModuleError>> ranks(size_t(module.world));
  InProcessWorld world(module.world, {.lends = module.world % 2 == 0}); // lent and sent
  runRanks(world, [&](int rank) {
    ranks[size_t(rank)] = check.ofRank(hostModuleBackend(context, world.at(rank)));
  });
  std::vector<ModuleError> errors;
  for (std::vector<ModuleError> &ofRank : ranks)
    std::ranges::move(ofRank, std::back_inserter(errors));
  return errors;
}

std::vector<ModuleError> errorsOf(const ModuleCase &module,
                                  std::shared_ptr<ModuleBackend> backend) {
  return ModuleCheck(module).ofRank(std::move(backend));
}

} // namespace ringc::cli
