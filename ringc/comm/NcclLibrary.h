#pragma once

#include "ringc/driver/CudaFunctions.h"

#include <array>
#include <climits>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

struct ncclComm;

namespace ringc {

/// The part of NCCL's API (nccl.h) that this project calls, declared here so that neither building
/// nor linking needs NCCL. Names and meaning are nccl.h's; where it exists, a test compares both.
using NcclComm = ncclComm *; ///< ncclComm_t

/// ncclResult_t
enum class NcclResult : unsigned {
  Success = 0,
  UnhandledCudaError = 1,
  SystemError = 2,
  InternalError = 3,
  InvalidArgument = 4,
  InvalidUsage = 5,
  RemoteError = 6,
  InProgress = 7,
};

/// ncclDataType_t; the ring moves bytes, whatever they mean.
enum class NcclType : unsigned { Int8 = 0 };

/// ncclUniqueId: how ranks find each other; one rank makes it and tells the others.
struct NcclUniqueId {
  std::array<char, 128> bytes;
};

/// ncclConfig_t as of NCCL 2.18, which every later one takes: it says its own size and version.
struct NcclConfig {
  static constexpr int undefined = INT_MIN;

  size_t size = sizeof(NcclConfig);
  unsigned magic = 0xcafebeef;
  unsigned version = 21800;
  int blocking = undefined; ///< 0: calls return NcclResult::InProgress rather than wait for peers
  int cgaClusterSize = undefined;
  int minCtas = undefined;
  int maxCtas = undefined;
  const char *netName = nullptr;
  int splitShare = undefined;
};

/// F(member, name in nccl.h, result, parameters...)
#define RINGC_NCCL_FUNCTIONS(F)                                                                    \
  F(getVersion, ncclGetVersion, NcclResult, int *)                                                 \
  F(getErrorString, ncclGetErrorString, const char *, NcclResult)                                  \
  F(getLastError, ncclGetLastError, const char *, NcclComm)                                        \
  F(getUniqueId, ncclGetUniqueId, NcclResult, NcclUniqueId *)                                      \
  F(commInitRank, ncclCommInitRank, NcclResult, NcclComm *, int, NcclUniqueId, int)                \
  F(commInitRankConfig, ncclCommInitRankConfig, NcclResult, NcclComm *, int, NcclUniqueId, int,    \
    NcclConfig *)                                                                                  \
  F(commCount, ncclCommCount, NcclResult, NcclComm, int *)                                         \
  F(commUserRank, ncclCommUserRank, NcclResult, NcclComm, int *)                                   \
  F(commCuDevice, ncclCommCuDevice, NcclResult, NcclComm, int *)                                   \
  F(commFinalize, ncclCommFinalize, NcclResult, NcclComm)                                          \
  F(commDestroy, ncclCommDestroy, NcclResult, NcclComm)                                            \
  F(commAbort, ncclCommAbort, NcclResult, NcclComm)                                                \
  F(commGetAsyncError, ncclCommGetAsyncError, NcclResult, NcclComm, NcclResult *)                  \
  F(groupStart, ncclGroupStart, NcclResult, void)                                                  \
  F(groupEnd, ncclGroupEnd, NcclResult, void)                                                      \
  F(send, ncclSend, NcclResult, const void *, size_t, NcclType, int, NcclComm, CudaStreamHandle)   \
  F(receive, ncclRecv, NcclResult, void *, size_t, NcclType, int, NcclComm, CudaStreamHandle)

struct NcclFunctions {
#define RINGC_NCCL_MEMBER(member, name, result, ...) result (*member)(__VA_ARGS__) = nullptr;
  RINGC_NCCL_FUNCTIONS(RINGC_NCCL_MEMBER)
#undef RINGC_NCCL_MEMBER
};

/// NCCL is missing, or a call of it failed: names call, object and NCCL's own code.
class NcclError : public std::runtime_error {
public:
  explicit NcclError(const std::string &message, NcclResult result = NcclResult::Success)
      : std::runtime_error(message), reported(result) {}

  /// Success where no call failed: the library is missing.
  NcclResult result() const { return reported; }

private:
  NcclResult reported;
};

/// libnccl.so.2, opened while the program runs.
class NcclLibrary {
public:
  /// Opens libnccl.so.2 as the dynamic loader finds it, or the file `library`. Throws NcclError,
  /// which says what is missing, where it was looked for and what to install.
  static std::shared_ptr<const NcclLibrary> open(const std::optional<std::string> &library = {});

  const NcclFunctions &functions() const { return table; }

  /// "2.28.9"
  std::string version() const;
  const std::string &path() const { return file; }

  /// "ncclSend to rank 1: ncclRemoteError: remote process exited (...)"; `what` is the call and its
  /// object.
  NcclError error(NcclResult result, std::string_view what) const;
  /// Throws `error` unless `result` is Success.
  void check(NcclResult result, std::string_view what) const {
    if (result != NcclResult::Success)
      throw error(result, what);
  }

private:
  NcclLibrary() = default;

  NcclFunctions table;
  std::string file;
  int number = 0;
};

/// "ncclSystemError"
std::string nameOf(NcclResult result);

} // namespace ringc
