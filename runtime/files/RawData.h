#pragma once

#include "runtime/Tensor.h"
#include "runtime/files/File.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace ringc {

/// Bytes of a row-major tensor; nothing where that, or its strides, do not fit in an int64_t.
std::optional<int64_t> byteCountOf(DType dtype, std::span<const int64_t> shape);

/// Reads `result`'s bytes from `offset`. The bytes of a bool that are not 0 become 1.
void readData(const InputFile &file, int64_t offset, const HostTensor &result);

/// Writes the elements in row-major order, any strides.
void writeData(OutputFile &file, const Tensor &tensor);

/// HostTensor, but a lack of memory is an InputError that names the file.
HostTensor allocateFor(const InputFile &file, DType dtype, std::span<const int64_t> shape);

} // namespace ringc
