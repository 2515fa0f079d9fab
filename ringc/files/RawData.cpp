#include "ringc/files/RawData.h"

#include "ringc/support/Error.h"

#include <algorithm>
#include <array>
#include <bit>
#include <new>
#include <vector>

namespace ringc {

static_assert(std::endian::native == std::endian::little, "files are little-endian");

namespace {

DType typeInMemory(const ByteSource &source, StoredType stored, const ReadOptions &options) {
  for (DType wanted : options.as)
    if (canConvert(stored, wanted))
      return wanted;
  if (std::optional<DType> same = sameDType(stored))
    return *same;
  std::string allowed = "float32, float16, bfloat16, int32, int64, bool";
  if (stored == StoredType::F64)
    allowed += "; float64 where --dtype asks for one of the floats, to which it is then rounded";
  throw InputError(source.name() + ": type", nameOf(stored), allowed);
}

HostTensor allocate(const ByteSource &source, DType dtype, std::span<const int64_t> shape) {
  try {
    return HostTensor(dtype, shape);
  } catch (const std::bad_alloc &) {
    source.fail("does not fit in memory");
  }
}

/// The elements in the order of the file.
void readInOrder(ByteSource &source, const StoredElements &stored, const HostTensor &result) {
  size_t size = sizeOf(stored.type), resultSize = sizeOf(result.dtype());
  auto *into = static_cast<std::byte *>(result.data());
  if (sameDType(stored.type) == result.dtype() && stored.type != StoredType::Bool) {
    std::span<std::byte> bytes(into, size_t(result.byteCount()));
    source.read(bytes);
    if (stored.bigEndian)
      swapBytes(stored.type, bytes);
    return;
  }
  constexpr int64_t block = 1 << 16;
  int64_t count = result.elementCount();
  std::vector<std::byte> raw(size_t(std::min(block, count)) * size);
  for (int64_t first = 0; first < count; first += block) {
    auto bytes = std::span(raw).first(size_t(std::min(block, count - first)) * size);
    source.read(bytes);
    if (stored.bigEndian)
      swapBytes(stored.type, bytes);
    try {
      convertElements(stored.type, bytes, result.dtype(), into + size_t(first) * resultSize, first);
    } catch (const InputError &error) {
      source.fail(error.what());
    }
  }
}

/// A view of `data`, which holds the elements with the first axis innermost.
Tensor fortranView(const HostTensor &data) {
  std::array<int64_t, Tensor::maxRank> strides{};
  int64_t step = 1;
  for (int axis = 0; axis < data.rank(); ++axis) {
    strides[size_t(axis)] = step;
    step *= data.dim(axis);
  }
  return Tensor(data.data(), data.dtype(), data.shape(),
                std::span(strides).first(size_t(data.rank())));
}

} // namespace

std::optional<int64_t> byteCountOf(StoredType type, std::span<const int64_t> shape) {
  int64_t largest = int64_t(sizeOf(type)), bytes = largest;
  for (int64_t extent : shape) {
    if (__builtin_mul_overflow(largest, std::max<int64_t>(extent, 1), &largest))
      return std::nullopt;
    bytes *= extent;
  }
  return bytes;
}

HostTensor readElements(ByteSource &source, const StoredElements &stored,
                        std::span<const int64_t> shape, const ReadOptions &options) {
  DType dtype = typeInMemory(source, stored.type, options);
  HostTensor tensor = allocate(source, dtype, shape);
  readInOrder(source, stored, tensor);
  if (!stored.firstAxisInnermost || shape.size() < 2)
    return tensor;
  HostTensor rowMajor = allocate(source, dtype, shape);
  copy(fortranView(tensor), rowMajor);
  return rowMajor;
}

void writeData(OutputFile &file, const Tensor &tensor) {
  if (tensor.empty())
    return;
  if (!tensor.isContiguous())
    return writeData(file, HostTensor::copyOf(tensor));
  file.write({static_cast<const std::byte *>(tensor.data()), size_t(tensor.byteCount())});
}

} // namespace ringc
