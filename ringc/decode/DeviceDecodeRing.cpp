#include "ringc/decode/DeviceDecodeRing.h"

#include "ringc/attention/device/RingDevices.h"
#include "ringc/comm/InProcessDevices.h"
#include "ringc/decode/DeviceDecodeRank.h"
#include "ringc/support/Error.h"

#include <deque>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

namespace ringc {

class DeviceDecodeRing::World {
public:
  World(const DecodeOptions &options, int world, std::vector<DeviceContext> contexts)
      : devices(world, std::move(contexts)), numbers(size_t(world)) {
    std::iota(numbers.begin(), numbers.end(), 0);
    for (int rank = 0; rank < world; ++rank)
      ranks.emplace_back(options, devices.of(rank));
    transports.emplace(devices.ofRanks());
  }

  const DeviceContext &deviceOf(int rank) const { return devices.of(rank); }

  void run(const CudaStream &stream, std::span<const RankDecode> given) {
    if (given.size() != ranks.size())
      throw InputError("ranks", std::to_string(given.size()),
                       std::to_string(ranks.size()) + ", one a rank");
    if (broken) { // messages without their other end are there
      transports.emplace(devices.ofRanks());
      broken = false;
    }
    std::vector<const PreparedDecode *> ready;
    for (int rank : numbers) {
      const RankDecode &own = given[size_t(rank)];
      ready.push_back(&ranks[size_t(rank)].prepared(
          devices.orderOf(rank, stream),
          {own.inputs, own.keys, own.out, own.lse, rank, devices.world()}));
    }
    compare(ready);
    devices.fork(stream);
    try {
      runAll(stream, ready);
    } catch (...) {
      broken = true;
      throw;
    }
    devices.join(stream);
  }

private:
  void compare(const std::vector<const PreparedDecode *> &ready) const {
    std::vector<const Agreement *> all;
    for (const PreparedDecode *each : ready)
      all.push_back(&each->agreement);
    requireAgreement(all, numbers);
  }

  /// Both ends of a message are posted before one is waited for.
  void runAll(const CudaStream &stream, const std::vector<const PreparedDecode *> &ready) {
    std::vector<std::unique_ptr<Transfer>> transfers;
    for (int rank : numbers) {
      const CudaStream &order = devices.orderOf(rank, stream);
      const PreparedDecode &own = *ready[size_t(rank)];
      ranks[size_t(rank)].attend(order, own);
      StreamTransport &transport = transports->at(rank);
      transport.follow(order);
      if (!own.exchange.empty())
        transfers.push_back(transport.post(own.exchange));
    }
    for (const std::unique_ptr<Transfer> &transfer : transfers)
      transfer->wait();
    for (int rank : numbers)
      ranks[size_t(rank)].finish(devices.orderOf(rank, stream), *ready[size_t(rank)]);
  }

  RingDevices devices;
  std::vector<int> numbers; ///< of the ranks
  std::deque<DeviceDecodeRank> ranks;
  std::optional<InProcessDevices> transports;
  bool broken = false; ///< a call ended halfway
};

DeviceDecodeRing::DeviceDecodeRing(DecodeOptions options, int world,
                                   std::vector<DeviceContext> devices)
    : self(std::make_unique<World>(options, world, std::move(devices))) {}
DeviceDecodeRing::~DeviceDecodeRing() = default;
DeviceDecodeRing::DeviceDecodeRing(DeviceDecodeRing &&) noexcept = default;
DeviceDecodeRing &DeviceDecodeRing::operator=(DeviceDecodeRing &&) noexcept = default;

const DeviceContext &DeviceDecodeRing::deviceOf(int rank) const { return self->deviceOf(rank); }

void DeviceDecodeRing::run(const CudaStream &stream, std::span<const RankDecode> ranks) {
  self->run(stream, ranks);
}

} // namespace ringc
