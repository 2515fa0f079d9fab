#include "ringc/transformer/RingTransformerWeights.h"

#include "ringc/files/File.h"
#include "ringc/files/Safetensors.h"
#include "ringc/module/RingAttentionWeights.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>
#include <string_view>

namespace ringc {

namespace {

constexpr std::string_view frequencies = "rotary_emb.inv_freq";

/// Above 0, at most 1; not of <random>'s distributions, whose numbers are each library's own.
double unit(std::mt19937_64 &random) { return (double(random() >> 11) + 1) * 0x1p-53; }

/// Box and Muller's.
double normal(std::mt19937_64 &random) {
  double length = std::sqrt(-2 * std::log(unit(random)));
  return length * std::cos(2 * std::numbers::pi * unit(random));
}

void fill(const HostTensor &tensor, const RingTransformerWeight &weight, std::mt19937_64 &random) {
  std::generate_n(tensor.dataAs<float>(), tensor.elementCount(), [&] {
    switch (weight.initial) {
    case RingTransformerWeight::Initial::One:
      return 1.0F;
    case RingTransformerWeight::Initial::Uniform:
      return float((2 * unit(random) - 1) / std::sqrt(double(weight.inputs)));
    case RingTransformerWeight::Initial::Normal:
      return float(normal(random));
    }
    return 0.0F;
  });
}

void checkShape(std::string_view name, const Tensor &tensor, const std::vector<int64_t> &shape,
                std::string_view why) {
  if (tensor.dtype() != DType::F32 || !std::ranges::equal(tensor.shape(), shape))
    throw InputError(name, describe(tensor),
                     describe(Tensor(nullptr, DType::F32, shape)) + std::string(why));
}

HostTensor read(const std::string &path, const std::string &name,
                const std::vector<int64_t> &shape) {
  HostTensor tensor = readSafetensors(path, name, {.as = {DType::F32}});
  checkShape(path + ":" + name, tensor, shape, ", as the transformer's options have it");
  return tensor;
}

/// A file of the original's says what its heads were turned by.
void checkFrequencies(const std::string &path, const RingTransformerOptions &options) {
  std::vector<StoredShape> stored = safetensorsShapes(path);
  if (std::ranges::find(stored, frequencies, &StoredShape::name) == stored.end())
    return;
  HostTensor own = inverseFrequencies(options);
  HostTensor theirs = read(path, std::string(frequencies), {options.dimHead / 2});
  for (int64_t pair = 0; pair < own.elementCount(); ++pair) {
    float ours = own.dataAs<float>()[pair], given = theirs.dataAs<float>()[pair];
    if (!(std::abs(given - ours) <= 0.01F * ours)) // it may have been 16 bit
      throw InputError(path + ":" + std::string(frequencies) + "[" + std::to_string(pair) + "]",
                       std::to_string(given),
                       std::to_string(ours) + ", as rotary_embed_theta has it");
  }
}

} // namespace

std::vector<RingTransformerWeight> weightsOf(const RingTransformerOptions &options) {
  using Initial = RingTransformerWeight::Initial;
  std::vector<RingTransformerWeight> list;
  auto add = [&](const std::string &name, std::vector<int64_t> shape, Initial initial,
                 int64_t inputs = 1) { list.push_back({name, std::move(shape), initial, inputs}); };
  int64_t dim = options.dim, inner = options.dimInner();
  add("token_emb.weight", {options.numTokens, dim}, Initial::Normal);
  for (int64_t layer = 0; layer < options.depth; ++layer) {
    std::string prefix = "layers." + std::to_string(layer) + ".";
    for (const RingAttentionWeight &weight : weightsOf(attentionOf(options, layer)))
      add(prefix + "0." + std::string(weight.name), weight.shape,
          weight.shape.size() == 1 ? Initial::One : Initial::Uniform, weight.shape.back());
    add(prefix + "1.0.gamma", {dim}, Initial::One);
    add(prefix + "1.1.weight", {inner, dim}, Initial::Uniform, dim);
    add(prefix + "1.1.bias", {inner}, Initial::Uniform, dim);
    add(prefix + "1.3.weight", {dim, inner}, Initial::Uniform, inner);
    add(prefix + "1.3.bias", {dim}, Initial::Uniform, inner);
  }
  add("to_logits.0.gamma", {dim}, Initial::One);
  add("to_logits.1.weight", {options.numTokens, dim}, Initial::Uniform, dim);
  return list;
}

void checkWeights(const RingTransformerOptions &options, const RingTransformerWeights &weights) {
  std::vector<RingTransformerWeight> list = weightsOf(options);
  for (const RingTransformerWeight &weight : list) {
    auto found = weights.tensors.find(weight.name);
    if (found == weights.tensors.end())
      throw InputError(weight.name, "nothing", describe(Tensor(nullptr, DType::F32, weight.shape)));
    checkShape(weight.name, found->second, weight.shape, "");
  }
  for (const auto &[name, tensor] : weights.tensors)
    if (std::ranges::find(list, name, &RingTransformerWeight::name) == list.end())
      throw InputError(name, describe(tensor), "no weight of that name");
}

HostTensor inverseFrequencies(const RingTransformerOptions &options) {
  HostTensor made(DType::F32, {options.dimHead / 2});
  for (int64_t pair = 0; pair < made.elementCount(); ++pair)
    made.dataAs<float>()[pair] =
        float(std::pow(options.rotaryEmbedTheta, -2 * double(pair) / double(options.dimHead)));
  return made;
}

RingTransformerOptions optionsOfCheckpoint(const std::string &path) {
  std::vector<StoredShape> stored = safetensorsShapes(path);
  auto shapeOf = [&](const std::string &name, size_t axes) -> const std::vector<int64_t> & {
    auto found = std::ranges::find(stored, name, &StoredShape::name);
    bool fits =
        found != stored.end() && found->shape.size() == axes && std::ranges::min(found->shape) > 0;
    if (!fits)
      throw InputError(path, "no tensor " + name + " of " + std::to_string(axes) + " axes",
                       "a checkpoint of a RingTransformer");
    return found->shape;
  };
  RingTransformerOptions made;
  made.numTokens = shapeOf("token_emb.weight", 2)[0];
  made.dim = shapeOf("token_emb.weight", 2)[1];
  made.dimHead = 2 * shapeOf(std::string(frequencies), 1)[0];
  made.heads = shapeOf("layers.0.0.to_out.weight", 2)[1] / made.dimHead;
  int64_t kvHeads = (shapeOf("layers.0.0.to_qkv.1.weight", 2)[0] / made.dimHead - made.heads) / 2;
  made.numGroupedQueryHeads = made.heads / std::max<int64_t>(1, kvHeads);
  made.ffMult = shapeOf("layers.0.1.1.weight", 2)[0] / made.dim;
  auto isThere = [&](int64_t layer) {
    std::string name = "layers." + std::to_string(layer) + ".0.to_out.weight";
    return std::ranges::find(stored, name, &StoredShape::name) != stored.end();
  };
  while (isThere(made.depth))
    ++made.depth;
  if (made.dimHead > 2) {
    HostTensor turns = readSafetensors(path, std::string(frequencies), {.as = {DType::F32}});
    made.rotaryEmbedTheta = std::pow(double(turns.dataAs<float>()[1]), -double(made.dimHead) / 2);
    // It was rounded to 24 bits: the number that was meant has few digits.
    double digits = std::pow(10, 5 - std::floor(std::log10(made.rotaryEmbedTheta)));
    made.rotaryEmbedTheta = std::round(made.rotaryEmbedTheta * digits) / digits;
  }
  validate(made);
  return made;
}

RingTransformerWeights RingTransformerWeights::initial(const RingTransformerOptions &options,
                                                       uint64_t seed) {
  validate(options);
  std::mt19937_64 random(seed);
  RingTransformerWeights made;
  for (const RingTransformerWeight &weight : weightsOf(options)) {
    HostTensor &tensor = made.tensors[weight.name] = HostTensor(DType::F32, weight.shape);
    fill(tensor, weight, random);
  }
  return made;
}

RingTransformerWeights RingTransformerWeights::load(const std::string &path,
                                                    const RingTransformerOptions &options) {
  validate(options);
  RingTransformerWeights loaded;
  for (const RingTransformerWeight &weight : weightsOf(options))
    loaded.tensors[weight.name] = read(path, weight.name, weight.shape);
  checkFrequencies(path, options);
  return loaded;
}

void RingTransformerWeights::save(const std::string &path,
                                  const RingTransformerOptions &options) const {
  checkWeights(options, *this);
  std::vector<NamedTensor> list;
  for (const auto &[name, tensor] : tensors)
    list.push_back({name, tensor});
  HostTensor turns = inverseFrequencies(options);
  list.push_back({std::string(frequencies), turns});
  OutputFile file(path);
  writeSafetensors(file, list);
  file.close();
  file.publish();
}

} // namespace ringc
