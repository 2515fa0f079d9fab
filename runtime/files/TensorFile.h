#pragma once

#include "runtime/Tensor.h"

#include <span>
#include <string>

namespace ringc {

/// Reads "FILE.npy" or "FILE.safetensors:NAME" into a row-major tensor. Throws InputError.
HostTensor readTensor(const std::string &source);

struct TensorOutput {
  std::string target; ///< "FILE.npy" or "FILE.safetensors:NAME"
  Tensor tensor;      ///< any strides
};

/// Writes each tensor in the format that its target's name ends in. Those with one .safetensors
/// file are gathered in it; a file that is there already is replaced as a whole. Throws InputError,
/// and then no file has appeared or changed: all are complete beside their targets before the first
/// takes its name.
void writeTensors(std::span<const TensorOutput> outputs);

/// Throws the InputError that `writeTensors` would for targets that cannot be written, so that
/// it comes before the work and not after.
void checkTargets(std::span<const std::string> targets);

} // namespace ringc
