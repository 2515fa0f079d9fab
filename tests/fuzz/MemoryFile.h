#pragma once

#include "tests/fuzz/Require.h"

#include <cstddef>
#include <cstdint>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

namespace ringc::fuzz {

/// A regular file that holds these bytes and lies on no disk.
class MemoryFile {
public:
  MemoryFile(const uint8_t *data, size_t size) : descriptor(memfd_create("fuzz", 0)) {
    require(descriptor >= 0 && write(descriptor, data, size) == ssize_t(size), "no memory file");
  }
  ~MemoryFile() { close(descriptor); }
  MemoryFile(MemoryFile &&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor); }

private:
  int descriptor;
};

} // namespace ringc::fuzz
