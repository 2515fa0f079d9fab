#include "ringc/comm/NcclLibrary.h"

#include "ringc/driver/SharedLibrary.h"

#include <vector>

namespace ringc {

namespace {

constexpr const char *install =
    "install NCCL 2.18 or later (Debian, Ubuntu: libnccl2 from NVIDIA's repository; pip: "
    "nvidia-nccl-cu12 or -cu13), or name the file in RINGC_NCCL_LIBRARY";

template <typename Function>
void load(Function &function, const SharedLibrary &library, const char *symbol) {
  function = reinterpret_cast<Function>(library.find(symbol));
  if (!function)
    throw NcclError(library.path() + " has no " + symbol + ": an old NCCL; " + install);
}

} // namespace

std::shared_ptr<const NcclLibrary> NcclLibrary::open(const std::optional<std::string> &asked) {
  std::vector<std::string> names = {asked.value_or("libnccl.so.2")};
  std::string problem;
  auto opened = SharedLibrary::open(names, problem);
  if (!opened)
    throw NcclError("no NCCL: " + problem + " (looked for " +
                    (asked ? "what RINGC_NCCL_LIBRARY names"
                           : "libnccl.so.2 in LD_LIBRARY_PATH and the loader's folders") +
                    "); " + install);
  std::shared_ptr<NcclLibrary> library(new NcclLibrary);
  library->file = opened->path();
#define RINGC_NCCL_LOAD(member, name, ...) load(library->table.member, *opened, #name);
  RINGC_NCCL_FUNCTIONS(RINGC_NCCL_LOAD)
#undef RINGC_NCCL_LOAD
  library->check(library->table.getVersion(&library->number), "ncclGetVersion");
  return library;
}

std::string NcclLibrary::version() const {
  // nccl.h, NCCL_VERSION: X.Y.Z is XYYZZ since 2.9, XYZZ before.
  int major = number / (number < 10000 ? 1000 : 10000);
  int minor = number % (number < 10000 ? 1000 : 10000) / 100;
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(number % 100);
}

NcclError NcclLibrary::error(NcclResult result, std::string_view what) const {
  std::string message = std::string(what) + ": " + nameOf(result);
  if (const char *text = table.getErrorString(result))
    message += std::string(": ") + text;
  if (const char *last = table.getLastError(nullptr); last && *last)
    message += std::string(" (") + last + ")";
  return NcclError(message, result);
}

std::string nameOf(NcclResult result) {
  switch (result) {
  case NcclResult::Success:
    return "ncclSuccess";
  case NcclResult::UnhandledCudaError:
    return "ncclUnhandledCudaError";
  case NcclResult::SystemError:
    return "ncclSystemError";
  case NcclResult::InternalError:
    return "ncclInternalError";
  case NcclResult::InvalidArgument:
    return "ncclInvalidArgument";
  case NcclResult::InvalidUsage:
    return "ncclInvalidUsage";
  case NcclResult::RemoteError:
    return "ncclRemoteError";
  case NcclResult::InProgress:
    return "ncclInProgress";
  }
  return "NCCL error " + std::to_string(unsigned(result));
}

} // namespace ringc
