#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace ringc {

using Sha256Digest = std::array<uint8_t, 32>;

Sha256Digest sha256(std::string_view bytes);

/// 64 hexadecimal digits.
std::string toHex(const Sha256Digest &digest);

} // namespace ringc
