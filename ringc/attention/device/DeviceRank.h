#pragma once

#include "ringc/attention/device/DeviceCode.h"
#include "ringc/attention/device/DeviceElementwise.h"
#include "ringc/attention/device/DeviceKernels.h"
#include "ringc/attention/device/DeviceTensor.h"
#include "ringc/attention/shared/RankCall.h"
#include "ringc/comm/StreamTransport.h"
#include "ringc/ring/Agreement.h"

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ringc {

/// The tensors of one call of a pass; what only the backward has is null in the forward.
struct DeviceTensors {
  const AttentionInputs &inputs;
  const ForwardResults &results;
  const Tensor *dout = nullptr;
  const GradientResults *gradients = nullptr;
};

/// What one rank makes once for all calls of a pass with one shape, one kind of inputs, and the
/// same values of what the host knows of the mask.
struct PreparedPass {
  Pass pass = Pass::Forward;
  std::vector<int64_t> key; ///< all that it depends on

  std::optional<DeviceCode> forward;
  std::optional<DeviceBackwardCode> backward;
  std::vector<std::pair<Parameters::View, DeviceTensor>> made; ///< views that are not the caller's
  Plan plan;
  std::vector<Plan> ring; ///< the plans of all ranks of the ring, by place
  int64_t workspaceBytes = 0;
  Agreement agreement; ///< what the other ranks of the ring must have, too
  std::vector<std::byte> announcement;
  DeviceMemory announcementOnDevice;

  /// The kernel that has all of the pass's masks and scores.
  const CompiledKernel &kernel() const {
    return pass == Pass::Forward ? *forward->kernel : *backward->keys.kernel;
  }
};

/// One rank of a ring on a device, behind DeviceAttentionRank and DeviceAttentionRing: prepares
/// passes, and builds them for the executor. What it refers to must outlive it.
class DeviceRank {
public:
  DeviceRank(const AttentionOptions &completeOptions, StreamTransport &transport,
             const DeviceContext &context, const SourceSet &sources,
             const DeviceElementwise &elementwise);

  /// Null where the pass is not prepared.
  const PreparedPass *find(Pass pass, const AttentionShape &shape, const AttentionInputs &inputs);

  /// Prepares it; it stays for a good number of later ones.
  const PreparedPass &prepare(Pass pass, const AttentionShape &shape,
                              const AttentionInputs &inputs);

  /// The pass that was prepared last turned out not to fit those of other ranks.
  void forgetLatest() { prepared.pop_front(); }

  /// Throws InputError where results, dout or gradients do not fit.
  void check(const AttentionShape &shape, const DeviceTensors &tensors) const;

  /// One call, ready to be run by an executor.
  class Run {
  public:
    Run(DeviceRank &rank, const PreparedPass &prepared, const CudaStream &stream,
        const AttentionShape &shape, const DeviceTensors &tensors, DeviceRoom room);

    Execution &execution() { return *run; }
    /// After the execution: what is left to round.
    void finish();

  private:
    friend class DeviceRank;
    Tensor sumOf(const Tensor &gradient, DeviceRoom &room);
    void makeKernels(const PreparedPass &prepared, const DeviceTensors &tensors, DeviceRoom &room);

    DeviceRank &rank;
    const CudaStream &stream;
    RankCall call;
    std::vector<std::pair<Tensor, Tensor>> toRound; ///< an f32 sum, and its gradient
    std::unique_ptr<StreamKernels> kernels;
    HopMemory hops;
    std::optional<Execution> run;
    int64_t bytes = 0; ///< that it took of its room
  };

private:
  DeviceCode kernel(std::string_view name, const AttentionInputs &inputs, int64_t keyLength) const;
  std::optional<Schedule> tuned(Pass pass, const AttentionInputs &inputs, int64_t keyLength) const;
  int ringSize() const;
  RankCall describe(const PreparedPass &prepared, const AttentionShape &shape,
                    const AttentionInputs &inputs) const;

  const AttentionOptions &options;
  StreamTransport &transport;
  const DeviceContext &context;
  const SourceSet &sources;
  const DeviceElementwise &elementwise;
  RankSchedule schedule;
  std::list<PreparedPass> prepared; ///< the latest first
};

} // namespace ringc
