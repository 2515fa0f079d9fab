// Forward and backward of causal attention over a ring of four ranks in this process, the sequence
// dealt in stripes. The result is that of the whole sequence, whatever the number of ranks.

#include "ringc/ringc.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>

using namespace ringc;

static HostTensor randomTensor(std::initializer_list<int64_t> shape) {
  static std::mt19937 random(1);
  HostTensor tensor(DType::F32, shape);
  std::normal_distribution<float> normal;
  std::generate_n(tensor.dataAs<float>(), tensor.elementCount(), [&] { return normal(random); });
  return tensor;
}

/// The largest difference between two tensors.
static float difference(const HostTensor &a, const HostTensor &b) {
  float most = 0;
  for (int64_t i = 0; i < a.elementCount(); ++i)
    most = std::max(most, std::abs(a.dataAs<float>()[i] - b.dataAs<float>()[i]));
  return most;
}

int main() {
  // Batch, sequence, heads, head dim: four query heads share each of the two key heads.
  HostTensor q = randomTensor({1, 1000, 8, 64}), k = randomTensor({1, 1000, 2, 64}),
             v = randomTensor({1, 1000, 2, 64}), dout = randomTensor({1, 1000, 8, 64});
  AttentionInputs inputs{.q = q, .k = k, .v = v};

  AttentionOptions options{
      .heads = 8, .kvHeads = 2, .headDim = 64, .causal = true, .layout = SequenceLayout::striped()};
  AttentionContext context = hostContext();
  HostAttentionRing four(options, 4, context), one(options, 1, context);

  auto forward = four.forward(inputs);
  auto gradients = four.backward(inputs, forward, dout);
  for (const ExecutionReport &report : four.reports())
    std::printf("backward: %d hops computed, %lld bytes sent\n", report.computedSteps,
                static_cast<long long>(report.sentBytes));

  auto forwardOfOne = one.forward(inputs);
  auto gradientsOfOne = one.backward(inputs, forwardOfOne, dout);
  float most = std::max(
      {difference(forward.out, forwardOfOne.out), difference(gradients.dq, gradientsOfOne.dq),
       difference(gradients.dk, gradientsOfOne.dk), difference(gradients.dv, gradientsOfOne.dv)});
  std::printf("four ranks differ from one by at most %g\n", double(most));
  return most < 1e-3f ? 0 : 1;
}
