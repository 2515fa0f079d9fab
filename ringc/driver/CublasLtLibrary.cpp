#include "ringc/driver/CublasLtLibrary.h"

#include "ringc/driver/SharedLibrary.h"

#include <vector>

namespace ringc {

namespace {

constexpr const char *install =
    "install cuBLAS 11.4 or later (Debian, Ubuntu: libcublas-12-x or -13-x from NVIDIA's "
    "repository; pip: nvidia-cublas-cu12 or nvidia-cublas), or name the file in "
    "RINGC_CUBLASLT_LIBRARY";

template <typename Function>
void load(Function &function, const SharedLibrary &library, const char *symbol) {
  function = reinterpret_cast<Function>(library.find(symbol));
  if (!function)
    throw CublasError(library.path() + " has no " + symbol + ": an old cuBLAS; " + install);
}

} // namespace

std::shared_ptr<const CublasLtLibrary>
CublasLtLibrary::open(const std::optional<std::string> &asked) {
  std::vector<std::string> names = {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11",
                                    "libcublasLt.so"};
  if (asked)
    names = {*asked};
  std::string problem;
  auto opened = SharedLibrary::open(names, problem);
  if (!opened)
    throw CublasError("no cuBLASLt: " + problem + " (looked for " +
                      (asked ? "what RINGC_CUBLASLT_LIBRARY names"
                             : "libcublasLt.so in LD_LIBRARY_PATH and the loader's folders") +
                      "); " + install);
  std::shared_ptr<CublasLtLibrary> library(new CublasLtLibrary);
  library->file = opened->path();
#define RINGC_CUBLASLT_LOAD(member, name, ...) load(library->table.member, *opened, #name);
  RINGC_CUBLASLT_FUNCTIONS(RINGC_CUBLASLT_LOAD)
#undef RINGC_CUBLASLT_LOAD
  return library;
}

std::string CublasLtLibrary::version() const {
  // cublas_api.h, CUBLAS_VERSION: X.Y.Z is XYYZZ.
  size_t number = table.getVersion();
  return std::to_string(number / 10000) + "." + std::to_string(number % 10000 / 100) + "." +
         std::to_string(number % 100);
}

void CublasLtLibrary::check(CublasStatus status, std::string_view what) const {
  if (status != CublasStatus::Success)
    throw CublasError(std::string(what) + ": " + nameOf(status), status);
}

std::string nameOf(CublasStatus status) {
  switch (status) {
  case CublasStatus::Success:
    return "CUBLAS_STATUS_SUCCESS";
  case CublasStatus::NotInitialized:
    return "CUBLAS_STATUS_NOT_INITIALIZED";
  case CublasStatus::AllocFailed:
    return "CUBLAS_STATUS_ALLOC_FAILED";
  case CublasStatus::InvalidValue:
    return "CUBLAS_STATUS_INVALID_VALUE";
  case CublasStatus::ArchMismatch:
    return "CUBLAS_STATUS_ARCH_MISMATCH";
  case CublasStatus::MappingError:
    return "CUBLAS_STATUS_MAPPING_ERROR";
  case CublasStatus::ExecutionFailed:
    return "CUBLAS_STATUS_EXECUTION_FAILED";
  case CublasStatus::InternalError:
    return "CUBLAS_STATUS_INTERNAL_ERROR";
  case CublasStatus::NotSupported:
    return "CUBLAS_STATUS_NOT_SUPPORTED";
  case CublasStatus::LicenseError:
    return "CUBLAS_STATUS_LICENSE_ERROR";
  }
  return "cuBLAS status " + std::to_string(unsigned(status));
}

} // namespace ringc
