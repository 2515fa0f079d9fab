#pragma once

#include "ringc/Tensor.h"
#include "ringc/files/ReadOptions.h"

#include <span>
#include <string>

namespace ringc {

/// Reads "FILE.npy", "FILE.npz:NAME" or "FILE.safetensors:NAME" into a row-major tensor. Throws
/// InputError.
HostTensor readTensor(const std::string &source, const ReadOptions &options = {});

struct TensorOutput {
  std::string target; ///< "FILE.npy" or "FILE.safetensors:NAME"
  Tensor tensor;      ///< any strides
};

/// Writes each tensor in the format that its target's name ends in. Those with one .safetensors
/// file are gathered in it, beside the tensors of other names and the metadata that it has already;
/// a .npy file is replaced as a whole. Throws InputError, and then no file has appeared or changed:
/// all are complete beside their targets before the first takes its name.
void writeTensors(std::span<const TensorOutput> outputs);

/// Throws the InputError that `writeTensors` would for targets that cannot be written, so that
/// it comes before the work and not after; and one where a target is the place of one of `sources`,
/// tensors or other files that the same command reads.
void checkTargets(std::span<const std::string> targets, std::span<const std::string> sources = {});

} // namespace ringc
