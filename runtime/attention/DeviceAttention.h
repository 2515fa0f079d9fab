#pragma once

#include "runtime/Attention.h"
#include "runtime/attention/DeviceCode.h"
#include "runtime/attention/InProcessRing.h"

#include <memory>

namespace ringc {

/// A whole world of ranks on one device, in one process: the twin of InProcessRing. Takes unsharded
/// tensors of the host, deals them to the ranks, runs every rank in lock step on one stream, with
/// copies on the device in place of messages, and gathers. Each rank's kernels see its own shard
/// and its two hop buffers alone.
class DeviceAttention {
public:
  using Forward = InProcessRing::Forward;
  using Gradients = InProcessRing::Gradients;

  /// Throws InputError for options that cannot be.
  DeviceAttention(AttentionOptions options, int world, DeviceContext context);
  ~DeviceAttention();
  DeviceAttention(DeviceAttention &&) noexcept;
  DeviceAttention &operator=(DeviceAttention &&) noexcept;

  /// All tensors of the whole batch and sequence. Throws InputError where they do not agree, and
  /// CudaError where the device fails.
  Forward forward(const AttentionInputs &inputs);
  Gradients backward(const AttentionInputs &inputs, const Forward &forward, const Tensor &dout);

private:
  class World;
  std::unique_ptr<World> self;
};

} // namespace ringc
