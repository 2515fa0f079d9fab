#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace ringc {

using Nonce = std::array<std::byte, 32>; ///< a number that is used once
using Proof = std::array<std::byte, 32>;

/// Random bytes of the system's.
Nonce newNonce();

/// HMAC-SHA256 of a message with the token as its key: who does not know the token cannot make it,
/// and does not learn the token from it. An empty token proves nothing.
Proof proofOf(const std::string &token, std::span<const std::byte> message);

/// In a time that does not tell where they differ.
bool same(const Proof &a, const Proof &b);

} // namespace ringc
