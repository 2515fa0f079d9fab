#pragma once

#include "runtime/Tensor.h"
#include "runtime/files/File.h"

#include <string>

namespace ringc {

/// Reads a NumPy array file, format versions 1 to 3, C or Fortran order, little-endian f4, f2, b1,
/// i4 or i8; the result is row-major. Sizes are checked against the file's before anything is
/// allocated. Throws InputError naming the file and what is wrong with it.
/// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
HostTensor readNpy(const std::string &path);

/// Format version 1.0, C order. bf16, which the format lacks, is written as f32.
void writeNpy(OutputFile &file, const Tensor &tensor);

} // namespace ringc
