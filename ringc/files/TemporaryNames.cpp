#include "ringc/files/TemporaryNames.h"

#include <atomic>
#include <climits>
#include <csignal>
#include <cstring>
#include <unistd.h>
#include <utility>

namespace ringc {

namespace {

enum SlotState : int { Free, Changing, Set };

struct Slot {
  std::atomic<int> state = Free;
  char path[PATH_MAX];
};

static_assert(std::atomic<int>::is_always_lock_free, "signal handlers may not wait");
Slot slots[maxTemporaryNames];

void removeAndEnd(int signal) {
  for (Slot &slot : slots)
    if (slot.state.load() == Set)
      unlink(slot.path);
  std::signal(signal, SIG_DFL);
  std::raise(signal); // delivered when this handler returns
}

} // namespace

TemporaryName::TemporaryName(const std::string &path) {
  if (path.size() >= PATH_MAX)
    return; // no such file can be made
  for (int index = 0; index < maxTemporaryNames; ++index) {
    int expected = Free;
    if (!slots[index].state.compare_exchange_strong(expected, Changing))
      continue;
    std::memcpy(slots[index].path, path.c_str(), path.size() + 1);
    slots[index].state.store(Set);
    slot = index;
    return;
  }
}

TemporaryName::TemporaryName(TemporaryName &&other) noexcept
    : slot(std::exchange(other.slot, -1)) {}

TemporaryName::~TemporaryName() {
  if (slot >= 0)
    slots[slot].state.store(Free);
}

void removeTemporaryFilesOnSignals() {
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction old, action = {};
    if (sigaction(signal, nullptr, &old) != 0 || old.sa_handler == SIG_IGN)
      continue;
    action.sa_handler = removeAndEnd;
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, nullptr);
  }
}

} // namespace ringc
