#include "runtime/files/RawData.h"

#include <algorithm>
#include <bit>
#include <new>

namespace ringc {

static_assert(std::endian::native == std::endian::little, "files are little-endian");

std::optional<int64_t> byteCountOf(DType dtype, std::span<const int64_t> shape) {
  int64_t largest = int64_t(sizeOf(dtype)), bytes = largest;
  for (int64_t extent : shape) {
    if (__builtin_mul_overflow(largest, std::max<int64_t>(extent, 1), &largest))
      return std::nullopt;
    bytes *= extent;
  }
  return bytes;
}

void readData(const InputFile &file, int64_t offset, const HostTensor &result) {
  std::span<std::byte> bytes(static_cast<std::byte *>(result.data()), size_t(result.byteCount()));
  file.read(offset, bytes);
  if (result.dtype() == DType::Bool)
    for (std::byte &value : bytes)
      value = std::byte(value != std::byte(0));
}

void writeData(OutputFile &file, const Tensor &tensor) {
  if (tensor.empty())
    return;
  if (!tensor.isContiguous())
    return writeData(file, HostTensor::copyOf(tensor));
  file.write({static_cast<const std::byte *>(tensor.data()), size_t(tensor.byteCount())});
}

HostTensor allocateFor(const InputFile &file, DType dtype, std::span<const int64_t> shape) {
  try {
    return HostTensor(dtype, shape);
  } catch (const std::bad_alloc &) {
    file.fail("does not fit in memory");
  }
}

} // namespace ringc
