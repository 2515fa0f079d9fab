#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

namespace ringc::testing {

/// Memory whose last byte is the last of a page, with unmapped pages on both sides: an access
/// beyond it ends the process. Filled with 0xff: NaN as f32, f16 and bf16.
class GuardedMemory {
public:
  GuardedMemory() = default;
  explicit GuardedMemory(size_t bytes) : size(bytes) {
    size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    size_t inner = (bytes + page - 1) / page * page;
    mapped = inner + 2 * page;
    mapping = mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED ||
        (inner && mprotect(static_cast<char *>(mapping) + page, inner, PROT_READ | PROT_WRITE)))
      throw std::bad_alloc();
    start = static_cast<std::byte *>(mapping) + page + (inner - bytes);
    poison();
  }
  ~GuardedMemory() {
    if (mapping)
      munmap(mapping, mapped);
  }
  GuardedMemory(GuardedMemory &&other) noexcept { swap(other); }
  GuardedMemory &operator=(GuardedMemory &&other) noexcept {
    swap(other);
    return *this;
  }

  std::byte *data() const { return start; }
  size_t bytes() const { return size; }
  void poison() {
    if (size)
      std::memset(start, 0xff, size);
  }

private:
  void swap(GuardedMemory &other) noexcept {
    std::swap(mapping, other.mapping);
    std::swap(mapped, other.mapped);
    std::swap(start, other.start);
    std::swap(size, other.size);
  }

  void *mapping = nullptr;
  size_t mapped = 0, size = 0;
  std::byte *start = nullptr;
};

} // namespace ringc::testing
