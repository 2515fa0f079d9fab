#include "ringc/Tensor.h"

#include "ringc/Float16.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <new>

#include <sys/mman.h>

namespace ringc {

std::string_view nameOf(DType dtype) {
  switch (dtype) {
  case DType::F32:
    return "f32";
  case DType::F16:
    return "f16";
  case DType::BF16:
    return "bf16";
  case DType::I32:
    return "i32";
  case DType::I64:
    return "i64";
  case DType::Bool:
    return "bool";
  }
  assert(false && "not a DType");
  return {};
}

std::optional<DType> parseDType(std::string_view name) {
  for (DType dtype : allDTypes)
    if (nameOf(dtype) == name)
      return dtype;
  return std::nullopt;
}

size_t sizeOf(DType dtype) {
  switch (dtype) {
  case DType::F32:
  case DType::I32:
    return 4;
  case DType::F16:
  case DType::BF16:
    return 2;
  case DType::I64:
    return 8;
  case DType::Bool:
    return 1;
  }
  assert(false && "not a DType");
  return 0;
}

bool isFloat(DType dtype) {
  switch (dtype) {
  case DType::F32:
  case DType::F16:
  case DType::BF16:
    return true;
  case DType::I32:
  case DType::I64:
  case DType::Bool:
    return false;
  }
  assert(false && "not a DType");
  return false;
}

namespace {

std::string listOf(std::span<const int64_t> values) {
  std::string text = "[";
  for (size_t i = 0; i < values.size(); ++i)
    text += (i ? ", " : "") + std::to_string(values[i]);
  return text + "]";
}

void checkShape(DType dtype, std::span<const int64_t> shape) {
  if (shape.size() > size_t(Tensor::maxRank))
    throw InputError("shape", listOf(shape),
                     "at most " + std::to_string(Tensor::maxRank) + " axes");
  // Extents of zero do not excuse the others: strides must not overflow either.
  int64_t bytes = int64_t(sizeOf(dtype));
  for (int64_t extent : shape) {
    if (extent < 0)
      throw InputError("shape", listOf(shape), "extents of zero or more");
    if (__builtin_mul_overflow(bytes, std::max<int64_t>(extent, 1), &bytes))
      throw InputError("shape", listOf(shape), "fewer than 2^63 bytes in all");
  }
}

void requireSameShape(const Tensor &from, const Tensor &to) {
  if (!std::ranges::equal(from.shape(), to.shape()))
    throw InputError("shape", listOf(to.shape()), listOf(from.shape()));
}

/// First axis of the longest row-major tail that both tensors share without gaps.
int contiguousTail(const Tensor &from, const Tensor &to) {
  int64_t expected = 1;
  for (int axis = from.rank(); axis-- > 0;) {
    if (from.dim(axis) != 1 && (from.stride(axis) != expected || to.stride(axis) != expected))
      return axis + 1;
    expected *= from.dim(axis);
  }
  return 0;
}

/// Calls visit(source, target) for each run of the two tensors' common tail.
template <typename Visit>
void forEachRun(const Tensor &from, const Tensor &to, int axis, int tail, std::byte *source,
                std::byte *target, Visit &&visit) {
  if (axis == tail) {
    visit(source, target);
    return;
  }
  int64_t sourceStep = from.stride(axis) * int64_t(sizeOf(from.dtype()));
  int64_t targetStep = to.stride(axis) * int64_t(sizeOf(to.dtype()));
  for (int64_t i = 0, n = from.dim(axis); i < n; ++i)
    forEachRun(from, to, axis + 1, tail, source + i * sourceStep, target + i * targetStep, visit);
}

/// Elements of the tail that starts at axis `tail`.
int64_t elementsOf(const Tensor &tensor, int tail) {
  int64_t count = 1;
  for (int axis = tail; axis < tensor.rank(); ++axis)
    count *= tensor.dim(axis);
  return count;
}

/// The float types as they lie in memory.
struct F32 {
  using Bits = float;
  static float load(float value) { return value; }
  static float store(float value) { return value; }
};
struct F16 {
  using Bits = uint16_t;
  static float load(uint16_t bits) { return floatFromF16(bits); }
  static uint16_t store(float value) { return f16FromFloat(value); }
};
struct BF16 {
  using Bits = uint16_t;
  static float load(uint16_t bits) { return floatFromBF16(bits); }
  static uint16_t store(float value) { return bf16FromFloat(value); }
};

template <typename From, typename To>
void convertRun(const std::byte *source, std::byte *target, int64_t count) {
  auto *from = reinterpret_cast<const typename From::Bits *>(source);
  auto *to = reinterpret_cast<typename To::Bits *>(target);
#pragma omp simd
  for (int64_t i = 0; i < count; ++i)
    to[i] = To::store(From::load(from[i]));
}

using ConvertRun = void (*)(const std::byte *source, std::byte *target, int64_t count);

template <typename From> ConvertRun convertTo(DType to) {
  return to == DType::F32   ? convertRun<From, F32>
         : to == DType::F16 ? convertRun<From, F16>
                            : convertRun<From, BF16>;
}

ConvertRun convertBetween(DType from, DType to) {
  return from == DType::F32   ? convertTo<F32>(to)
         : from == DType::F16 ? convertTo<F16>(to)
                              : convertTo<BF16>(to);
}

} // namespace

Tensor::Tensor(void *data, DType dtype, std::span<const int64_t> shape)
    : base(data), elementType(dtype) {
  checkShape(dtype, shape);
  axes = int(shape.size());
  int64_t step = 1;
  for (int axis = axes; axis-- > 0;) {
    extents[axis] = shape[axis];
    steps[axis] = step;
    step *= std::max<int64_t>(shape[axis], 1);
  }
}

Tensor::Tensor(void *data, DType dtype, std::span<const int64_t> shape,
               std::span<const int64_t> strides)
    : base(data), elementType(dtype) {
  checkShape(dtype, shape);
  if (strides.size() != shape.size())
    throw InputError("strides", listOf(strides), std::to_string(shape.size()) + " strides");
  axes = int(shape.size());
  std::ranges::copy(shape, extents.begin());
  std::ranges::copy(strides, steps.begin());
}

int64_t Tensor::dim(int axis) const {
  assert(axis >= 0 && axis < axes);
  return extents[axis];
}

int64_t Tensor::stride(int axis) const {
  assert(axis >= 0 && axis < axes);
  return steps[axis];
}

int64_t Tensor::elementCount() const {
  int64_t count = 1;
  for (int64_t extent : shape())
    count *= extent;
  return count;
}

bool Tensor::isContiguous() const { return empty() || contiguousTail(*this, *this) == 0; }

Tensor Tensor::slice(int axis, int64_t begin, int64_t count) const {
  assert(axis >= 0 && axis < axes);
  assert(begin >= 0 && count >= 0 && begin + count <= extents[axis]);
  Tensor result = *this;
  result.extents[axis] = count;
  if (base && count > 0)
    result.base = static_cast<std::byte *>(base) + begin * steps[axis] * int64_t(sizeOf(dtype()));
  return result;
}

Tensor Tensor::select(int axis, int64_t index) const {
  Tensor result = slice(axis, index, 1);
  std::copy(extents.begin() + axis + 1, extents.end(), result.extents.begin() + axis);
  std::copy(steps.begin() + axis + 1, steps.end(), result.steps.begin() + axis);
  --result.axes;
  return result;
}

Tensor Tensor::permute(std::initializer_list<int> order) const {
  assert(int(order.size()) == axes);
  Tensor result = *this;
  int axis = 0;
  for (int from : order) {
    result.extents[axis] = dim(from);
    result.steps[axis] = stride(from);
    ++axis;
  }
  return result;
}

std::byte *Tensor::at(std::span<const int64_t> index) const {
  assert(int(index.size()) == axes);
  int64_t offset = 0;
  for (int axis = 0; axis < axes; ++axis)
    offset += index[axis] * steps[axis];
  return static_cast<std::byte *>(base) + offset * int64_t(sizeOf(elementType));
}

std::string describe(const Tensor &tensor) {
  return std::string(nameOf(tensor.dtype())) + listOf(tensor.shape());
}

void copy(const Tensor &from, const Tensor &to) {
  requireSameShape(from, to);
  if (from.dtype() != to.dtype())
    throw InputError("dtype", nameOf(to.dtype()), nameOf(from.dtype()));
  if (from.empty())
    return;
  int tail = contiguousTail(from, to);
  size_t runBytes = sizeOf(from.dtype()) * size_t(elementsOf(from, tail));
  forEachRun(
      from, to, 0, tail, from.dataAs<std::byte>(), to.dataAs<std::byte>(),
      [&](const std::byte *source, std::byte *target) { std::memcpy(target, source, runBytes); });
}

void convert(const Tensor &from, const Tensor &to) {
  if (from.dtype() == to.dtype())
    return copy(from, to);
  requireSameShape(from, to);
  if (!isFloat(from.dtype()) || !isFloat(to.dtype()))
    throw InputError("dtype", nameOf(to.dtype()),
                     isFloat(from.dtype()) ? "f32, f16 or bf16" : nameOf(from.dtype()));
  if (from.empty())
    return;
  int tail = contiguousTail(from, to);
  ConvertRun run = convertBetween(from.dtype(), to.dtype());
  forEachRun(from, to, 0, tail, from.dataAs<std::byte>(), to.dataAs<std::byte>(),
             [&, count = elementsOf(from, tail)](const std::byte *source, std::byte *target) {
               run(source, target, count);
             });
}

void HostTensor::Free::operator()(void *start) const noexcept {
  if (mapped)
    munmap(start, mapped);
  else
    std::free(start);
}

HostTensor::HostTensor(DType dtype, std::span<const int64_t> shape)
    : tensor(nullptr, dtype, shape) {
  constexpr size_t cacheLine = 64, hugePage = size_t(2) << 20;
  size_t bytes = size_t(tensor.byteCount());
  // Pages of the system are zero; huge ones spare faults and entries of the TLB.
  bool pages = bytes >= 2 * hugePage;
  size_t alignment = pages ? hugePage : cacheLine;
  if (bytes > size_t(INT64_MAX) - 2 * hugePage)
    throw std::bad_alloc();
  size_t room = bytes + alignment;
  void *got = pages
                  ? mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                  : std::calloc(room, 1);
  if (!got || got == MAP_FAILED)
    throw std::bad_alloc();
  memory = std::unique_ptr<void, Free>(got, Free{pages ? room : 0});
  auto start = reinterpret_cast<uintptr_t>(got);
  void *aligned = reinterpret_cast<void *>((start + alignment - 1) / alignment * alignment);
  if (pages)
    madvise(aligned, bytes / hugePage * hugePage, MADV_HUGEPAGE); // no harm where it is refused
  tensor = Tensor(aligned, dtype, shape);
}

HostTensor HostTensor::copyOf(const Tensor &from) {
  HostTensor result(from.dtype(), from.shape());
  copy(from, result);
  return result;
}

} // namespace ringc
