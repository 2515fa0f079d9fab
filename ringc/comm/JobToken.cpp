#include "ringc/comm/JobToken.h"

#include "ringc/compiler/spec/Sha256.h"

#include <algorithm>
#include <system_error>
#include <unistd.h>

namespace ringc {

Nonce newNonce() {
  Nonce made;
  if (getentropy(made.data(), made.size()) != 0)
    throw std::system_error(errno, std::generic_category(), "getentropy");
  return made;
}

/// RFC 2104.
Proof proofOf(const std::string &token, std::span<const std::byte> message) {
  constexpr size_t block = 64;
  auto textOf = [](const Sha256Digest &digest) {
    return std::string(digest.begin(), digest.end());
  };
  std::string key = token.size() > block ? textOf(sha256(token)) : token;
  key.resize(block);
  auto padded = [&](char with) {
    std::string pad = key;
    std::ranges::for_each(pad, [&](char &each) { each = char(each ^ with); });
    return pad;
  };
  std::string text(reinterpret_cast<const char *>(message.data()), message.size());
  Sha256Digest made = sha256(padded(0x5c) + textOf(sha256(padded(0x36) + text)));
  Proof proof;
  std::ranges::transform(made, proof.begin(), [](uint8_t each) { return std::byte(each); });
  return proof;
}

bool same(const Proof &a, const Proof &b) {
  std::byte different{};
  for (size_t i = 0; i < a.size(); ++i)
    different |= a[i] ^ b[i];
  return different == std::byte{};
}

} // namespace ringc
