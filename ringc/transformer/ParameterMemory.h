#pragma once

#include "ringc/module/ModuleBackend.h"
#include "ringc/transformer/RingTransformerWeights.h"

#include <cstdint>
#include <vector>

namespace ringc {

/// Where the weights of a model lie behind one another in one piece of memory, so that they are
/// summed over ranks, and stepped, all at once. Each begins at a multiple of `alignment` elements.
class ParameterPlaces {
public:
  static constexpr int64_t alignment = 512;

  explicit ParameterPlaces(std::vector<RingTransformerWeight> weights);

  const std::vector<RingTransformerWeight> &weights() const { return list; }
  int64_t elements() const { return total; }

  /// Of row-major `memory` of all elements, weight number `index`: a matrix; [1, n] of one axis.
  Tensor matrix(const Tensor &memory, size_t index) const;
  /// The same in the weight's own shape.
  Tensor weight(const Tensor &memory, size_t index) const;

private:
  std::vector<RingTransformerWeight> list;
  std::vector<int64_t> starts;
  int64_t total = 0;
};

/// The weights of a model on one rank: f32, what an optimiser steps, and rounded to the type of the
/// products; of f32 these are one.
class ParameterMemory {
public:
  ParameterMemory(const RingTransformerOptions &options, ModuleBackend &backend);

  const ParameterPlaces &places() const { return where; }

  /// Row-major, of all elements; what is between the weights is 0.
  SharedTensor allocate(DType dtype) const;

  void set(const RingTransformerWeights &weights);
  /// Of memory as `allocate` gives it, f32: a copy on the host.
  RingTransformerWeights download(const Tensor &memory) const;
  /// The other way.
  void upload(const RingTransformerWeights &weights, const Tensor &memory) const;

  const SharedTensor &master() const { return masters; }
  const SharedTensor &rounded() const { return products; }

  /// As the products take weight number `index`.
  Tensor matrix(size_t index) const { return where.matrix(products, index); }

private:
  ModuleBackend &backend;
  ParameterPlaces where;
  SharedTensor masters, products;
};

} // namespace ringc
