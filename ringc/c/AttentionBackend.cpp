#include "ringc/c/AttentionBackend.h"

#include "ringc/attention/DeviceAttentionRank.h"
#include "ringc/attention/HostAttentionRank.h"
#include "ringc/comm/AloneOnDevice.h"
#include "ringc/comm/InProcess.h"

namespace ringc::c {

namespace {

class HostBackend final : public AttentionBackend {
public:
  /// `transport` is null for a rank alone.
  HostBackend(const AttentionOptions &options, const AttentionContext &context,
              Transport *transport)
      : rank(options, transport ? *transport : alone.at(0), context) {}

  void prepare(Pass pass, const AttentionShape &, const AttentionInputs &inputs) override {
    rank.prepare(pass, inputs);
  }
  void forward(const CudaStream *, const AttentionShape &shape, const AttentionInputs &inputs,
               const ForwardResults &results, std::span<std::byte>) override {
    rank.forward(shape, inputs, results);
  }
  void backward(const CudaStream *, const AttentionShape &shape, const AttentionInputs &inputs,
                const ForwardResults &results, const Tensor &dout, const GradientResults &gradients,
                std::span<std::byte>) override {
    rank.backward(shape, inputs, results, dout, gradients);
  }
  std::vector<Plan> plans(Pass pass, const AttentionShape &shape,
                          const AttentionInputs &inputs) override {
    return rank.plans(pass, shape, inputs);
  }

private:
  InProcessWorld alone{1};
  HostAttentionRank rank;
};

class DeviceBackend final : public AttentionBackend {
public:
  /// `transport` is null for a rank alone.
  DeviceBackend(const AttentionOptions &options, const DeviceContext &context,
                RemoteTransport *transport)
      : alone(context.device), rank(options, transport ? *transport : alone, context) {}

  void prepare(Pass pass, const AttentionShape &shape, const AttentionInputs &inputs) override {
    rank.prepare(pass, shape, inputs);
  }
  int64_t workspaceBytes(Pass pass, const AttentionShape &shape,
                         const AttentionInputs &inputs) override {
    return rank.workspaceBytes(pass, shape, inputs);
  }
  void forward(const CudaStream *stream, const AttentionShape &shape, const AttentionInputs &inputs,
               const ForwardResults &results, std::span<std::byte> workspace) override {
    rank.forward(*stream, shape, inputs, results, workspace);
  }
  void backward(const CudaStream *stream, const AttentionShape &shape,
                const AttentionInputs &inputs, const ForwardResults &results, const Tensor &dout,
                const GradientResults &gradients, std::span<std::byte> workspace) override {
    rank.backward(*stream, shape, inputs, results, dout, gradients, workspace);
  }
  void wait(const CudaStream *stream) override { rank.wait(*stream); }
  std::vector<Plan> plans(Pass pass, const AttentionShape &shape,
                          const AttentionInputs &inputs) override {
    return rank.plans(pass, shape, inputs);
  }

private:
  AloneOnDevice alone;
  DeviceAttentionRank rank;
};

} // namespace

std::unique_ptr<AttentionBackend> attentionBackend(const AttentionOptions &options,
                                                   const Group &group) {
  const Context &context = *group.context;
  if (!context.isDevice())
    return std::make_unique<HostBackend>(options, context.ofHost("an attention"), group.host());
  return std::make_unique<DeviceBackend>(options, context.ofDevice("an attention"), group.device());
}

} // namespace ringc::c
