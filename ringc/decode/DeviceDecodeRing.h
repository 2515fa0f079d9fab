#pragma once

#include "ringc/decode/Decode.h"

#include <memory>
#include <span>
#include <vector>

namespace ringc {

/// The decodes of all ranks of a world in one process and one thread, dealt over one or several
/// devices, which copy to each other what processes would send; without NCCL. What DeviceDecode
/// says of tensors, calls after the first, and threads holds here.
class DeviceDecodeRing {
public:
  /// Consecutive ranks share a device: the first devices have one more where the ranks do not
  /// divide. Throws InputError for no devices, for one named twice, and for options that cannot be.
  DeviceDecodeRing(DecodeOptions options, int world, std::vector<DeviceContext> devices);
  ~DeviceDecodeRing();
  DeviceDecodeRing(DeviceDecodeRing &&) noexcept;
  DeviceDecodeRing &operator=(DeviceDecodeRing &&) noexcept;

  /// Where the tensors of a rank lie.
  const DeviceContext &deviceOf(int rank) const;

  /// Puts the work of all ranks in the order of `stream`, of the first device: other devices start
  /// after what it was given before, and it goes on after them. `ranks` by rank. Throws InputError,
  /// a DisagreementError where their calls do not go together, and CudaError.
  void run(const CudaStream &stream, std::span<const RankDecode> ranks);

private:
  class World;
  std::unique_ptr<World> self;
};

} // namespace ringc
