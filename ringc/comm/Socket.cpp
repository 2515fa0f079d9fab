#include "ringc/comm/Socket.h"

#include "ringc/support/Error.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace ringc {

namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Addresses resolve(const std::string &address, uint16_t port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  int error = getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0)
    throw InputError("MASTER_ADDR", address + " (" + gai_strerror(error) + ")",
                     "a host's name or address");
  return {found, &freeaddrinfo};
}

int openFor(const addrinfo &at) {
  return socket(at.ai_family, at.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at.ai_protocol);
}

} // namespace

Socket::~Socket() {
  if (descriptor >= 0)
    close(descriptor);
}

Socket Socket::listen(const std::string &address, uint16_t port, Until end) {
  Addresses found = resolve(address, port);
  int problem = 0;
  auto bound = [&](const addrinfo &at) -> std::optional<Socket> {
    Socket made(openFor(at));
    int yes = 1;
    if (made.descriptor >= 0)
      setsockopt(made.descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (made.descriptor >= 0 && bind(made.descriptor, at.ai_addr, at.ai_addrlen) == 0 &&
        ::listen(made.descriptor, SOMAXCONN) == 0)
      return made;
    problem = errno;
    return std::nullopt;
  };
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(port);
  addrinfo everywhere{};
  everywhere.ai_family = AF_INET;
  everywhere.ai_socktype = SOCK_STREAM;
  everywhere.ai_addr = reinterpret_cast<sockaddr *>(&any);
  everywhere.ai_addrlen = sizeof any;
  for (;;) {
    for (const addrinfo *at = found.get(); at; at = at->ai_next)
      if (auto made = bound(*at))
        return std::move(*made);
    // The name may be that of a gateway in front of this host.
    if (problem == EADDRNOTAVAIL)
      if (auto made = bound(everywhere))
        return std::move(*made);
    if (problem != EADDRINUSE || std::chrono::steady_clock::now() >= end)
      throw InputError("MASTER_PORT", std::to_string(port) + " (" + std::strerror(problem) + ")",
                       "a port that nobody uses");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

std::optional<Socket> Socket::connect(const std::string &address, uint16_t port, Until end) {
  Addresses found = resolve(address, port);
  for (const addrinfo *at = found.get(); at; at = at->ai_next) {
    Socket made(openFor(*at));
    if (made.descriptor < 0)
      continue;
    int error = 0;
    if (::connect(made.descriptor, at->ai_addr, at->ai_addrlen) != 0) {
      socklen_t size = sizeof error;
      if (errno != EINPROGRESS || !made.waitFor(POLLOUT, end) ||
          getsockopt(made.descriptor, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        continue;
    }
    if (error == 0 && !made.isItsOwnPeer())
      return made;
  }
  return std::nullopt;
}

bool Socket::isItsOwnPeer() const {
  sockaddr_storage here{}, there{};
  socklen_t sizeHere = sizeof here, sizeThere = sizeof there;
  return getsockname(descriptor, reinterpret_cast<sockaddr *>(&here), &sizeHere) == 0 &&
         getpeername(descriptor, reinterpret_cast<sockaddr *>(&there), &sizeThere) == 0 &&
         sizeHere == sizeThere && std::memcmp(&here, &there, sizeHere) == 0;
}

uint16_t Socket::port() const {
  sockaddr_storage here{};
  socklen_t size = sizeof here;
  if (getsockname(descriptor, reinterpret_cast<sockaddr *>(&here), &size) != 0)
    return 0;
  return ntohs(here.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6 &>(here).sin6_port
                                          : reinterpret_cast<sockaddr_in &>(here).sin_port);
}

Socket::Guest Socket::accept() const {
  for (;;) {
    int came = accept4(descriptor, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (came >= 0)
      return {Socket(came), 0};
    if (errno != EINTR && errno != ECONNABORTED)
      return {std::nullopt, errno};
  }
}

bool Socket::waitFor(short what, Until end) const {
  for (;;) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    if (left.count() < 0)
      return false;
    pollfd asked{.fd = descriptor, .events = what, .revents = 0};
    int ready = poll(&asked, 1, int(std::min<int64_t>(left.count() + 1, 1000)));
    if (ready > 0)
      return true;
    if (ready < 0 && errno != EINTR)
      return false;
  }
}

std::optional<size_t> Socket::sendSome(std::span<const std::byte> bytes) const {
  ssize_t moved = ::send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (moved >= 0)
    return size_t(moved);
  return errno == EAGAIN || errno == EINTR ? std::optional<size_t>(0) : std::nullopt;
}

std::optional<size_t> Socket::receiveSome(std::span<std::byte> bytes) const {
  ssize_t moved = recv(descriptor, bytes.data(), bytes.size(), 0);
  if (moved > 0)
    return size_t(moved);
  return moved < 0 && (errno == EAGAIN || errno == EINTR) ? std::optional<size_t>(0) : std::nullopt;
}

bool Socket::send(std::span<const std::byte> bytes, Until end) const {
  while (!bytes.empty()) {
    std::optional<size_t> moved = sendSome(bytes);
    if (!moved || (*moved == 0 && !waitFor(POLLOUT, end)))
      return false;
    bytes = bytes.subspan(*moved);
  }
  return true;
}

bool Socket::receive(std::span<std::byte> bytes, Until end) const {
  while (!bytes.empty()) {
    std::optional<size_t> moved = receiveSome(bytes);
    if (!moved || (*moved == 0 && !waitFor(POLLIN, end)))
      return false;
    bytes = bytes.subspan(*moved);
  }
  return true;
}

} // namespace ringc
