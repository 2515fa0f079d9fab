#pragma once

#include "ringc/comm/Transport.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace ringc {

/// Two orders of messages between the same ranks.
enum class MessageTag : uint8_t { Header, Data };

/// Who moves bytes between processes for a CarriedTransport: a message passing that the user has
/// already. Used on the thread that uses the transport, and on no other.
///
/// Messages of one tag from one rank to another arrive in the order in which they were posted, and
/// a receive has as many bytes as its send.
class Carrier {
public:
  virtual ~Carrier() = default;

  using Token = uint64_t;

  /// Starts sends and receives together; does not wait for peers. The memory stays until `wait` has
  /// returned or `cancel` has. What it throws is why the rank fails; then nothing was started.
  virtual Token post(MessageTag tag, std::span<const SendPart> sends,
                     std::span<const ReceivePart> receives) = 0;

  /// Returns when all are over; throws where one cannot be, or is late: then `cancel` comes.
  virtual void wait(Token token) = 0;

  /// Whether nothing touches the memory any more.
  virtual bool cancel(Token token) noexcept = 0;

  /// Tells the other ranks, as far as it can, that this one has failed.
  virtual void abort(std::string_view reason) noexcept = 0;
};

struct CarriedLink;

/// One rank of a world whose messages somebody else carries.
///
/// Both ends of a message first tell each other, in messages of one size, what they take it for,
/// then the bytes follow, from and to memory of the transport's own: so plans that differ are an
/// error on both ends, and no carrier sees a receive that its send does not fit. Bytes move while
/// one waits: `wait` of a transfer posts those of all before it, too, so that ranks may wait in any
/// order. A rank that has failed fails each later post and wait.
class CarriedTransport final : public Transport {
public:
  /// Throws InputError for a rank beyond the world.
  CarriedTransport(std::unique_ptr<Carrier> carrier, int rank, int world);
  ~CarriedTransport() override;

  int rank() const override;
  int world() const override;
  bool movesBesideKernels() const override { return false; }
  std::unique_ptr<Transfer> post(const Exchange &exchange) override;
  void abort(std::string_view reason) noexcept override;
  int64_t sentBytes() const override;
  int64_t receivedBytes() const override;

private:
  std::shared_ptr<CarriedLink> link;
};

} // namespace ringc
