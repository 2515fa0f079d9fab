#pragma once

#include "ringc/Tensor.h"
#include "ringc/files/ByteSource.h"
#include "ringc/files/File.h"
#include "ringc/files/ReadOptions.h"

#include <string>

namespace ringc {

/// Reads a NumPy array, format versions 1 to 3, C or Fortran order, either order of bytes, of
/// floats, integers or bools; the result is row-major. bfloat16, which numpy has no name for, is
/// what ml_dtypes saves it as: V2. Sizes are checked against the source's before anything is
/// allocated. Throws InputError naming the source and what is wrong with it.
/// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
HostTensor readNpy(ByteSource &source, const ReadOptions &options = {});
HostTensor readNpy(const std::string &path, const ReadOptions &options = {});

/// Format version 1.0, C order. bf16, which the format lacks, is written as f32.
void writeNpy(OutputFile &file, const Tensor &tensor);

} // namespace ringc
