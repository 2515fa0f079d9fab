#include "ringc/files/ByteSource.h"

#include "ringc/support/Error.h"

#include <algorithm>

namespace ringc {

void ByteSource::fail(const std::string &what) const { throw InputError(name() + ": " + what); }

void FileBytes::read(std::span<std::byte> into) {
  file.read(offset, into);
  offset += int64_t(into.size());
}

void MemoryBytes::read(std::span<std::byte> into) {
  if (into.size() > rest.size())
    fail("ends at byte " + std::to_string(all.size()));
  std::ranges::copy(rest.first(into.size()), into.begin());
  rest = rest.subspan(into.size());
}

} // namespace ringc
