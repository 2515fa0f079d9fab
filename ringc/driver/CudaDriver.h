#pragma once

#include "ringc/driver/CudaFunctions.h"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ringc {

/// The driver is missing, or a call of it failed: names call, object, device and the driver's own
/// code.
class CudaError : public std::runtime_error {
public:
  explicit CudaError(const std::string &message, CudaResult result = CudaResult::Success)
      : std::runtime_error(message), reported(result) {}

  /// Success where no call failed: the library is missing.
  CudaResult result() const { return reported; }

private:
  CudaResult reported;
};

/// What the driver says of a device without making a context on it.
struct CudaDeviceFacts {
  int ordinal = 0;
  std::string name;
  std::string pciBusId;
  int sm = 0; ///< compute capability: 90 is 9.0
  int multiprocessors = 0;
  int64_t memoryBytes = 0;
  int64_t sharedBytesPerBlock = 0; ///< that a block may opt in to
  int64_t l2Bytes = 0;

  /// "device 0 (NVIDIA H200)"
  std::string describe() const;
};

/// How one device reaches another.
struct CudaLink {
  bool peerAccess = false;    ///< reads and writes its memory; else copies go through the host
  bool nativeAtomics = false; ///< as over NVLink, and not over most of PCIe
  int performanceRank = 0;    ///< the driver's order of the links of a machine: 0 is the fastest

  /// "peer access, native atomics (NVLink), rank 0"
  std::string describe() const;
};

/// libcuda.so.1, which comes with NVIDIA's driver, opened while the program runs.
class CudaDriver {
public:
  /// Opens libcuda.so.1 as the dynamic loader finds it, or the file `library`, and initialises it.
  /// Throws CudaError, which says what is missing, where it was looked for and what to install.
  static std::shared_ptr<const CudaDriver> open(const std::optional<std::string> &library = {});

  const CudaFunctions &functions() const { return table; }

  /// The newest CUDA that the driver supports, "13.0".
  std::string cudaVersion() const;
  const std::string &path() const { return file; }

  /// Zero or more.
  int deviceCount() const;
  /// Throws CudaError, naming the devices that there are, for an ordinal that is not one.
  CudaDeviceFacts facts(int ordinal) const;
  /// Between two different devices.
  CudaLink link(int from, int to) const;

  /// "cuMemAlloc of X: CUDA_ERROR_OUT_OF_MEMORY: out of memory"
  CudaError error(CudaResult result, std::string_view call, std::string_view object) const;
  /// Throws `error` unless `result` is Success.
  void check(CudaResult result, std::string_view call, std::string_view object) const {
    if (result != CudaResult::Success)
      throw error(result, call, object);
  }

private:
  CudaDriver() = default;

  CudaFunctions table;
  std::string file;
  int version = 0; ///< 1000 * major + 10 * minor
};

/// "580.65.06" of the kernel module, as Linux says; nothing where it does not.
std::optional<std::string> nvidiaModuleVersion();

} // namespace ringc
