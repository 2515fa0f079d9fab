#include "ringc/attention/DeviceAttentionRank.h"

#include "ringc/attention/device/DeviceRank.h"
#include "ringc/attention/shared/Options.h"
#include "ringc/ring/Agreement.h"
#include "ringc/support/Error.h"

#include <span>
#include <utility>

namespace ringc {

class DeviceAttentionRank::Rank {
public:
  Rank(AttentionOptions given, RemoteTransport &ownTransport, DeviceContext ownContext)
      : transport(ownTransport), options((validate(given), completed(std::move(given)))),
        context(std::move(ownContext)), sources(context.kernels->sources(userSources(options))),
        elementwise(context.device), rank(options, transport, context, sources, elementwise) {}

  void prepare(Pass pass, const AttentionShape &shape, const AttentionInputs &inputs) {
    (void)withMemory(prepared(pass, shape, inputs));
  }

  int64_t workspaceBytes(Pass pass, const AttentionShape &shape, const AttentionInputs &inputs) {
    return prepared(pass, shape, inputs).workspaceBytes;
  }

  void run(const CudaStream &stream, Pass pass, const AttentionShape &shape,
           const DeviceTensors &tensors, std::span<std::byte> workspace) {
    transport.check();
    rank.check(shape, tensors);
    const PreparedPass &ready = prepared(pass, shape, tensors.inputs);
    if (workspace.empty())
      workspace = withMemory(ready);
    checkWorkspace(workspace, ready);
    transport.follow(stream);
    DeviceRank::Run made(rank, ready, stream, shape, tensors, DeviceRoom(workspace));
    Execution *const alone[] = {&made.execution()};
    std::unique_ptr<Transfer> announced;
    if (ready.ring.size() > 1)
      announced =
          transport.announce(ranksOf(ready), ready.announcement, ready.announcementOnDevice.data());
    (void)executeInTurns(alone);
    if (announced)
      announced->wait();
    made.finish();
  }

  std::vector<Plan> plans(Pass pass, const AttentionShape &shape, const AttentionInputs &inputs) {
    return prepared(pass, shape, inputs).ring;
  }

  RemoteTransport &transport;

private:
  /// Prepared here and, the first time, found to fit the other ranks'.
  const PreparedPass &prepared(Pass pass, const AttentionShape &shape,
                               const AttentionInputs &inputs) {
    if (const PreparedPass *known = rank.find(pass, shape, inputs))
      return *known;
    const PreparedPass &made = rank.prepare(pass, shape, inputs);
    try {
      compare(made);
    } catch (...) {
      rank.forgetLatest();
      throw;
    }
    return made;
  }

  static std::vector<int> ranksOf(const PreparedPass &pass) {
    std::vector<int> ranks;
    for (const Plan &plan : pass.ring)
      ranks.push_back(plan.rank);
    return ranks;
  }

  void compare(const PreparedPass &made) {
    std::vector<int> peers = ranksOf(made);
    requireAgreement(made.agreement, transport.rank(), peers,
                     [&](std::span<const std::byte> own) { return transport.gather(peers, own); });
  }

  std::span<std::byte> withMemory(const PreparedPass &pass) {
    if (memory.bytes() < pass.workspaceBytes)
      memory = DeviceMemory(context.device, pass.workspaceBytes);
    return {static_cast<std::byte *>(memory.data()), size_t(memory.bytes())};
  }

  static void checkWorkspace(std::span<const std::byte> workspace, const PreparedPass &pass) {
    if (int64_t(workspace.size()) < pass.workspaceBytes)
      throw InputError("workspace", std::to_string(workspace.size()) + " bytes",
                       std::to_string(pass.workspaceBytes) + " or more");
    if (reinterpret_cast<uintptr_t>(workspace.data()) % 256 != 0)
      throw InputError("workspace's address",
                       std::to_string(reinterpret_cast<uintptr_t>(workspace.data())),
                       "a multiple of 256");
  }

  AttentionOptions options;
  DeviceContext context;
  SourceSet sources;
  DeviceElementwise elementwise;
  DeviceRank rank;
  DeviceMemory memory;
};

DeviceAttentionRank::DeviceAttentionRank(AttentionOptions options, RemoteTransport &transport,
                                         DeviceContext context)
    : self(std::make_unique<Rank>(std::move(options), transport, std::move(context))) {}
DeviceAttentionRank::~DeviceAttentionRank() = default;
DeviceAttentionRank::DeviceAttentionRank(DeviceAttentionRank &&) noexcept = default;
DeviceAttentionRank &DeviceAttentionRank::operator=(DeviceAttentionRank &&) noexcept = default;

void DeviceAttentionRank::prepare(Pass pass, const AttentionShape &shape,
                                  const AttentionInputs &inputs) {
  guarded(self->transport, [&] { self->prepare(pass, shape, inputs); });
}

int64_t DeviceAttentionRank::workspaceBytes(Pass pass, const AttentionShape &shape,
                                            const AttentionInputs &inputs) {
  return guarded(self->transport, [&] { return self->workspaceBytes(pass, shape, inputs); });
}

void DeviceAttentionRank::forward(const CudaStream &stream, const AttentionShape &shape,
                                  const AttentionInputs &inputs, const ForwardResults &results,
                                  std::span<std::byte> workspace) {
  guarded(self->transport, [&] {
    self->run(stream, Pass::Forward, shape, {.inputs = inputs, .results = results}, workspace);
  });
}

void DeviceAttentionRank::backward(const CudaStream &stream, const AttentionShape &shape,
                                   const AttentionInputs &inputs, const ForwardResults &results,
                                   const Tensor &dout, const GradientResults &gradients,
                                   std::span<std::byte> workspace) {
  guarded(self->transport, [&] {
    self->run(stream, Pass::Backward, shape, {inputs, results, &dout, &gradients}, workspace);
  });
}

void DeviceAttentionRank::wait(const CudaStream &stream) { self->transport.wait(stream); }

std::vector<Plan> DeviceAttentionRank::plans(Pass pass, const AttentionShape &shape,
                                             const AttentionInputs &inputs) {
  return guarded(self->transport, [&] { return self->plans(pass, shape, inputs); });
}

} // namespace ringc
