#include "ringc/attention/DeviceAttentionRing.h"

#include "ringc/attention/device/DeviceRank.h"
#include "ringc/attention/device/RingDevices.h"
#include "ringc/attention/shared/Options.h"
#include "ringc/comm/InProcessDevices.h"
#include "ringc/ring/Agreement.h"
#include "ringc/support/Error.h"

#include <deque>
#include <optional>
#include <string>
#include <utility>

namespace ringc {

namespace {

/// What the ranks on a device share.
struct SharedOnDevice {
  SharedOnDevice(const DeviceContext &context, const AttentionOptions &options)
      : sources(context.kernels->sources(userSources(options))), elementwise(context.device) {}

  SourceSet sources;
  DeviceElementwise elementwise;
  DeviceMemory workspace;
};

} // namespace

class DeviceAttentionRing::World {
public:
  World(AttentionOptions given, int size, std::vector<DeviceContext> contexts)
      : options((validate(given), completed(std::move(given)))), world(size),
        devices(size, std::move(contexts)) {
    for (size_t i = 0; i < devices.count(); ++i)
      shared.emplace_back(devices.at(i), options);
    connect();
  }

  const DeviceContext &deviceOf(int rank) const { return devices.of(rank); }

  void prepare(Pass pass, const AttentionShape &shape, std::span<const AttentionInputs> inputs) {
    checkCount("inputs", inputs.size());
    allocate(prepared(pass, shape, pointersTo(inputs)));
  }

  std::vector<int64_t> workspaceBytes(Pass pass, const AttentionShape &shape,
                                      std::span<const AttentionInputs> inputs) {
    checkCount("inputs", inputs.size());
    return bytesOf(prepared(pass, shape, pointersTo(inputs)));
  }

  void run(const CudaStream &stream, Pass pass, const AttentionShape &shape,
           const std::vector<DeviceTensors> &tensors) {
    checkCount("ranks", tensors.size());
    if (broken)
      connect();
    std::vector<const AttentionInputs *> inputs;
    for (int rank = 0; rank < world; ++rank) {
      ranks[size_t(rank)].check(shape, tensors[size_t(rank)]);
      inputs.push_back(&tensors[size_t(rank)].inputs);
    }
    std::vector<const PreparedPass *> ready = prepared(pass, shape, inputs);
    allocate(ready);
    devices.fork(stream);
    try {
      runAll(stream, shape, tensors, ready);
    } catch (...) { // messages without their other end stay
      broken = true;
      throw;
    }
    devices.join(stream);
  }

  std::vector<Plan> plans(Pass pass, const AttentionShape &shape,
                          std::span<const AttentionInputs> inputs) {
    checkCount("inputs", inputs.size());
    std::vector<Plan> made;
    for (const PreparedPass *rank : prepared(pass, shape, pointersTo(inputs)))
      made.push_back(rank->plan);
    return made;
  }

private:
  void checkCount(std::string_view argument, size_t count) const {
    if (count != size_t(world))
      throw InputError(argument, std::to_string(count), std::to_string(world) + ", one a rank");
  }

  static std::vector<const AttentionInputs *> pointersTo(std::span<const AttentionInputs> inputs) {
    std::vector<const AttentionInputs *> all;
    for (const AttentionInputs &each : inputs)
      all.push_back(&each);
    return all;
  }

  void connect() {
    broken = false;
    ranks.clear();
    transports.emplace(devices.ofRanks());
    for (int rank = 0; rank < world; ++rank) {
      SharedOnDevice &own = shared[devices.indexOf(rank)];
      ranks.emplace_back(options, transports->at(rank), devices.of(rank), own.sources,
                         own.elementwise);
    }
  }

  /// Of all ranks, which belong together. Throws a DisagreementError where those of a ring do not.
  std::vector<const PreparedPass *> prepared(Pass pass, const AttentionShape &shape,
                                             const std::vector<const AttentionInputs *> &inputs) {
    std::vector<const PreparedPass *> ready;
    for (int rank = 0; rank < world; ++rank) {
      DeviceRank &own = ranks[size_t(rank)];
      const AttentionInputs &given = *inputs[size_t(rank)];
      ready.push_back(own.find(pass, shape, given));
      if (!ready.back())
        ready.back() = &own.prepare(pass, shape, given);
    }
    compare(ready);
    return ready;
  }

  void compare(const std::vector<const PreparedPass *> &ready) const {
    size_t size = ready[0]->ring.size();
    for (size_t first = 0; first < ready.size(); first += size) {
      std::vector<const Agreement *> all;
      for (size_t rank = first; rank < first + size; ++rank)
        all.push_back(&ready[rank]->agreement);
      requireAgreement(all, ranksOfRing(int(first), int(size)));
    }
  }

  std::vector<int64_t> bytesOf(const std::vector<const PreparedPass *> &ready) {
    std::vector<int64_t> bytes(devices.count());
    for (int rank = 0; rank < world; ++rank)
      bytes[devices.indexOf(rank)] += ready[size_t(rank)]->workspaceBytes;
    return bytes;
  }

  void allocate(const std::vector<const PreparedPass *> &ready) {
    std::vector<int64_t> bytes = bytesOf(ready);
    for (size_t i = 0; i < devices.count(); ++i)
      if (shared[i].workspace.bytes() < bytes[i])
        shared[i].workspace = DeviceMemory(devices.at(i).device, bytes[i]);
  }

  void runAll(const CudaStream &stream, const AttentionShape &shape,
              const std::vector<DeviceTensors> &tensors,
              const std::vector<const PreparedPass *> &ready) {
    std::deque<DeviceRank::Run> runs;
    std::vector<Execution *> executions;
    std::vector<int64_t> taken(devices.count());
    for (int rank = 0; rank < world; ++rank) {
      size_t index = devices.indexOf(rank);
      const CudaStream &order = devices.orderOf(rank, stream);
      int64_t bytes = ready[size_t(rank)]->workspaceBytes;
      DeviceRoom room(
          {static_cast<std::byte *>(shared[index].workspace.data()) + taken[index], size_t(bytes)});
      taken[index] += bytes;
      transports->at(rank).follow(order);
      executions.push_back(&runs.emplace_back(ranks[size_t(rank)], *ready[size_t(rank)], order,
                                              shape, tensors[size_t(rank)], room)
                                .execution());
    }
    (void)executeInTurns(executions);
    for (DeviceRank::Run &run : runs)
      run.finish();
  }

  AttentionOptions options;
  int world;
  RingDevices devices;
  std::deque<SharedOnDevice> shared; ///< by device; addresses stay
  std::optional<InProcessDevices> transports;
  std::deque<DeviceRank> ranks;
  bool broken = false; ///< a call ended halfway
};

DeviceAttentionRing::DeviceAttentionRing(AttentionOptions options, int world,
                                         std::vector<DeviceContext> devices)
    : self(std::make_unique<World>(std::move(options), world, std::move(devices))) {}
DeviceAttentionRing::~DeviceAttentionRing() = default;
DeviceAttentionRing::DeviceAttentionRing(DeviceAttentionRing &&) noexcept = default;
DeviceAttentionRing &DeviceAttentionRing::operator=(DeviceAttentionRing &&) noexcept = default;

const DeviceContext &DeviceAttentionRing::deviceOf(int rank) const { return self->deviceOf(rank); }

void DeviceAttentionRing::prepare(Pass pass, const AttentionShape &shape,
                                  std::span<const AttentionInputs> inputs) {
  self->prepare(pass, shape, inputs);
}

std::vector<int64_t> DeviceAttentionRing::workspaceBytes(Pass pass, const AttentionShape &shape,
                                                         std::span<const AttentionInputs> inputs) {
  return self->workspaceBytes(pass, shape, inputs);
}

void DeviceAttentionRing::forward(const CudaStream &stream, const AttentionShape &shape,
                                  std::span<const RankForward> ranks) {
  std::vector<DeviceTensors> tensors;
  for (const RankForward &rank : ranks)
    tensors.push_back({.inputs = rank.inputs, .results = rank.results});
  self->run(stream, Pass::Forward, shape, tensors);
}

void DeviceAttentionRing::backward(const CudaStream &stream, const AttentionShape &shape,
                                   std::span<const RankBackward> ranks) {
  std::vector<DeviceTensors> tensors;
  for (const RankBackward &rank : ranks)
    tensors.push_back({rank.inputs, rank.results, &rank.dout, &rank.gradients});
  self->run(stream, Pass::Backward, shape, tensors);
}

std::vector<Plan> DeviceAttentionRing::plans(Pass pass, const AttentionShape &shape,
                                             std::span<const AttentionInputs> inputs) {
  return self->plans(pass, shape, inputs);
}

} // namespace ringc
