#include "tests/ring/GuardedTensor.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>
#include <utility>

namespace ringc::test {

GuardedTensor::GuardedTensor(const Tensor &from) {
  size_t page = size_t(sysconf(_SC_PAGESIZE)), bytes = size_t(from.byteCount());
  size_t inner = (bytes + page - 1) / page * page;
  mappedBytes = inner + 2 * page;
  mapping = mmap(nullptr, mappedBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED)
    throw std::bad_alloc();
  std::byte *first = static_cast<std::byte *>(mapping) + page;
  if (inner && mprotect(first, inner, PROT_READ | PROT_WRITE) != 0) {
    munmap(mapping, mappedBytes);
    throw std::bad_alloc();
  }
  tensor = Tensor(first + (inner - bytes), from.dtype(), from.shape());
  copy(from, tensor);
}

GuardedTensor::GuardedTensor(GuardedTensor &&other) noexcept
    : mapping(std::exchange(other.mapping, nullptr)),
      mappedBytes(std::exchange(other.mappedBytes, 0)), tensor(other.tensor) {}

GuardedTensor::~GuardedTensor() {
  if (mapping)
    munmap(mapping, mappedBytes);
}

} // namespace ringc::test
