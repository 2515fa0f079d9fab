#include "ringc/transformer/ParameterMemory.h"

#include <array>
#include <numeric>
#include <utility>

namespace ringc {

namespace {

int64_t elementsOf(const RingTransformerWeight &weight) {
  return std::accumulate(weight.shape.begin(), weight.shape.end(), int64_t(1), std::multiplies());
}

} // namespace

ParameterPlaces::ParameterPlaces(std::vector<RingTransformerWeight> weights)
    : list(std::move(weights)) {
  for (const RingTransformerWeight &weight : list) {
    starts.push_back(total);
    total += (elementsOf(weight) + alignment - 1) / alignment * alignment;
  }
}

Tensor ParameterPlaces::weight(const Tensor &memory, size_t index) const {
  const RingTransformerWeight &which = list[index];
  Tensor piece = memory.slice(0, starts[index], elementsOf(which));
  return Tensor(piece.data(), memory.dtype(), which.shape);
}

Tensor ParameterPlaces::matrix(const Tensor &memory, size_t index) const {
  Tensor own = weight(memory, index);
  return own.rank() == 2 ? own : Tensor(own.data(), own.dtype(), {1, own.dim(0)});
}

ParameterMemory::ParameterMemory(const RingTransformerOptions &options, ModuleBackend &of)
    : backend(of), where(weightsOf(options)), masters(allocate(DType::F32)),
      products(options.dtype == DType::F32 ? masters : allocate(options.dtype)) {}

SharedTensor ParameterMemory::allocate(DType dtype) const {
  SharedTensor made = backend.allocate(dtype, std::array{where.elements()});
  // Piece by piece: zeros of all would take the host as much memory again.
  constexpr int64_t piece = int64_t(1) << 22;
  const HostTensor zeros(DType::F32, {std::min(piece, where.elements())});
  for (int64_t at = 0; at < where.elements(); at += piece) {
    int64_t count = std::min(piece, where.elements() - at);
    backend.upload(zeros.view().slice(0, 0, count), made.view().slice(0, at, count));
  }
  return made;
}

void ParameterMemory::upload(const RingTransformerWeights &weights, const Tensor &memory) const {
  for (size_t index = 0; index < where.weights().size(); ++index)
    backend.upload(weights.tensors.at(where.weights()[index].name), where.weight(memory, index));
}

void ParameterMemory::set(const RingTransformerWeights &weights) {
  upload(weights, masters);
  if (products.view().data() != masters.view().data())
    upload(weights, products);
}

RingTransformerWeights ParameterMemory::download(const Tensor &memory) const {
  RingTransformerWeights made;
  for (size_t index = 0; index < where.weights().size(); ++index) {
    const RingTransformerWeight &weight = where.weights()[index];
    HostTensor &tensor = made.tensors[weight.name] = HostTensor(DType::F32, weight.shape);
    backend.download(where.weight(memory, index), tensor);
  }
  return made;
}

} // namespace ringc
