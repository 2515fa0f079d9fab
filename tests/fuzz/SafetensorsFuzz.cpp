// Any bytes are a .safetensors file whose first tensor is read, or an error that names the file.

#include "ringc/files/Safetensors.h"
#include "ringc/support/Error.h"
#include "tests/fuzz/MemoryFile.h"

#include <algorithm>
#include <string_view>

using namespace ringc;
using ringc::fuzz::require;

/// The first quoted word behind the length of the header.
static std::string firstName(std::string_view bytes) {
  size_t open = bytes.find('"', std::min<size_t>(8, bytes.size()));
  if (open == bytes.npos)
    return "x";
  return std::string(bytes.substr(open + 1, bytes.find('"', open + 1) - open - 1));
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::MemoryFile file(data, size);
  std::string name = firstName({reinterpret_cast<const char *>(data), size});
  try {
    HostTensor tensor = readSafetensors(file.path(), name);
    require(tensor.byteCount() <= int64_t(size) * 8, "more data than the file has");
  } catch (const InputError &error) {
    require(std::string(error.what()).starts_with(file.path()), error.what());
  }
  return 0;
}
