#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/c/Group.h"
#include "ringc/driver/CudaStream.h"
#include "ringc/ring/Plan.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace ringc::c {

/// One rank's attention, on the host or on a device, alone or with others.
class AttentionBackend {
public:
  virtual ~AttentionBackend() = default;

  virtual void prepare(Pass pass, const AttentionShape &shape, const AttentionInputs &inputs) = 0;
  /// That the caller may bring; 0 where the memory is the object's own.
  virtual int64_t workspaceBytes(Pass, const AttentionShape &, const AttentionInputs &) {
    return 0;
  }
  /// `stream` is null on the host. `workspace` is empty, or the caller's.
  virtual void forward(const CudaStream *stream, const AttentionShape &shape,
                       const AttentionInputs &inputs, const ForwardResults &results,
                       std::span<std::byte> workspace) = 0;
  virtual void backward(const CudaStream *stream, const AttentionShape &shape,
                        const AttentionInputs &inputs, const ForwardResults &results,
                        const Tensor &dout, const GradientResults &gradients,
                        std::span<std::byte> workspace) = 0;
  virtual void wait(const CudaStream *) {}
  virtual std::vector<Plan> plans(Pass pass, const AttentionShape &shape,
                                  const AttentionInputs &inputs) = 0;
};

/// Of a group whose context says where. Throws InputError for options that cannot be.
std::unique_ptr<AttentionBackend> attentionBackend(const AttentionOptions &options,
                                                   const Group &group);

} // namespace ringc::c
