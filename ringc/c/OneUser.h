#pragma once

#include "ringc/c/Status.h"

#include <atomic>
#include <string_view>

namespace ringc::c {

/// What one call at a time uses: a second one is told so, and neither waits nor goes on.
class OneUser {
public:
  explicit OneUser(const char *handle) : name(handle) {}

  /// For as long as it lives. Throws BusyError.
  class Hold {
  public:
    explicit Hold(OneUser &held) : user(held) {
      if (user.taken.exchange(true, std::memory_order_acquire))
        throw BusyError(user.name);
    }
    ~Hold() { user.taken.store(false, std::memory_order_release); }
    Hold(const Hold &) = delete;
    Hold &operator=(const Hold &) = delete;

  private:
    OneUser &user;
  };

private:
  const char *name;
  std::atomic<bool> taken = false;
};

} // namespace ringc::c
