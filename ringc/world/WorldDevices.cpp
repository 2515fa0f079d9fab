#include "ringc/world/WorldDevices.h"

#include "ringc/Env.h"
#include "ringc/attention/device/RingDevices.h"
#include "ringc/attention/shared/Options.h"
#include "ringc/comm/Bootstrap.h"
#include "ringc/comm/InProcessDevices.h"
#include "ringc/comm/Nccl.h"
#include "ringc/jit/DeviceCompiler.h"
#include "ringc/support/Error.h"
#include "ringc/world/DeviceRing.h"
#include "ringc/world/WorldAgreement.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <span>

namespace ringc {

namespace {

std::vector<int> firstRanks(int count) {
  std::vector<int> ranks(static_cast<size_t>(count));
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

int deviceCount() { return CudaDriver::open(Env::read().cudaLibrary)->deviceCount(); }

class DeviceWorld final : public World {
public:
  DeviceWorld(int ranks, const std::vector<int> &ordinals, const TuneTable::Warn &tell)
      : count(ranks) {
    for (int ordinal : ordinals)
      contexts.push_back(deviceContext(ordinal, tell));
  }

  int size() const override { return count; }
  std::vector<int> ranks() const override { return firstRanks(count); }
  std::unique_ptr<WorldRing> ring(const AttentionOptions &options, const AttentionContext &context,
                                  const AttentionInputs &inputs, const Tensor &dout) override {
    for (DeviceContext &device : contexts)
      device.trace = context.trace;
    return makeDeviceRing(options, count, contexts, inputs, dout);
  }
  const std::vector<DeviceContext> &devices() const override { return contexts; }
  void onRanks(const std::function<void(const WorldRank &)> &body) override {
    if (count == 1)
      return body({.device = contexts.data()});
    RingDevices devices(count, contexts);
    InProcessDevices world(devices.ofRanks(),
                           {.callers = InProcessDevicesOptions::Callers::EachRank});
    runRanks(world, [&](int rank) {
      body({.rank = rank, .device = &devices.of(rank), .remote = &world.at(rank)});
    });
  }
  std::vector<double> gather(const std::vector<double> &own) override { return own; }
  std::string ofFirst(const std::string &own) override { return own; }
  void agree(const Agreement &) override {}
  double largest(double own) override { return own; }
  void abort(const std::string &) noexcept override {}

private:
  int count;
  std::vector<DeviceContext> contexts;
};

class NcclWorld final : public World {
public:
  NcclWorld(const ProcessRank &process, int device, std::chrono::milliseconds deadline,
            const TuneTable::Warn &tell)
      : contexts{deviceContext(device, tell)} {
    auto library = NcclLibrary::open(Env::read().ncclLibrary);
    NcclUniqueId id = shareUniqueId(*library, process, deadline);
    transport.emplace(library, contexts[0].device, process.rank, process.world, id,
                      NcclOptions{.deadline = deadline});
  }

  int size() const override { return transport->world(); }
  std::vector<int> ranks() const override { return {transport->rank()}; }
  std::unique_ptr<WorldRing> ring(const AttentionOptions &options, const AttentionContext &context,
                                  const AttentionInputs &inputs, const Tensor &dout) override {
    agree(agreementOf(options, contexts[0].kernels->sources(userSources(options)), inputs, dout));
    contexts[0].trace = context.trace;
    return makeRemoteRing(options, *transport, contexts[0], inputs, dout);
  }
  const std::vector<DeviceContext> &devices() const override { return contexts; }
  void onRanks(const std::function<void(const WorldRank &)> &body) override {
    body({.rank = transport->rank(), .device = contexts.data(), .remote = &*transport});
  }

  std::vector<double> gather(const std::vector<double> &own) override {
    std::vector<double> all = ofAll(own);
    return isFirst() ? all : std::vector<double>();
  }
  std::string ofFirst(const std::string &own) override {
    std::vector<int> all = firstRanks(size());
    return ringc::ofFirst(
        [&](std::span<const std::byte> bytes) { return transport->gather(all, bytes); }, own);
  }
  void agree(const Agreement &own) override {
    std::vector<int> all = firstRanks(size());
    requireAgreement(own, transport->rank(), all, [&](std::span<const std::byte> bytes) {
      return transport->gather(all, bytes);
    });
  }
  double largest(double own) override { return std::ranges::max(ofAll({own})); }
  void abort(const std::string &reason) noexcept override { transport->abort(reason); }

private:
  std::vector<double> ofAll(const std::vector<double> &own) {
    std::vector<double> all;
    for (const std::vector<std::byte> &theirs :
         transport->gather(firstRanks(size()), std::as_bytes(std::span(own)))) {
      std::vector<double> numbers(theirs.size() / sizeof(double));
      std::memcpy(numbers.data(), theirs.data(), theirs.size());
      all.insert(all.end(), numbers.begin(), numbers.end());
    }
    return all;
  }

  std::vector<DeviceContext> contexts;
  std::optional<NcclTransport> transport;
};

} // namespace

std::string nameOfDevices(const std::vector<int> &devices) {
  std::string text;
  for (int device : devices)
    text += (text.empty() ? "" : ",") + std::to_string(device);
  return text;
}

std::vector<int> devicesOf(int ranks, const std::vector<int> &given) {
  std::vector<int> devices = given.empty() ? firstRanks(std::min(ranks, deviceCount())) : given;
  if (int(devices.size()) > ranks)
    throw InputError("devices", nameOfDevices(devices),
                     "at most " + std::to_string(ranks) + ", as many as there are ranks");
  return devices;
}

std::unique_ptr<World> makeDeviceWorld(int ranks, const std::vector<int> &devices,
                                       const TuneTable::Warn &tell) {
  return std::make_unique<DeviceWorld>(ranks, devicesOf(ranks, devices), tell);
}

std::unique_ptr<World> makeNcclWorld(const ProcessRank &process, const std::vector<int> &given,
                                     std::chrono::milliseconds deadline,
                                     const TuneTable::Warn &tell) {
  std::vector<int> devices = given.empty() ? firstRanks(deviceCount()) : given;
  int device = devices[size_t(process.localRank) % devices.size()];
  return std::make_unique<NcclWorld>(process, device, deadline, tell);
}

} // namespace ringc
