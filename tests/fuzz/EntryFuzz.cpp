// A cache entry is a kernel that is written as it was read, or an error: for any bytes, and for any
// header and code under a checksum that is right, which no mutation would find.

#include "ringc/compiler/spec/KernelFile.h"
#include "ringc/compiler/spec/Sha256.h"
#include "ringc/support/Error.h"
#include "tests/fuzz/Require.h"

#include <algorithm>
#include <cstring>

using namespace ringc;
using ringc::fuzz::require;

namespace {

constexpr const char *key = "key";
constexpr size_t sumAt = 32, headerAt = 64;

void decode(const std::string &bytes) {
  try {
    CompiledKernel kernel = decodeKernel(bytes, key);
    std::string again = encodeKernel(kernel, key);
    require(encodeKernel(decodeKernel(again, key), key) == again, "written otherwise than read");
  } catch (const InputError &error) {
    require(*error.what(), "an error without a message");
  }
}

/// The header up to the first zero byte, then the code, in a frame of this version.
std::string framed(std::string_view content) {
  std::string bytes = encodeKernel(CompiledKernel{}, key).substr(0, headerAt);
  size_t headerSize = std::min(content.find('\0'), content.size());
  uint64_t sizes[] = {headerSize, content.size() - headerSize};
  std::memcpy(bytes.data() + 16, sizes, sizeof sizes);
  bytes += content;
  std::string summed = bytes.substr(0, sumAt) + bytes.substr(headerAt);
  auto sum = sha256(summed);
  std::memcpy(bytes.data() + sumAt, sum.data(), headerAt - sumAt);
  return bytes;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string bytes(reinterpret_cast<const char *>(data), size);
  decode(bytes);
  decode(framed(bytes));
  return 0;
}
