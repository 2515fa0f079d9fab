#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ringc {

/// What an exchange moves.
enum class Channel : uint8_t { Keys, Gradients, Results, Plans };

/// "keys", "gradients", "results", "plans"
std::string_view nameOf(Channel channel);

struct SendPart {
  int peer;
  std::span<const std::byte> bytes;
};

struct ReceivePart {
  int peer;
  std::span<std::byte> bytes;
};

/// What a peer sends, to be read where it lies there.
struct BorrowPart {
  int peer;
  size_t bytes;
};

/// Sends and receives that are posted together, as NCCL's groups and MPI's Isend and Irecv are.
///
/// Messages between two ranks are matched in the order in which they are posted, and carry their
/// hop and channel, so that a plan that does not fit another's is an error and not wrong data.
struct Exchange {
  int hop = 0;
  Channel channel = Channel::Keys;
  std::vector<SendPart> sends;
  std::vector<ReceivePart> receives;
  std::vector<BorrowPart> borrows = {}; ///< where `Transport::lends`

  bool empty() const { return sends.empty() && receives.empty() && borrows.empty(); }
};

/// A peer is dead, late, or did not do what the plan says. Names the hop and the peer.
class PeerError : public std::runtime_error {
public:
  PeerError(int rank, int peer, int hop, Channel channel, std::string_view what);

  int peer() const { return peerRank; }
  int hop() const { return hopNumber; }

private:
  int peerRank, hopNumber;
};

/// An exchange under way. Until `wait` returns, what is sent must not be written and what is
/// received not be read. Destroying one that was not waited for withdraws it: afterwards nothing
/// touches its memory.
class Transfer {
public:
  virtual ~Transfer() = default;

  /// Where the parts that it borrows lie, in their order: returns when all peers have posted them,
  /// and throws as `wait` does. They stay until `wait` is called, or the transfer destroyed.
  virtual std::vector<std::span<const std::byte>> borrowed() { return {}; }

  /// Returns when all parts are over: what was sent to a rank that borrows it, when that gives it
  /// back, which this does too. Throws PeerError when a peer fails or the deadline passes;
  /// then all ranks of the world fail.
  virtual void wait() = 0;
};

/// The seam to whatever moves bytes. One object for each rank, used by one thread at a time.
/// Transports: InProcess, Mpi.
class Transport {
public:
  virtual ~Transport() = default;

  virtual int rank() const = 0;
  virtual int world() const = 0;

  /// Whether bytes move while kernels run and leave them their processors: then what is posted
  /// before a kernel costs nothing.
  virtual bool movesBesideKernels() const { return true; }

  /// Whether exchanges may borrow: ranks can read each other's memory.
  virtual bool lends() const { return false; }

  /// Does not block on peers. The memory must live until the transfer is waited for or destroyed.
  virtual std::unique_ptr<Transfer> post(const Exchange &exchange) = 0;

  /// Makes every rank's pending and later waits fail, naming this rank and the reason.
  virtual void abort(std::string_view reason) noexcept = 0;

  /// Bytes of all exchanges posted and waited for, respectively.
  virtual int64_t sentBytes() const = 0;
  virtual int64_t receivedBytes() const = 0;
};

} // namespace ringc
