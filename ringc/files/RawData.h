#pragma once

#include "ringc/Tensor.h"
#include "ringc/files/ByteSource.h"
#include "ringc/files/File.h"
#include "ringc/files/ReadOptions.h"
#include "ringc/files/StoredType.h"

#include <cstdint>
#include <optional>
#include <span>

namespace ringc {

/// How the elements of a file lie in it.
struct StoredElements {
  StoredType type = StoredType::F32;
  bool bigEndian = false;
  bool firstAxisInnermost = false; ///< Fortran's order
};

/// Bytes of a row-major tensor; nothing where that, or its strides, do not fit in an int64_t.
std::optional<int64_t> byteCountOf(StoredType type, std::span<const int64_t> shape);

/// Reads a tensor's elements, row-major, in the type that the options ask for where it can be made
/// of the stored one, else in the same. Throws InputError for a type that Tensor lacks, for an
/// element that the type asked for does not hold, and where memory does not suffice. The bytes of a
/// bool that are not 0 become 1.
HostTensor readElements(ByteSource &source, const StoredElements &stored,
                        std::span<const int64_t> shape, const ReadOptions &options);

/// Writes the elements in row-major order, any strides.
void writeData(OutputFile &file, const Tensor &tensor);

} // namespace ringc
