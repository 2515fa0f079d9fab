#pragma once

#include <string>
#include <string_view>

namespace ringc {

/// 'text' for a message: what is not printable ASCII is escaped, what is long is cut.
inline std::string quote(std::string_view text) {
  constexpr size_t maxShown = 60;
  constexpr std::string_view digits = "0123456789abcdef";
  std::string result = "'";
  for (char c : text.substr(0, maxShown)) {
    auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f)
      result += c;
    else
      result += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
  }
  return result + (text.size() > maxShown ? "...'" : "'");
}

} // namespace ringc
