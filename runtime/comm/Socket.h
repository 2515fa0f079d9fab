#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace ringc {

/// One end of a TCP connection, or where connections come in. Nothing waits beyond a point in time.
class Socket {
public:
  using Until = std::chrono::steady_clock::time_point;

  /// At the address where it is this host's, else at all addresses. Throws InputError for an
  /// address that cannot be resolved, or a port that is taken.
  static Socket listen(const std::string &address, uint16_t port);
  /// Nothing where nobody listens there, or in time. Throws InputError for an address that cannot
  /// be resolved.
  static std::optional<Socket> connect(const std::string &address, uint16_t port, Until end);

  std::optional<Socket> accept(Until end) const;

  /// All of it; false where the connection breaks, or time is over.
  bool send(const void *bytes, size_t count, Until end) const;
  bool receive(void *bytes, size_t count, Until end) const;

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

  int descriptor = -1;
};

} // namespace ringc
