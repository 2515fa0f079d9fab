#pragma once

#include <cassert>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace ringc {

/// Integers at places of a record whose bytes are there.
class LittleEndian {
public:
  explicit LittleEndian(std::string_view record) : bytes(record) {}

  uint16_t u16(size_t at) const { return get<uint16_t>(at); }
  uint32_t u32(size_t at) const { return get<uint32_t>(at); }
  uint64_t u64(size_t at) const { return get<uint64_t>(at); }

private:
  template <typename Integer> Integer get(size_t at) const {
    assert(at + sizeof(Integer) <= bytes.size());
    Integer value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
  }

  std::string_view bytes;
};

} // namespace ringc
