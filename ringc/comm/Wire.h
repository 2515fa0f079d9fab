#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringc {

/// Bytes of a message between processes: numbers have a fixed width, the least significant byte
/// first.
class WireWriter {
public:
  template <std::unsigned_integral Number> WireWriter &number(Number value) {
    for (size_t i = 0; i < sizeof value; ++i)
      written.push_back(std::byte(value >> (8 * i)));
    return *this;
  }
  WireWriter &bytes(std::span<const std::byte> more) {
    written.insert(written.end(), more.begin(), more.end());
    return *this;
  }
  /// Padded with zeros, or cut.
  WireWriter &text(std::string_view value, size_t width) {
    std::string padded(value.substr(0, width));
    padded.resize(width);
    return bytes(std::as_bytes(std::span(padded)));
  }

  const std::vector<std::byte> &result() const { return written; }

private:
  std::vector<std::byte> written;
};

/// Reads what a WireWriter wrote; what lies beyond the end is zero.
class WireReader {
public:
  explicit WireReader(std::span<const std::byte> bytes) : left(bytes) {}

  template <std::unsigned_integral Number> Number number() {
    Number value = 0;
    std::span<const std::byte> from = bytes(sizeof value);
    for (size_t i = 0; i < from.size(); ++i)
      value = Number(value | Number(from[i]) << (8 * i));
    return value;
  }
  std::span<const std::byte> bytes(size_t count) {
    std::span<const std::byte> taken = left.first(std::min(count, left.size()));
    left = left.subspan(taken.size());
    return taken;
  }
  /// Without the zeros at its end.
  std::string text(size_t width) {
    std::span<const std::byte> from = bytes(width);
    std::string value(reinterpret_cast<const char *>(from.data()), from.size());
    value.resize(std::min(value.size(), value.find_last_not_of('\0') + 1));
    return value;
  }

private:
  std::span<const std::byte> left;
};

} // namespace ringc
