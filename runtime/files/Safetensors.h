#pragma once

#include "runtime/Tensor.h"
#include "runtime/files/File.h"

#include <span>
#include <string>

namespace ringc {

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// Reads one tensor, row-major: F32, F16, BF16, I32, I64 or BOOL. The header is checked for all
/// tensors of the file before anything is allocated. Throws InputError naming the file and what is
/// wrong with it. https://huggingface.co/docs/safetensors
HostTensor readSafetensors(const std::string &path, const std::string &name);

/// Throws InputError where a name occurs twice, is empty, reserved, or not UTF-8.
void writeSafetensors(OutputFile &file, std::span<const NamedTensor> tensors);

} // namespace ringc
