#include "ringc/driver/CudaDriver.h"

#include "ringc/driver/SharedLibrary.h"

#include <array>
#include <cctype>
#include <fstream>
#include <sstream>

namespace ringc {

namespace {

constexpr const char *install =
    "install NVIDIA's driver 525 or later (Debian: nvidia-driver, Ubuntu: nvidia-driver-580; in a "
    "container: start it with --gpus all), or name the file in RINGC_CUDA_LIBRARY";

SharedLibrary openLibrary(const std::optional<std::string> &asked) {
  std::vector<std::string> names = {"libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"};
  if (asked)
    names = {*asked};
  std::string problem;
  if (auto library = SharedLibrary::open(names, problem))
    return *library;
  throw CudaError("no CUDA driver: " + problem + " (looked for " +
                  (asked ? "what RINGC_CUDA_LIBRARY names"
                         : "libcuda.so.1 in LD_LIBRARY_PATH, the loader's folders and "
                           "/usr/lib/wsl/lib") +
                  "); " + install);
}

template <typename Function>
void load(Function &function, const SharedLibrary &library, const char *symbol) {
  function = reinterpret_cast<Function>(library.find(symbol));
}

} // namespace

std::shared_ptr<const CudaDriver> CudaDriver::open(const std::optional<std::string> &library) {
  SharedLibrary opened = openLibrary(library);
  std::shared_ptr<CudaDriver> driver(new CudaDriver);
  CudaFunctions &table = driver->table;
  driver->file = opened.path();
#define RINGC_CUDA_LOAD(member, name, symbol, ...)                                                 \
  load(table.member, opened, symbol);                                                              \
  if (!table.member)                                                                               \
    throw CudaError(opened.path() + " has no " symbol ": an old driver; " + install);
#define RINGC_CUDA_LOAD_NEWER(member, name, symbol, ...) load(table.member, opened, symbol);
  RINGC_CUDA_FUNCTIONS(RINGC_CUDA_LOAD)
  RINGC_CUDA_NEWER_FUNCTIONS(RINGC_CUDA_LOAD_NEWER)
#undef RINGC_CUDA_LOAD
#undef RINGC_CUDA_LOAD_NEWER

  CudaResult result = table.init(0);
  if (result == CudaResult::NoDevice)
    throw CudaError("no CUDA device: " + opened.path() +
                        " sees none; is there an NVIDIA GPU, is its kernel module loaded "
                        "(nvidia-smi), are /dev/nvidia* there, does CUDA_VISIBLE_DEVICES hide it?",
                    result);
  if (result == CudaResult::StubLibrary)
    throw CudaError("no CUDA driver: " + opened.path() + " is a stub for linking; " + install,
                    result);
  driver->check(result, "cuInit", opened.path());
  driver->check(table.driverGetVersion(&driver->version), "cuDriverGetVersion", opened.path());
  return driver;
}

std::string CudaDriver::cudaVersion() const {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

int CudaDriver::deviceCount() const {
  int count = 0;
  check(table.deviceGetCount(&count), "cuDeviceGetCount", file);
  return count;
}

CudaDeviceFacts CudaDriver::facts(int ordinal) const {
  int count = deviceCount();
  if (ordinal < 0 || ordinal >= count)
    throw CudaError(
        "CUDA device: got " + std::to_string(ordinal) + ", allowed: " +
        (count == 0 ? "none, there are no devices" : "0 to " + std::to_string(count - 1)));
  CudaDeviceFacts facts;
  facts.ordinal = ordinal;
  std::string who = "device " + std::to_string(ordinal);
  CudaOrdinal device = 0;
  check(table.deviceGet(&device, ordinal), "cuDeviceGet", who);
  std::array<char, 256> text{};
  check(table.deviceGetName(text.data(), int(text.size()) - 1, device), "cuDeviceGetName", who);
  facts.name = text.data();
  check(table.deviceGetPCIBusId(text.data(), int(text.size()) - 1, device), "cuDeviceGetPCIBusId",
        who);
  facts.pciBusId = text.data();
  size_t bytes = 0;
  check(table.deviceTotalMem(&bytes, device), "cuDeviceTotalMem", who);
  facts.memoryBytes = int64_t(bytes);
  auto attribute = [&](CudaDeviceAttribute asked) {
    int value = 0;
    check(table.deviceGetAttribute(&value, asked, device), "cuDeviceGetAttribute", who);
    return value;
  };
  using enum CudaDeviceAttribute;
  facts.sm = 10 * attribute(ComputeCapabilityMajor) + attribute(ComputeCapabilityMinor);
  facts.multiprocessors = attribute(MultiprocessorCount);
  facts.sharedBytesPerBlock = attribute(MaxSharedMemoryPerBlockOptin);
  facts.l2Bytes = attribute(L2CacheSize);
  return facts;
}

CudaLink CudaDriver::link(int from, int to) const {
  std::string who = "devices " + std::to_string(from) + " and " + std::to_string(to);
  CudaOrdinal here = 0, there = 0;
  check(table.deviceGet(&here, from), "cuDeviceGet", who);
  check(table.deviceGet(&there, to), "cuDeviceGet", who);
  auto attribute = [&](CudaLinkAttribute asked) {
    int value = 0;
    check(table.deviceGetP2PAttribute(&value, asked, here, there), "cuDeviceGetP2PAttribute", who);
    return value;
  };
  return {.peerAccess = attribute(CudaLinkAttribute::AccessSupported) != 0,
          .nativeAtomics = attribute(CudaLinkAttribute::NativeAtomicSupported) != 0,
          .performanceRank = attribute(CudaLinkAttribute::PerformanceRank)};
}

std::string CudaLink::describe() const {
  if (!peerAccess)
    return "no peer access, copies go through the host";
  return std::string("peer access") + (nativeAtomics ? ", native atomics (NVLink)" : "") +
         ", rank " + std::to_string(performanceRank);
}

std::string CudaDeviceFacts::describe() const {
  return "device " + std::to_string(ordinal) + " (" + name + ")";
}

CudaError CudaDriver::error(CudaResult result, std::string_view call,
                            std::string_view object) const {
  const char *name = nullptr, *text = nullptr;
  std::string message = std::string(call) + " of " + std::string(object) + ": ";
  if (table.getErrorName(result, &name) == CudaResult::Success && name)
    message += name;
  else
    message += "CUDA error " + std::to_string(unsigned(result));
  if (table.getErrorString(result, &text) == CudaResult::Success && text)
    message += std::string(": ") + text;
  return CudaError(message, result);
}

std::optional<std::string> nvidiaModuleVersion() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string line, word;
  if (!std::getline(file, line))
    return std::nullopt;
  std::istringstream words(line);
  while (words >> word)
    if (std::isdigit(static_cast<unsigned char>(word[0])) && word.find('.') != word.npos)
      return word;
  return std::nullopt;
}

} // namespace ringc
