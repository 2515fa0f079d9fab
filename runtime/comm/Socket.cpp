#include "runtime/comm/Socket.h"

#include "runtime/Error.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
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

Socket Socket::listen(const std::string &address, uint16_t port) {
  Addresses found = resolve(address, port);
  auto bound = [&](const addrinfo &at) -> std::optional<Socket> {
    Socket made(openFor(at));
    int yes = 1;
    if (made.descriptor < 0)
      return std::nullopt;
    setsockopt(made.descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(made.descriptor, at.ai_addr, at.ai_addrlen) != 0 ||
        ::listen(made.descriptor, SOMAXCONN) != 0)
      return std::nullopt;
    return made;
  };
  int problem = 0;
  for (const addrinfo *at = found.get(); at; at = at->ai_next) {
    if (auto made = bound(*at))
      return std::move(*made);
    problem = errno;
  }
  // The name may be that of a gateway in front of this host.
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(port);
  addrinfo everywhere{};
  everywhere.ai_family = AF_INET;
  everywhere.ai_socktype = SOCK_STREAM;
  everywhere.ai_addr = reinterpret_cast<sockaddr *>(&any);
  everywhere.ai_addrlen = sizeof any;
  if (problem == EADDRNOTAVAIL) {
    if (auto made = bound(everywhere))
      return std::move(*made);
    problem = errno;
  }
  throw InputError("MASTER_PORT", std::to_string(port) + " (" + std::strerror(problem) + ")",
                   "a port that nobody uses");
}

std::optional<Socket> Socket::connect(const std::string &address, uint16_t port, Until end) {
  Addresses found = resolve(address, port);
  for (const addrinfo *at = found.get(); at; at = at->ai_next) {
    Socket made(openFor(*at));
    if (made.descriptor < 0)
      continue;
    if (::connect(made.descriptor, at->ai_addr, at->ai_addrlen) == 0)
      return made;
    if (errno != EINPROGRESS || !made.waitFor(POLLOUT, end))
      continue;
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(made.descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
      return made;
  }
  return std::nullopt;
}

std::optional<Socket> Socket::accept(Until end) const {
  for (;;) {
    int came = accept4(descriptor, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (came >= 0)
      return Socket(came);
    if (!waitFor(POLLIN, end))
      return std::nullopt;
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

bool Socket::send(const void *bytes, size_t count, Until end) const {
  auto *from = static_cast<const char *>(bytes);
  while (count > 0) {
    ssize_t moved = ::send(descriptor, from, count, MSG_NOSIGNAL);
    if (moved < 0 && errno != EAGAIN && errno != EINTR)
      return false;
    if (moved < 0 && !waitFor(POLLOUT, end))
      return false;
    size_t over = size_t(std::max<ssize_t>(moved, 0));
    from += over;
    count -= over;
  }
  return true;
}

bool Socket::receive(void *bytes, size_t count, Until end) const {
  auto *to = static_cast<char *>(bytes);
  while (count > 0) {
    ssize_t moved = recv(descriptor, to, count, 0);
    if (moved == 0 || (moved < 0 && errno != EAGAIN && errno != EINTR))
      return false;
    if (moved < 0 && !waitFor(POLLIN, end))
      return false;
    size_t over = size_t(std::max<ssize_t>(moved, 0));
    to += over;
    count -= over;
  }
  return true;
}

} // namespace ringc
