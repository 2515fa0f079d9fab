#pragma once

#include "ringc/attention/DeviceAttentionRing.h"
#include "ringc/attention/device/DeviceTensor.h"
#include "ringc/attention/shared/Extents.h"
#include "ringc/world/World.h"

#include <array>
#include <deque>
#include <memory>
#include <vector>

namespace ringc {

/// What a world of devices computes: checked inputs of the whole, and what of them the masks and
/// scores read.
struct DeviceProblem {
  /// `inputs` and `dout`, which may be empty, lie on the host. Throws InputError for options and
  /// inputs that cannot be.
  DeviceProblem(const AttentionOptions &options, int world, const AttentionInputs &inputs,
                const Tensor &dout, DeviceKernelSource &kernels);

  RankProblem ofRank(int rank) const { return RankProblem(options, world, rank, shape); }

  /// One of the results of both passes, unsharded, not filled.
  struct Result {
    DType dtype;
    std::vector<int64_t> shape;
    int rowAxis;
  };
  /// out, lse; dq, dk, dv.
  std::vector<Result> results(Pass pass) const;

  AttentionOptions options; ///< complete
  int world;
  AttentionShape shape;
  AttentionInputs whole;
  Tensor dout;
  std::vector<KernelArgument> arguments; ///< of a kernel with all masks and scores
};

/// One rank's part of a problem, and room for its results, in the memory of a device.
class DeviceShard {
public:
  DeviceShard(const DeviceProblem &problem, int rank, std::shared_ptr<const CudaDevice> device);

  const AttentionInputs &inputs() const { return own; }
  RankForward forward() const { return {own, {made[0], made[1], rowMax, rowSum}}; }
  RankBackward backward() const {
    return {own, {made[0], made[1], rowMax, rowSum}, dout, {made[2], made[3], made[4]}};
  }

  /// As DeviceProblem's. Those of the backward have no memory where there is no `dout`.
  std::vector<Tensor> results(Pass pass) const;
  /// On the host, when all that was given to other streams has run.
  std::vector<HostTensor> downloaded(Pass pass) const;

private:
  Tensor upload(const Tensor &host);

  CudaStream stream;
  std::deque<DeviceTensor> memory;
  AttentionInputs own;
  Tensor dout;
  std::array<Tensor, 5> made; ///< out, lse, dq, dk, dv
  Tensor rowMax, rowSum;      ///< stay here
};

/// Brings results of one rank home to `wholes`, which are as DeviceProblem::results says.
void giveHome(const DeviceProblem &problem, Pass pass, int rank,
              const std::vector<HostTensor> &parts, const std::vector<HostTensor> &wholes);

} // namespace ringc
