#include "tests/attention/AttentionCase.h"

#include "ringc/attention/shared/Options.h"
#include "tools/ringc/Accuracy.h"
#include "tools/ringc/Interpreter.h"
#include "tools/ringc/ReferenceProblem.h"

#include <algorithm>
#include <random>

namespace ringc::test {

std::string AttentionCase::name() const {
  return nameOf(options.layout) + " world " + std::to_string(world) + " ring " +
         std::to_string(options.ringSize) + " b " + std::to_string(batch) + " n " +
         std::to_string(queries) + "/" + std::to_string(keys) + " h " +
         std::to_string(options.heads) + "/" + std::to_string(options.kvHeads) + " d " +
         std::to_string(options.headDim) + "/" + std::to_string(options.valueHeadDim) +
         (options.causal ? " causal" : "") + " prefix " + std::to_string(options.prefix) +
         " window " + std::to_string(options.window.left) + "," +
         std::to_string(options.window.right);
}

const AttentionContext &context() {
  static const AttentionContext shared = hostContext();
  return shared;
}

HostTensor randomTensor(DType dtype, std::initializer_list<int64_t> shape, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  HostTensor exact(DType::F32, shape), rounded(dtype, shape);
  std::generate_n(exact.dataAs<float>(), exact.elementCount(), [&] { return normal(random); });
  convert(exact, rounded);
  return rounded;
}

double worstError(const AttentionCase &attention) {
  AttentionOptions options = completed(attention.options);
  int64_t batch = attention.batch, queries = attention.queries, keys = attention.keys;
  DType dtype = options.dtype;
  HostTensor q = randomTensor(dtype, {batch, queries, options.heads, options.headDim}, 1),
             k = randomTensor(dtype, {batch, keys, options.kvHeads, options.headDim}, 2),
             v = randomTensor(dtype, {batch, keys, options.kvHeads, options.valueHeadDim}, 3),
             dout = randomTensor(dtype, {batch, queries, options.heads, options.valueHeadDim}, 4);
  AttentionInputs inputs{.q = q, .k = k, .v = v};
  if (attention.change)
    attention.change(inputs);

  HostAttentionRing ring(options, attention.world, context());
  HostAttentionRing::Forward forward = ring.forward(inputs);
  HostAttentionRing::Gradients gradients = ring.backward(inputs, forward, dout);
  cli::Results results(forward, gradients);

  reference::Problem problem = cli::problemOf(options, inputs, dout);
  cli::Interpreter interpreter(options, inputs);
  interpreter.addTo(problem);
  cli::ErrorMeasure measure(problem, reference::attention(problem));
  double worst = 0;
  for (int rank = 0; rank < attention.world; ++rank) {
    RankProblem part(options, attention.world, rank, {batch, queries, keys});
    for (size_t tensor = 0; tensor < cli::Results::names.size(); ++tensor)
      worst = std::max(worst, measure.ofRank(results, tensor, part));
  }
  return worst;
}

} // namespace ringc::test
