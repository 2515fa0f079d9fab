#pragma once

#include "ringc/Tensor.h"
#include "ringc/files/ReadOptions.h"

#include <string>

namespace ringc {

/// Reads the array `name` of a file of numpy.savez or numpy.savez_compressed, as readNpy does: a
/// ZIP archive whose member NAME.npy it is. Throws InputError naming the file and the array.
HostTensor readNpz(const std::string &path, const std::string &name,
                   const ReadOptions &options = {});

} // namespace ringc
