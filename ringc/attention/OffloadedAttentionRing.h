#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/attention/HostAttentionRing.h"
#include "ringc/attention/device/DeviceCode.h"

#include <memory>
#include <vector>

namespace ringc {

/// The twin of HostAttentionRing on devices: takes unsharded tensors of the host, deals them to the
/// ranks, which a DeviceAttentionRing deals over the devices, and gathers. Each rank's kernels see
/// its own shard and its two hop buffers alone.
class OffloadedAttentionRing {
public:
  using Forward = HostAttentionRing::Forward;
  using Gradients = HostAttentionRing::Gradients;

  /// Throws InputError for options that cannot be.
  OffloadedAttentionRing(AttentionOptions options, int world, std::vector<DeviceContext> devices);
  OffloadedAttentionRing(AttentionOptions options, int world, const DeviceContext &device)
      : OffloadedAttentionRing(std::move(options), world, std::vector<DeviceContext>{device}) {}
  ~OffloadedAttentionRing();
  OffloadedAttentionRing(OffloadedAttentionRing &&) noexcept;
  OffloadedAttentionRing &operator=(OffloadedAttentionRing &&) noexcept;

  /// All tensors of the whole batch and sequence. Throws InputError where they do not agree, and
  /// CudaError where a device fails.
  Forward forward(const AttentionInputs &inputs);
  Gradients backward(const AttentionInputs &inputs, const Forward &forward, const Tensor &dout);

private:
  class World;
  std::unique_ptr<World> self;
};

} // namespace ringc
