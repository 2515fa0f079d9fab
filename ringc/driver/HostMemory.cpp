#include "ringc/driver/HostMemory.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace ringc {

namespace {

/// Calls body(begin, count) for parts of the tensor's longest axis.
template <typename Body> void forEachPart(HostPool &pool, const Tensor &tensor, Body &&body) {
  constexpr int64_t bytesAtOnce = 256 << 10;
  if (tensor.empty())
    return;
  int64_t parts = std::max<int64_t>(1, tensor.byteCount() / bytesAtOnce);
  int axis = int(std::ranges::max_element(tensor.shape()) - tensor.shape().begin());
  int64_t length = tensor.dim(axis), step = (length + parts - 1) / parts;
  if (parts == 1)
    return body(axis, 0, length);
  pool.forEach((length + step - 1) / step, [&](int64_t part) {
    body(axis, part * step, std::min(step, length - part * step));
  });
}

/// A row-major tensor as one axis.
Tensor flat(const Tensor &tensor) {
  assert(tensor.isContiguous());
  return Tensor(tensor.data(), tensor.dtype(), {tensor.elementCount()});
}

} // namespace

void *KeptMemory::reserve(int64_t bytes) {
  if (!memory.data() || bytes > memory.byteCount()) {
    memory = {};
    memory = HostTensor(DType::Bool, {bytes});
  }
  return memory.data();
}

Tensor KeptMemory::tensor(DType dtype, std::span<const int64_t> shape) {
  int64_t bytes = Tensor(nullptr, dtype, shape).byteCount();
  return Tensor(reserve(bytes), dtype, shape);
}

void zero(HostPool &pool, const Tensor &tensor) {
  Tensor all = flat(tensor);
  forEachPart(pool, all, [&](int, int64_t begin, int64_t count) {
    Tensor part = all.slice(0, begin, count);
    std::memset(part.data(), 0, size_t(part.byteCount()));
  });
}

void add(HostPool &pool, const Tensor &part, const Tensor &sum) {
  assert(part.dtype() == DType::F32 && sum.dtype() == DType::F32);
  const float *from = flat(part).dataAs<float>();
  float *to = flat(sum).dataAs<float>();
  forEachPart(pool, flat(sum), [&](int, int64_t begin, int64_t count) {
#pragma omp simd
    for (int64_t i = begin; i < begin + count; ++i)
      to[i] += from[i];
  });
}

void copy(HostPool &pool, const Tensor &from, const Tensor &to) {
  if (from.dtype() != to.dtype())
    return copy(from, to); // which says what is wrong
  convert(pool, from, to);
}

void convert(HostPool &pool, const Tensor &from, const Tensor &to) {
  bool floats = isFloat(from.dtype()) && isFloat(to.dtype());
  if (from.rank() == 0 || !std::ranges::equal(from.shape(), to.shape()) ||
      !(floats || from.dtype() == to.dtype()))
    return convert(from, to); // an element, or an error
  forEachPart(pool, from, [&](int axis, int64_t begin, int64_t count) {
    convert(from.slice(axis, begin, count), to.slice(axis, begin, count));
  });
}

} // namespace ringc
