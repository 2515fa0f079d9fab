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

/// Memory of this rank that a peer borrows to add to.
struct LoanPart {
  int peer;
  std::span<std::byte> bytes;
};

/// Memory of a peer, used where it lies there.
struct BorrowPart {
  enum class Use : uint8_t {
    Read, ///< what the peer sends
    Add,  ///< what the peer lends to be added to
  };

  int peer;
  size_t bytes;
  Use use = Use::Read;
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
  std::vector<LoanPart> loans = {};     ///< where `Transport::lends`
  std::vector<BorrowPart> borrows = {}; ///< likewise

  bool empty() const {
    return sends.empty() && receives.empty() && loans.empty() && borrows.empty();
  }
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
  /// and throws as `wait` does. They stay until they are given back, and are to be written only if
  /// borrowed for it.
  virtual std::vector<std::span<std::byte>> borrowed() { return {}; }

  /// Gives back what it borrows, as `wait` and the destructor do otherwise.
  virtual void giveBack() {}

  /// Returns when all parts are over: what another rank borrows, when that gives it back. Throws
  /// PeerError when a peer fails or the deadline passes; then all ranks of the world fail.
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

  /// Whether exchanges may lend and borrow: ranks can reach each other's memory.
  virtual bool lends() const { return false; }

  /// Whether the calls of its ranks are compared: not where one caller gives all of them the same.
  virtual bool comparesCalls() const { return true; }

  /// Does not block on peers. The memory must live until the transfer is waited for or destroyed.
  virtual std::unique_ptr<Transfer> post(const Exchange &exchange) = 0;

  /// Makes every rank's pending and later waits fail, naming this rank and the reason.
  virtual void abort(std::string_view reason) noexcept = 0;

  /// Bytes of all exchanges that were waited for. What is lent to be added to counts as received,
  /// and where it was added as sent.
  virtual int64_t sentBytes() const = 0;
  virtual int64_t receivedBytes() const = 0;
};

} // namespace ringc
