#pragma once

#include "ringc/comm/NcclLibrary.h"
#include "ringc/comm/StreamTransport.h"

#include <chrono>
#include <memory>

namespace ringc {

struct NcclOptions {
  /// From the moment at which an exchange could run to the error that a peer is dead, or late: also
  /// bounds how uneven the work of the ranks may be. Of making the communicator, too.
  std::chrono::milliseconds deadline = std::chrono::minutes(10);
};

struct NcclLink;
class NcclAnnouncements;

/// One rank of a world of devices, of this process or of several.
///
/// The communicator does not block: a thread of the transport watches what is under way, and where
/// NCCL reports an error or the deadline passes, it aborts the communicator; then the device is
/// free, the exchange's stream goes on, and `check`, `wait` and the next `post` throw PeerError,
/// which names hop and peer. A rank that is dead, late or aborted leaves its peers waiting, so each
/// finds it within its own deadline. From then on the transport is unusable; another can be made in
/// the same process.
class NcclTransport final : public RemoteTransport {
public:
  /// Called by all ranks of the world, each on a thread of its own, with the same `id`; waits for
  /// them. Throws NcclError when NCCL fails or not all ranks come within the deadline.
  NcclTransport(std::shared_ptr<const NcclLibrary> library,
                std::shared_ptr<const CudaDevice> device, int rank, int world,
                const NcclUniqueId &id, const NcclOptions &options = {});

  /// The user's communicator, of the device, which must outlive the transport. It is not destroyed
  /// here; but where a rank fails it is aborted, and must not be used any more.
  NcclTransport(std::shared_ptr<const NcclLibrary> library,
                std::shared_ptr<const CudaDevice> device, NcclComm theirs,
                const NcclOptions &options = {});
  ~NcclTransport() override;

  int rank() const override;
  int world() const override;
  std::unique_ptr<Transfer> post(const Exchange &exchange) override;
  void abort(std::string_view reason) noexcept override;
  int64_t sentBytes() const override;
  int64_t receivedBytes() const override;

  const std::shared_ptr<const CudaDevice> &device() const override;
  void follow(const CudaStream &stream) override;
  std::vector<std::vector<std::byte>> gather(std::span<const int> ranks,
                                             std::span<const std::byte> own) override;
  std::unique_ptr<Transfer> announce(std::span<const int> ranks, std::span<const std::byte> own,
                                     const void *onDevice) override;
  void check() const override;
  void wait(const CudaStream &stream) override;

private:
  std::shared_ptr<NcclLink> link;
  std::unique_ptr<NcclAnnouncements> announcements;
};

} // namespace ringc
