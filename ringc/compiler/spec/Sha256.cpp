#include "ringc/compiler/spec/Sha256.h"

#include <sys/types.h> // sha2.h relies on it

#include <sha2.h>

namespace ringc {

Sha256Digest sha256(std::string_view bytes) {
  SHA2_CTX context;
  Sha256Digest digest;
  SHA256Init(&context);
  SHA256Update(&context, reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
  SHA256Final(digest.data(), &context);
  return digest;
}

std::string toHex(const Sha256Digest &digest) {
  std::string text;
  for (uint8_t byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

} // namespace ringc
