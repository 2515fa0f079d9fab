#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace ringc {

/// One end of a TCP connection, or where connections come in. Nothing waits beyond a point in time.
class Socket {
public:
  using Until = std::chrono::steady_clock::time_point;

  /// At the address where it is this host's, else at all addresses. Tries again until `end` where
  /// the port is taken: by one who is about to leave it, it may be. Throws InputError for an
  /// address that cannot be resolved, or a port that stays taken.
  static Socket listen(const std::string &address, uint16_t port, Until end);
  /// Nothing where nobody listens there, or in time; nor where the system connects a socket to
  /// itself, as it may do with a port of its own choice where nobody listens. Throws InputError for
  /// an address that cannot be resolved.
  static std::optional<Socket> connect(const std::string &address, uint16_t port, Until end);

  /// Of those who wait at the door the first; nothing, and why as errno has it, where nobody does
  /// (EAGAIN), or the system lets nobody in (EMFILE and the like).
  struct Guest;
  Guest accept() const;

  /// All of it; false where the connection breaks, or time is over.
  bool send(std::span<const std::byte> bytes, Until end) const;
  bool receive(std::span<std::byte> bytes, Until end) const;

  /// What can be moved at once, or nothing where the connection is broken.
  std::optional<size_t> sendSome(std::span<const std::byte> bytes) const;
  std::optional<size_t> receiveSome(std::span<std::byte> bytes) const;

  int handle() const { return descriptor; }
  uint16_t port() const; ///< on this side

  Socket(Socket &&other) noexcept : descriptor(std::exchange(other.descriptor, -1)) {}
  Socket &operator=(Socket &&other) noexcept {
    std::swap(descriptor, other.descriptor);
    return *this;
  }
  ~Socket();

private:
  explicit Socket(int opened) : descriptor(opened) {}
  /// Whether it is ready for reading, or for writing, in time.
  bool waitFor(short what, Until end) const;
  bool isItsOwnPeer() const;

  int descriptor = -1;
};

struct Socket::Guest {
  std::optional<Socket> socket;
  int error = 0;
};

} // namespace ringc
