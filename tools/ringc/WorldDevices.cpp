#include "tools/ringc/WorldDevices.h"

#include "runtime/Env.h"
#include "runtime/Error.h"
#include "runtime/attention/Options.h"
#include "runtime/comm/Bootstrap.h"
#include "runtime/comm/Nccl.h"
#include "runtime/jit/DeviceCompiler.h"
#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/DeviceRing.h"
#include "tools/ringc/WorldAgreement.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <span>

namespace ringc::cli {

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

  std::vector<double> gather(const std::vector<double> &own) override {
    std::vector<double> all = ofAll(own);
    return isFirst() ? all : std::vector<double>();
  }
  std::string ofFirst(const std::string &own) override {
    std::vector<int> all = firstRanks(size());
    return cli::ofFirst(
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

std::vector<int> parseDevices(const std::string &text) {
  const char *allowed = "numbers of devices, each once: 0,1";
  std::vector<int> devices;
  for (int64_t device : parseIntegers("devices", text, allowed)) {
    if (device < 0 || device > 1023 || std::ranges::find(devices, int(device)) != devices.end())
      throw InputError("devices", text, allowed);
    devices.push_back(int(device));
  }
  return devices;
}

std::vector<int> devicesOf(int ranks, const std::string &text) {
  std::vector<int> devices =
      text.empty() ? firstRanks(std::min(ranks, deviceCount())) : parseDevices(text);
  if (int(devices.size()) > ranks)
    throw InputError("devices", text,
                     "at most " + std::to_string(ranks) + ", as many as there are ranks");
  return devices;
}

std::unique_ptr<World> makeDeviceWorld(int ranks, const std::string &text,
                                       const TuneTable::Warn &tell) {
  return std::make_unique<DeviceWorld>(ranks, devicesOf(ranks, text), tell);
}

std::unique_ptr<World> makeNcclWorld(const ProcessRank &process, const std::string &text,
                                     std::chrono::milliseconds deadline,
                                     const TuneTable::Warn &tell) {
  std::vector<int> devices = text.empty() ? firstRanks(deviceCount()) : parseDevices(text);
  int device = devices[size_t(process.localRank) % devices.size()];
  return std::make_unique<NcclWorld>(process, device, deadline, tell);
}

} // namespace ringc::cli
