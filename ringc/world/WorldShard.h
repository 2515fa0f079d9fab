#pragma once

#include "ringc/Tensor.h"
#include "ringc/attention/shared/Extents.h"
#include "ringc/compiler/spec/CompiledKernel.h"

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

namespace ringc {

/// What one rank has of whole tensors: its batch entries and rows, in memory of its own.
class WorldShard {
public:
  explicit WorldShard(const RankProblem &ofRank) : problem(ofRank) {}

  /// A part of `whole`, or a copy that lives as long as this.
  Tensor take(const Tensor &whole, std::optional<int> batchAxis, std::optional<int> rowAxis);

  /// Zeros for the rank's part of a whole of this type and shape, batch on axis 0.
  HostTensor room(DType dtype, std::vector<int64_t> wholeShape, int rowAxis) const;

  /// Writes the rank's part to its place, batch on axis 0.
  void give(const Tensor &part, int rowAxis, const Tensor &whole) const;

  /// All inputs of the rank. `arguments` are the kernel's, `options` complete.
  AttentionInputs take(const AttentionOptions &options, const AttentionInputs &whole,
                       std::span<const KernelArgument> arguments);

private:
  Tensor entries(const Tensor &whole, int axis) const;

  RankProblem problem;
  std::deque<HostTensor> memory;
};

} // namespace ringc
