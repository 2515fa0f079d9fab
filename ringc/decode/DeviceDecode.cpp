#include "ringc/comm/StreamTransport.h"
#include "ringc/decode/DeviceDecodeRank.h"
#include "ringc/driver/CudaStream.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

namespace ringc {

namespace {

/// Kinds of calls of ranks that are kept.
constexpr size_t most = 64;

} // namespace

class DeviceDecode::Impl {
public:
  Impl(DecodeOptions options, DeviceContext context)
      : own(std::move(options), std::move(context)) {}

  void run(const CudaStream &stream, const DecodeInputs &inputs, const Tensor &out,
           const Tensor &lse) {
    own.attend(stream, own.prepared(stream, {inputs, {}, out, lse}));
  }

  void run(const CudaStream &stream, const DecodeInputs &inputs, const DecodeKeys &keys,
           RemoteTransport &transport, const Tensor &out, const Tensor &lse) {
    if (ranks && ranks != &transport)
      throw InputError("transport", "another one", "that of earlier calls");
    ranks = &transport;
    transport.check();
    const PreparedDecode &ready =
        own.prepared(stream, {inputs, keys, out, lse, transport.rank(), transport.world()});
    if (transport.world() == 1)
      return own.attend(stream, ready);
    std::vector<int> all(size_t(transport.world()));
    std::iota(all.begin(), all.end(), 0);
    const Agreed &said = agreedOn(ready.agreement, all);
    transport.follow(stream);
    // Beside the kernels, and compared behind them: neither makes a step longer.
    std::unique_ptr<Transfer> announced =
        transport.announce(all, said.announcement, said.onDevice.data());
    own.attend(stream, ready);
    if (!ready.exchange.empty())
      transport.post(ready.exchange)->wait();
    own.finish(stream, ready);
    announced->wait();
  }

private:
  /// What all ranks have said, and what they tell each other each time.
  struct Agreed {
    Agreement agreement;
    std::vector<std::byte> announcement;
    DeviceMemory onDevice;
  };

  /// Found, or compared. What differs between the ranks' prepared calls, as where tensors lie, is
  /// no part of it: so all ranks compare, or none does.
  const Agreed &agreedOn(const Agreement &agreement, std::span<const int> all) {
    auto found = std::ranges::find(agreed, agreement, &Agreed::agreement);
    if (found != agreed.end()) {
      agreed.splice(agreed.begin(), agreed, found);
      return agreed.front();
    }
    requireAgreement(agreement, ranks->rank(), all,
                     [&](std::span<const std::byte> bytes) { return ranks->gather(all, bytes); });
    Agreed made{agreement, announcementOf(agreement), {}};
    auto bytes = int64_t(made.announcement.size());
    made.onDevice = DeviceMemory(own.context().device, bytes);
    CudaStream uploads(own.context().device);
    uploads.upload(made.onDevice.data(), made.announcement.data(), bytes);
    uploads.synchronize();
    agreed.push_front(std::move(made));
    if (agreed.size() > most)
      agreed.pop_back();
    return agreed.front();
  }

  DeviceDecodeRank own;
  RemoteTransport *ranks = nullptr; ///< of the first call with one
  std::list<Agreed> agreed;         ///< the latest first
};

DeviceDecode::DeviceDecode(DecodeOptions options, DeviceContext context)
    : self(std::make_unique<Impl>(std::move(options), std::move(context))) {}
DeviceDecode::~DeviceDecode() = default;
DeviceDecode::DeviceDecode(DeviceDecode &&) noexcept = default;
DeviceDecode &DeviceDecode::operator=(DeviceDecode &&) noexcept = default;

void DeviceDecode::run(const CudaStream &stream, const DecodeInputs &inputs, const Tensor &out,
                       const Tensor &lse) {
  self->run(stream, inputs, out, lse);
}

void DeviceDecode::run(const CudaStream &stream, const DecodeInputs &inputs, const DecodeKeys &keys,
                       RemoteTransport &transport, const Tensor &out, const Tensor &lse) {
  guarded(transport, [&] { self->run(stream, inputs, keys, transport, out, lse); });
}

} // namespace ringc
