#pragma once

#include "ringc/world/DeviceShard.h"

#include <memory>
#include <optional>
#include <vector>

namespace ringc {

/// Both passes on devices: the tensors stay there until they are collected.
class DeviceRing : public WorldRing {
public:
  void forward() final { runPass(Pass::Forward); }
  void backward() final { runPass(Pass::Backward); }
  Took timed(Pass pass) final;
  std::vector<ExecutionReport> reports() const final { return latest; }
  Results collect() final;

protected:
  /// `first` is the device whose stream waits for all others.
  DeviceRing(DeviceProblem ofWorld, const DeviceContext &first)
      : problem(std::move(ofWorld)), stream(first.device) {}

  /// Puts all work of a pass in the stream's order.
  virtual void enqueue(Pass pass) = 0;
  /// Returns when it has run, or throws what went wrong.
  virtual void wait() = 0;
  /// By rank of this process.
  virtual std::vector<Plan> ownPlans(Pass pass) = 0;
  /// All results of a pass that this process shall have, unsharded.
  virtual std::vector<HostTensor> collected(Pass pass) = 0;

  /// Zeros.
  std::vector<HostTensor> emptyResults(Pass pass) const;

  DeviceProblem problem;
  CudaStream stream;

private:
  void runPass(Pass pass);
  void report(Pass pass);

  std::optional<Pass> done; ///< the latest pass; the forward has run before a backward
  std::vector<ExecutionReport> latest;
};

/// All ranks in this process, dealt over the devices.
std::unique_ptr<WorldRing> makeDeviceRing(const AttentionOptions &options, int world,
                                          const std::vector<DeviceContext> &devices,
                                          const AttentionInputs &inputs, const Tensor &dout);

/// The rank of `transport`, whose device is that of `context`. Both must outlive it.
std::unique_ptr<WorldRing> makeRemoteRing(const AttentionOptions &options,
                                          RemoteTransport &transport, const DeviceContext &context,
                                          const AttentionInputs &inputs, const Tensor &dout);

} // namespace ringc
