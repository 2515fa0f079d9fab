#include "ringc/comm/Nccl.h"

#include "ringc/comm/NcclAnnouncements.h"
#include "ringc/comm/NcclLink.h"
#include "ringc/support/Error.h"

#include <string>
#include <utility>

namespace ringc {

namespace {

void checkOptions(const NcclOptions &options) {
  if (options.deadline.count() <= 0)
    throw InputError("deadline", std::to_string(options.deadline.count()) + " ms", "above 0");
}

class NcclTransfer final : public Transfer {
public:
  NcclTransfer(std::shared_ptr<NcclLink> ownLink, std::shared_ptr<NcclLink::Posted> posted)
      : link(std::move(ownLink)), exchange(std::move(posted)) {}

  void wait() override { link->join(*exchange); }

private:
  std::shared_ptr<NcclLink> link;
  std::shared_ptr<NcclLink::Posted> exchange;
};

} // namespace

NcclTransport::NcclTransport(std::shared_ptr<const NcclLibrary> library,
                             std::shared_ptr<const CudaDevice> device, int rank, int world,
                             const NcclUniqueId &id, const NcclOptions &options) {
  checkOptions(options);
  if (world < 1)
    throw InputError("world", std::to_string(world), "1 or more ranks");
  if (rank < 0 || rank >= world)
    throw InputError("rank", std::to_string(rank), "0 to " + std::to_string(world - 1));
  NcclCommunicator made =
      NcclCommunicator::make(library, device, rank, world, id, options.deadline);
  link = std::make_shared<NcclLink>(std::move(device), std::move(made), options);
  announcements = std::make_unique<NcclAnnouncements>(link);
}

NcclTransport::NcclTransport(std::shared_ptr<const NcclLibrary> library,
                             std::shared_ptr<const CudaDevice> device, NcclComm theirs,
                             const NcclOptions &options) {
  checkOptions(options);
  NcclCommunicator borrowed = NcclCommunicator::borrow(library, device, theirs);
  link = std::make_shared<NcclLink>(std::move(device), std::move(borrowed), options);
  announcements = std::make_unique<NcclAnnouncements>(link);
}

NcclTransport::~NcclTransport() = default;

int NcclTransport::rank() const { return link->rank(); }
int NcclTransport::world() const { return link->world(); }
const std::shared_ptr<const CudaDevice> &NcclTransport::device() const { return link->device; }
void NcclTransport::follow(const CudaStream &stream) { link->follow(stream); }

std::unique_ptr<Transfer> NcclTransport::post(const Exchange &exchange) {
  return std::make_unique<NcclTransfer>(link, link->post(exchange));
}

void NcclTransport::abort(std::string_view reason) noexcept { link->abort(reason); }

int64_t NcclTransport::sentBytes() const { return link->sent; }
int64_t NcclTransport::receivedBytes() const { return link->received; }

std::vector<std::vector<std::byte>> NcclTransport::gather(std::span<const int> ranks,
                                                          std::span<const std::byte> own) {
  return link->gather(ranks, own);
}

std::unique_ptr<Transfer> NcclTransport::announce(std::span<const int> ranks,
                                                  std::span<const std::byte> own,
                                                  const void *onDevice) {
  return announcements->announce(ranks, own, onDevice);
}

void NcclTransport::check() const {
  announcements->compare();
  link->check();
}

void NcclTransport::wait(const CudaStream &stream) {
  link->wait(stream);
  check();
}

} // namespace ringc
