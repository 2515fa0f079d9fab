#include "ringc/module/WeightGradients.h"

#include "ringc/module/RingAttentionWeights.h"

#include <array>
#include <vector>

namespace ringc {

WeightGradients::WeightGradients(const RingAttentionOptions &options, ModuleBackend &backend) {
  auto placeOf = [&](const RingAttentionWeight &weight) -> SharedTensor & {
    if (weight.tensor == &RingAttentionWeights::gamma)
      return gamma;
    return weight.tensor == &RingAttentionWeights::toQkv ? toQkv : toOut;
  };
  std::vector<RingAttentionWeight> list = weightsOf(options);
  auto elementsOf = [](const RingAttentionWeight &weight) {
    return Tensor(nullptr, DType::F32, weight.shape).elementCount();
  };
  int64_t count = 0;
  for (const RingAttentionWeight &weight : list)
    count += elementsOf(weight);
  all = backend.allocate(DType::F32, std::array{count});
  auto *next = all.view().dataAs<float>();
  for (const RingAttentionWeight &weight : list) {
    placeOf(weight) = all.share(Tensor(next, DType::F32, weight.shape));
    next += elementsOf(weight);
  }
}

} // namespace ringc
