#pragma once

#include "ringc/attention/DeviceAttentionRank.h"

#include <memory>
#include <span>
#include <vector>

namespace ringc {

/// What one rank of a DeviceAttentionRing works on, as in DeviceAttentionRank.
struct RankForward {
  AttentionInputs inputs;
  ForwardResults results;
};
struct RankBackward {
  AttentionInputs inputs;
  ForwardResults results;
  Tensor dout;
  GradientResults gradients;
};

/// All ranks of a world in one process and one thread, dealt over one or several devices, which
/// copy to each other what a ring of processes would send: any number of ranks on any number of
/// devices, without NCCL. What DeviceAttentionRank says of tensors, preparing and threads holds
/// here.
class DeviceAttentionRing {
public:
  /// Consecutive ranks share a device: the first devices have one more where the ranks do not
  /// divide. Throws InputError for no devices, for one named twice, and for options that cannot be.
  DeviceAttentionRing(AttentionOptions options, int world, std::vector<DeviceContext> devices);
  ~DeviceAttentionRing();
  DeviceAttentionRing(DeviceAttentionRing &&) noexcept;
  DeviceAttentionRing &operator=(DeviceAttentionRing &&) noexcept;

  /// Where the tensors of a rank lie.
  const DeviceContext &deviceOf(int rank) const;

  /// `inputs` by rank. Compiles, plans, and allocates.
  void prepare(Pass pass, const AttentionShape &shape, std::span<const AttentionInputs> inputs);

  /// Bytes of the workspaces of all ranks on one device, by device. They are the object's own.
  std::vector<int64_t> workspaceBytes(Pass pass, const AttentionShape &shape,
                                      std::span<const AttentionInputs> inputs);

  /// Puts the work of all ranks in the order of `stream`, of the first device: other devices start
  /// after what it was given before, and it goes on after them. `ranks` by rank.
  void forward(const CudaStream &stream, const AttentionShape &shape,
               std::span<const RankForward> ranks);
  void backward(const CudaStream &stream, const AttentionShape &shape,
                std::span<const RankBackward> ranks);

  /// The plan of one pass, by rank.
  std::vector<Plan> plans(Pass pass, const AttentionShape &shape,
                          std::span<const AttentionInputs> inputs);

private:
  class World;
  std::unique_ptr<World> self;
};

} // namespace ringc
