#pragma once

#include "ringc/Tensor.h"
#include "ringc/files/File.h"
#include "ringc/files/ReadOptions.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ringc {

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// Reads one tensor, row-major, of floats, integers or bools. The header is checked for all tensors
/// of the file before anything is allocated. Throws InputError naming the file and what is wrong
/// with it. https://huggingface.co/docs/safetensors
HostTensor readSafetensors(const std::string &path, const std::string &name,
                           const ReadOptions &options = {});

/// What a file holds: names and shapes, in the order of its data. Throws as readSafetensors.
struct StoredShape {
  std::string name;
  std::vector<int64_t> shape;
};
std::vector<StoredShape> safetensorsShapes(const std::string &path);

/// Writes `tensors`, and behind them those of the file `keep`, if it is given, that have other
/// names, with its metadata. Throws InputError where a name occurs twice, is empty, reserved, or
/// not UTF-8, and where `keep` is not a .safetensors file.
void writeSafetensors(OutputFile &file, std::span<const NamedTensor> tensors,
                      const std::optional<std::string> &keep = {});

/// Throws the InputError that `writeSafetensors` would for a file to keep.
void checkSafetensors(const std::string &path);

} // namespace ringc
