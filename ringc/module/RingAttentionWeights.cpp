#include "ringc/module/RingAttentionWeights.h"

#include "ringc/files/File.h"
#include "ringc/files/Safetensors.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace ringc {

namespace {

constexpr std::string_view gammaName = "to_qkv.0.gamma", qkvName = "to_qkv.1.weight",
                           outName = "to_out.weight";

/// Uniform within 1 / sqrt(columns); not of <random>'s distributions, whose numbers are each
/// library's own.
void fillUniform(const HostTensor &matrix, std::mt19937_64 &random) {
  double bound = 1 / std::sqrt(double(matrix.dim(1)));
  std::generate_n(matrix.dataAs<float>(), matrix.elementCount(), [&] {
    double unit = double(random() >> 11) * 0x1p-53;
    return float((2 * unit - 1) * bound);
  });
}

} // namespace

std::vector<RingAttentionWeight> weightsOf(const RingAttentionOptions &options) {
  std::vector<RingAttentionWeight> list;
  if (options.prenorm)
    list.push_back({gammaName, {options.dim}, &RingAttentionWeights::gamma});
  list.push_back({qkvName, {options.qkvRows(), options.dim}, &RingAttentionWeights::toQkv});
  list.push_back(
      {outName, {options.dim, options.heads * options.dimHead}, &RingAttentionWeights::toOut});
  return list;
}

void checkWeights(const RingAttentionOptions &options, const RingAttentionWeights &weights) {
  for (const RingAttentionWeight &weight : weightsOf(options)) {
    const HostTensor &tensor = weights.*weight.tensor;
    if (tensor.dtype() != DType::F32 || !std::ranges::equal(tensor.shape(), weight.shape))
      throw InputError(weight.name, describe(tensor),
                       describe(Tensor(nullptr, DType::F32, weight.shape)));
  }
}

RingAttentionWeights RingAttentionWeights::initial(const RingAttentionOptions &options,
                                                   uint64_t seed) {
  validate(options);
  std::mt19937_64 random(seed);
  RingAttentionWeights made;
  for (const RingAttentionWeight &weight : weightsOf(options)) {
    HostTensor &tensor = made.*weight.tensor = HostTensor(DType::F32, weight.shape);
    if (weight.shape.size() == 1)
      std::fill_n(tensor.dataAs<float>(), tensor.elementCount(), 1.0f);
    else
      fillUniform(tensor, random);
  }
  return made;
}

RingAttentionWeights RingAttentionWeights::load(const std::string &path,
                                                const RingAttentionOptions &options,
                                                const std::string &prefix) {
  validate(options);
  RingAttentionWeights loaded;
  for (const RingAttentionWeight &weight : weightsOf(options)) {
    std::string name = prefix + std::string(weight.name);
    HostTensor tensor = readSafetensors(path, name, {.as = {DType::F32}});
    if (tensor.dtype() != DType::F32 || !std::ranges::equal(tensor.shape(), weight.shape))
      throw InputError(path + ":" + name, describe(tensor),
                       describe(Tensor(nullptr, DType::F32, weight.shape)) +
                           ", as the module's options have it");
    loaded.*weight.tensor = std::move(tensor);
  }
  return loaded;
}

void RingAttentionWeights::save(const std::string &path, const std::string &prefix) const {
  std::vector<NamedTensor> tensors;
  if (gamma.rank() > 0)
    tensors.push_back({prefix + std::string(gammaName), gamma});
  tensors.push_back({prefix + std::string(qkvName), toQkv});
  tensors.push_back({prefix + std::string(outName), toOut});
  OutputFile file(path);
  writeSafetensors(file, tensors);
  file.close();
  file.publish();
}

} // namespace ringc
