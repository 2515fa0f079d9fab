#include "tests/support/ReferenceAttention.h"

#include <cmath>
#include <limits>
#include <stdexcept>

namespace ringc::reference {

Array arrayOf(const Tensor &tensor) {
  if (tensor.rank() > 4 || !isFloat(tensor.dtype()))
    throw std::invalid_argument("arrayOf: " + describe(tensor));
  HostTensor dense(DType::F32, tensor.shape());
  convert(tensor, dense);

  std::array<int64_t, 4> shape{1, 1, 1, 1};
  for (int axis = 0; axis < tensor.rank(); ++axis)
    shape[size_t(axis)] = tensor.dim(axis);
  Array result(shape);
  for (size_t index = 0; index < result.data.size(); ++index)
    result.data[index] = double(dense.dataAs<float>()[index]);
  return result;
}

HostTensor tensorOf(const Array &array, DType dtype, int rank) {
  for (size_t axis = size_t(rank); axis < 4; ++axis)
    if (array.shape[axis] != 1)
      throw std::invalid_argument("tensorOf: the last axes are not of extent one");
  std::span<const int64_t> shape(array.shape.data(), size_t(rank));
  HostTensor single(DType::F32, shape);
  for (size_t index = 0; index < array.data.size(); ++index)
    single.dataAs<float>()[index] = float(array.data[index]);
  if (dtype == DType::F32)
    return single;
  HostTensor result(dtype, shape);
  convert(single, result);
  return result;
}

double relativeError(const Array &actual, const Array &expected) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (actual.shape != expected.shape)
    return infinity;
  double difference = 0, norm = 0;
  for (size_t index = 0; index < actual.data.size(); ++index) {
    double a = actual.data[index], e = expected.data[index];
    if (!std::isfinite(a) || !std::isfinite(e)) {
      if (a == e || (std::isnan(a) && std::isnan(e)))
        continue;
      return infinity;
    }
    difference += (a - e) * (a - e);
    norm += e * e;
  }
  return std::sqrt(norm > 0 ? difference / norm : difference);
}

} // namespace ringc::reference
