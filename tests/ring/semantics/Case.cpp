#include "tests/ring/semantics/Case.h"

#include "ringc/attention/HostAttentionRing.h"
#include "ringc/jit/HostCompiler.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <random>
#include <sstream>

namespace ringc::test {

std::string Case::name() const {
  std::ostringstream text;
  text << nameOf(options.dtype) << " " << nameOf(options.layout) << " world " << world << " ring "
       << (options.ringSize ? options.ringSize : world) << ", b " << shape.batch << " n "
       << shape.queryLength << "/" << shape.keyLength << " h " << options.heads << "/" << kvHeads()
       << (options.headMap == HeadMap::Tiled ? " tiled" : "") << " d " << options.headDim << "/"
       << valueDim();
  if (options.backward)
    text << ", backward " << enumName(*options.backward);
  if (options.scale)
    text << ", scale " << *options.scale;
  if (options.causal)
    text << ", causal, prefix " << options.prefix;
  if (options.window.left >= 0 || options.window.right >= 0)
    text << ", window " << options.window.left << "," << options.window.right;
  if (options.softcap)
    text << ", softcap " << *options.softcap;
  if (options.alibi)
    text << ", alibi";
  if (biasLeading)
    text << ", bias " << (*biasLeading)[0] << "," << (*biasLeading)[1];
  for (const auto *functions : {&options.masks, &options.scores})
    for (const UserFunction &function : *functions)
      text << ", " << function.name;
  if (!keyMask.empty())
    text << ", key mask hides " << std::ranges::count(keyMask, 0);
  if (!cuSeqlens.empty()) {
    text << ", documents";
    for (int32_t at : cuSeqlens)
      text << " " << at;
  }
  for (const auto &[dimension, size] : options.tile)
    text << ", tile " << dimension << " " << size;
  return text.str();
}

uint64_t freshSeed() {
  static const char *const given = std::getenv("RINGC_TEST_SEED");
  if (given)
    return std::strtoull(given, nullptr, 10);
  static std::mt19937_64 seeds(std::random_device{}());
  return seeds();
}

namespace {

class Normal {
public:
  explicit Normal(uint64_t seed) : random(seed) {}

  HostTensor tensor(DType dtype, std::initializer_list<int64_t> shape, double deviation = 1) {
    HostTensor exact(DType::F32, shape);
    std::normal_distribution<float> normal(0, float(deviation));
    std::generate_n(exact.dataAs<float>(), exact.elementCount(), [&] { return normal(random); });
    if (dtype == DType::F32)
      return exact;
    HostTensor rounded(dtype, shape);
    convert(exact, rounded);
    return rounded;
  }

private:
  std::mt19937_64 random;
};

template <typename T>
HostTensor tensorOf(DType dtype, const std::vector<T> &values,
                    std::initializer_list<int64_t> shape) {
  HostTensor tensor(dtype, shape);
  std::ranges::copy(values, tensor.dataAs<T>());
  return tensor;
}

reference::HeadMap headMapOf(const Case &given) {
  return given.options.headMap == HeadMap::Tiled ? reference::HeadMap::Tiled
                                                 : reference::HeadMap::Blocked;
}

reference::Mask maskOf(const Case &given) {
  const AttentionOptions &options = given.options;
  return {.causal = options.causal,
          .prefix = options.prefix,
          .windowLeft = options.window.left,
          .windowRight = options.window.right,
          .keyMask = given.keyMask,
          .cuSeqlens = given.cuSeqlens,
          .predicate = given.predicate};
}

/// Of every row of [b, n, h, d] that `seen` does not name.
void poison(const HostTensor &tensor, const std::vector<uint8_t> &seen) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  constexpr float values[] = {std::numeric_limits<float>::quiet_NaN(), infinity, -infinity};
  int64_t heads = tensor.dim(2), rows = tensor.dim(1);
  HostTensor row(DType::F32, {tensor.dim(3)});
  for (size_t at = 0; at < seen.size(); ++at) {
    if (seen[at])
      continue;
    std::fill_n(row.dataAs<float>(), row.elementCount(), values[at % 3]);
    int64_t j = int64_t(at) % rows, head = int64_t(at) / rows % heads,
            b = int64_t(at) / rows / heads;
    convert(row, tensor.view().select(0, b).select(0, j).select(0, head));
  }
}

} // namespace

std::vector<uint8_t> keysSeen(const Case &given) {
  auto [batch, queries, keys] = given.shape;
  int64_t heads = given.options.heads, kvHeads = given.kvHeads();
  std::vector<uint8_t> seen(size_t(batch * kvHeads * keys));
  reference::Mask mask = maskOf(given);
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t h = 0; h < heads; ++h) {
      int64_t kvHead =
          headMapOf(given) == reference::HeadMap::Blocked ? h / (heads / kvHeads) : h % kvHeads;
      for (int64_t row = 0; row < queries; ++row)
        for (int64_t j = 0; j < keys; ++j)
          seen[size_t((b * kvHeads + kvHead) * keys + j)] |=
              reference::visible(mask, keys, int(b), int(h), row + keys - queries, j);
    }
  return seen;
}

Data finiteData(const Case &given, uint64_t seed) {
  const AttentionOptions &options = given.options;
  auto [batch, queries, keys] = given.shape;
  Normal normal(seed);
  Data data;
  data.q = normal.tensor(options.dtype, {batch, queries, options.heads, options.headDim},
                         given.logitSpread);
  data.k = normal.tensor(options.dtype, {batch, keys, given.kvHeads(), options.headDim},
                         given.logitSpread);
  data.v = normal.tensor(options.dtype, {batch, keys, given.kvHeads(), given.valueDim()});
  data.dout = normal.tensor(options.dtype, {batch, queries, options.heads, given.valueDim()});
  if (!given.keyMask.empty())
    data.keyMask = tensorOf(DType::Bool, given.keyMask, {batch, keys});
  if (!given.cuSeqlens.empty())
    data.cuSeqlens = tensorOf(DType::I32, given.cuSeqlens, {int64_t(given.cuSeqlens.size())});
  if (given.biasLeading)
    data.bias = normal.tensor(DType::F32,
                              {(*given.biasLeading)[0], (*given.biasLeading)[1], queries, keys});
  return data;
}

Data randomData(const Case &given, uint64_t seed) {
  Data data = finiteData(given, seed);
  std::vector<uint8_t> seen = keysSeen(given);
  poison(data.k, seen);
  poison(data.v, seen);
  return data;
}

AttentionInputs inputsOf(const Case &given, const Data &data) {
  AttentionInputs inputs{.q = data.q, .k = data.k, .v = data.v, .arguments = given.arguments};
  if (!given.keyMask.empty())
    inputs.keyMask = data.keyMask;
  if (!given.cuSeqlens.empty())
    inputs.cuSeqlens = data.cuSeqlens;
  if (given.biasLeading)
    inputs.bias = data.bias;
  return inputs;
}

reference::Problem problemOf(const Case &given, const Data &data) {
  reference::Problem problem;
  problem.q = reference::arrayOf(data.q);
  problem.k = reference::arrayOf(data.k);
  problem.v = reference::arrayOf(data.v);
  problem.dout = reference::arrayOf(data.dout);
  problem.scale = given.options.scale;
  problem.headMap = headMapOf(given);
  problem.softcap = given.options.softcap;
  problem.score = given.score;
  problem.scoreDerivative = given.scoreDerivative;
  problem.alibi = given.options.alibi;
  problem.alibiSlopes.assign(given.options.alibiSlopes.begin(), given.options.alibiSlopes.end());
  if (given.biasLeading)
    problem.bias = reference::arrayOf(data.bias);
  problem.mask = maskOf(given);
  return problem;
}

const AttentionContext &context() {
  static const AttentionContext shared{
      .kernels = std::make_shared<HostCompiler>(std::make_shared<KernelCache>(std::nullopt)),
      .pool = std::make_shared<HostPool>()};
  return shared;
}

reference::Result resultOf(const HostTensor &out, const HostTensor &lse, const HostTensor &dq,
                           const HostTensor &dk, const HostTensor &dv) {
  return {.out = reference::arrayOf(out),
          .lse = reference::arrayOf(lse),
          .dq = reference::arrayOf(dq),
          .dk = reference::arrayOf(dk),
          .dv = reference::arrayOf(dv)};
}

reference::Result compute(const Case &given, const Data &data) {
  HostAttentionRing ring(given.options, given.world, context());
  AttentionInputs inputs = inputsOf(given, data);
  HostAttentionRing::Forward forward = ring.forward(inputs);
  HostAttentionRing::Gradients gradients = ring.backward(inputs, forward, data.dout);
  return resultOf(forward.out, forward.lse, gradients.dq, gradients.dk, gradients.dv);
}

} // namespace ringc::test
