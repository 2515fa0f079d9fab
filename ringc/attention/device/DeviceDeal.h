#pragma once

#include "ringc/attention/device/DeviceTensor.h"
#include "ringc/attention/shared/Extents.h"

#include <deque>
#include <optional>
#include <span>
#include <vector>

namespace ringc {

/// One rank's parts of unsharded tensors of the host, in the memory of its device.
class DeviceDeal {
public:
  /// `stream`, of the rank's device, must outlive it.
  DeviceDeal(const RankProblem &ofRank, const CudaStream &order) : problem(ofRank), stream(order) {}

  /// The rank's part of a tensor, on the device. `rowAxis` counts rows of the sequence; without a
  /// `batchAxis` all entries share the tensor.
  Tensor take(const Tensor &whole, std::optional<int> batchAxis, std::optional<int> rowAxis);

  /// All inputs of the rank. `arguments` are those of the kernel with all masks and scores, whose
  /// types the views get; `options` are complete.
  AttentionInputs take(const AttentionOptions &options, const AttentionInputs &whole,
                       std::span<const KernelArgument> arguments);

  /// Memory for the rank's part of a result, batch on axis 0.
  Tensor place(const Tensor &whole, int rowAxis);

  /// Brings home what was placed; returns when it is there.
  void give() const;

private:
  struct Result {
    const DeviceTensor *local;
    Tensor home;
    int rowAxis;
  };

  Tensor entriesOf(const Tensor &whole, std::optional<int> batchAxis) const;

  RankProblem problem;
  const CudaStream &stream;
  std::deque<DeviceTensor> held; ///< addresses stay
  std::vector<Result> results;
};

} // namespace ringc
