#pragma once

#include "ringc/comm/MpiSession.h"
#include "ringc/comm/Transport.h"

#include <mpi.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>

namespace ringc {

struct MpiOptions {
  /// From the start of a wait to its error, when a peer is dead, or late: also bounds how uneven
  /// the work of the ranks may be.
  std::chrono::milliseconds deadline = std::chrono::minutes(10);

  /// Longer messages are cut into pieces: MPI counts in int. At most 2^30.
  int64_t pieceBytes = int64_t(1) << 30;
};

struct MpiLink;

/// One rank of a world of processes.
///
/// Both ends of a message tell each other what they take it for, on tags of their own, in the order
/// in which they post; so plans that differ are an error on both ends, and a send ends only when
/// its receive is posted. The bytes go straight from and to the caller's memory, on tags of their
/// channel and the parity of their hop. Waits poll, and sleep between, so that ranks may be more
/// than cores; what MPI moves only while it is called moves during waits.
///
/// A rank that fails tells all others, whose next wait or post fails. From then on the transport is
/// unusable: each post throws PeerError and says since when. A rank that is dead is found by the
/// deadline, and by `mpirun`, which ends all the others unless given --enable-recovery. MPI cannot
/// take back what it has begun: memory of transfers that failed must not be reused by a program
/// that goes on to call MPI.
class MpiTransport final : public Transport {
public:
  /// Called by all ranks of `communicator`, which is duplicated; errors on the duplicate come back
  /// as exceptions. `session` must outlive it. Throws InputError for options that cannot be, and
  /// MpiError when not all ranks come within the deadline.
  explicit MpiTransport(const MpiSession &session, MPI_Comm communicator = MPI_COMM_WORLD,
                        const MpiOptions &options = {});
  ~MpiTransport() override;

  int rank() const override;
  int world() const override;
  std::unique_ptr<Transfer> post(const Exchange &exchange) override;
  void abort(std::string_view reason) noexcept override;
  int64_t sentBytes() const override;
  int64_t receivedBytes() const override;

private:
  std::shared_ptr<MpiLink> link;
};

} // namespace ringc
