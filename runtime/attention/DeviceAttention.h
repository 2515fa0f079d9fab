#pragma once

#include "runtime/Attention.h"
#include "runtime/attention/DeviceCode.h"
#include "runtime/attention/InProcessRing.h"

#include <memory>
#include <vector>

namespace ringc {

/// The twin of InProcessRing on devices: takes unsharded tensors of the host, deals them to the
/// ranks, which a StreamRing deals over the devices, and gathers. Each rank's kernels see its own
/// shard and its two hop buffers alone.
class DeviceAttention {
public:
  using Forward = InProcessRing::Forward;
  using Gradients = InProcessRing::Gradients;

  /// Throws InputError for options that cannot be.
  DeviceAttention(AttentionOptions options, int world, std::vector<DeviceContext> devices);
  DeviceAttention(AttentionOptions options, int world, const DeviceContext &device)
      : DeviceAttention(std::move(options), world, std::vector<DeviceContext>{device}) {}
  ~DeviceAttention();
  DeviceAttention(DeviceAttention &&) noexcept;
  DeviceAttention &operator=(DeviceAttention &&) noexcept;

  /// All tensors of the whole batch and sequence. Throws InputError where they do not agree, and
  /// CudaError where a device fails.
  Forward forward(const AttentionInputs &inputs);
  Gradients backward(const AttentionInputs &inputs, const Forward &forward, const Tensor &dout);

private:
  class World;
  std::unique_ptr<World> self;
};

} // namespace ringc
