// Any bytes are a .npy file that is read, and once written reads the same, or an error that names
// the file.

#include "ringc/files/Npy.h"
#include "ringc/files/TensorFile.h"
#include "ringc/support/Error.h"
#include "tests/fuzz/MemoryFile.h"

#include <cstring>

using namespace ringc;
using ringc::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::MemoryFile file(data, size);
  try {
    HostTensor tensor = readNpy(file.path());
    require(tensor.byteCount() <= int64_t(size) * 8, "more data than the file has");
  } catch (const InputError &error) {
    require(std::string(error.what()).starts_with(file.path()), error.what());
  }
  return 0;
}
