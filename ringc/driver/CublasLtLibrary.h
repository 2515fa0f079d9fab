#pragma once

#include "ringc/driver/CudaFunctions.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

struct cublasLtContext;

namespace ringc {

/// The part of cuBLASLt's API (cublasLt.h) that this project calls, declared here so that neither
/// building nor linking needs it. Names and meaning are cublasLt.h's; where it exists, a test
/// compares both.
using CublasLtHandle = cublasLtContext *; ///< cublasLtHandle_t

// The library's own objects, whose size is its business.
struct CublasLtMatmul;
struct CublasLtLayout;
struct CublasLtPreference;
using CublasLtMatmulDesc = CublasLtMatmul *;           ///< cublasLtMatmulDesc_t
using CublasLtMatrixLayout = CublasLtLayout *;         ///< cublasLtMatrixLayout_t
using CublasLtMatmulPreference = CublasLtPreference *; ///< cublasLtMatmulPreference_t

/// cublasStatus_t
enum class CublasStatus : unsigned {
  Success = 0,
  NotInitialized = 1,
  AllocFailed = 3,
  InvalidValue = 7,
  ArchMismatch = 8,
  MappingError = 11,
  ExecutionFailed = 13,
  InternalError = 14,
  NotSupported = 15,
  LicenseError = 16,
};

/// cudaDataType_t
enum class CublasType : unsigned { F32 = 0, F16 = 2, BF16 = 14 };

/// cublasComputeType_t. Pedantic: f32 in all phases, whatever the environment allows.
enum class CublasCompute : unsigned { F32 = 68, F32Pedantic = 69, F32FastTf32 = 77 };

/// cublasOperation_t
enum class CublasOperation : int32_t { None = 0, Transpose = 1 };

/// cublasLtMatmulDescAttributes_t
enum class CublasLtMatmulAttribute : unsigned { TransposeA = 3, TransposeB = 4 };

/// cublasLtMatmulPreferenceAttributes_t; alignments are uint32_t.
enum class CublasLtPreferenceAttribute : unsigned {
  MaxWorkspaceBytes = 1,   ///< uint64_t
  ReductionSchemeMask = 3, ///< uint32_t
  MinAlignmentA = 5,
  MinAlignmentB = 6,
  MinAlignmentC = 7,
  MinAlignmentD = 8,
};

/// CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE: parts of a split k are added up in f32, in the
/// workspace.
inline constexpr uint32_t cublasLtReductionInComputeType = 2;

/// cublasLtMatmulAlgo_t
struct CublasLtAlgorithm {
  std::array<uint64_t, 8> data;
};

/// cublasLtMatmulHeuristicResult_t
struct CublasLtHeuristic {
  CublasLtAlgorithm algorithm;
  size_t workspaceBytes;
  CublasStatus state;
  float waves;
  std::array<int, 4> reserved;
};

/// F(member, name in cublasLt.h, result, parameters...)
#define RINGC_CUBLASLT_FUNCTIONS(F)                                                                \
  F(getVersion, cublasLtGetVersion, size_t, void)                                                  \
  F(create, cublasLtCreate, CublasStatus, CublasLtHandle *)                                        \
  F(destroy, cublasLtDestroy, CublasStatus, CublasLtHandle)                                        \
  F(matmulDescCreate, cublasLtMatmulDescCreate, CublasStatus, CublasLtMatmulDesc *, CublasCompute, \
    CublasType)                                                                                    \
  F(matmulDescDestroy, cublasLtMatmulDescDestroy, CublasStatus, CublasLtMatmulDesc)                \
  F(matmulDescSet, cublasLtMatmulDescSetAttribute, CublasStatus, CublasLtMatmulDesc,               \
    CublasLtMatmulAttribute, const void *, size_t)                                                 \
  F(layoutCreate, cublasLtMatrixLayoutCreate, CublasStatus, CublasLtMatrixLayout *, CublasType,    \
    uint64_t, uint64_t, int64_t)                                                                   \
  F(layoutDestroy, cublasLtMatrixLayoutDestroy, CublasStatus, CublasLtMatrixLayout)                \
  F(preferenceCreate, cublasLtMatmulPreferenceCreate, CublasStatus, CublasLtMatmulPreference *)    \
  F(preferenceDestroy, cublasLtMatmulPreferenceDestroy, CublasStatus, CublasLtMatmulPreference)    \
  F(preferenceSet, cublasLtMatmulPreferenceSetAttribute, CublasStatus, CublasLtMatmulPreference,   \
    CublasLtPreferenceAttribute, const void *, size_t)                                             \
  F(heuristic, cublasLtMatmulAlgoGetHeuristic, CublasStatus, CublasLtHandle, CublasLtMatmulDesc,   \
    CublasLtMatrixLayout, CublasLtMatrixLayout, CublasLtMatrixLayout, CublasLtMatrixLayout,        \
    CublasLtMatmulPreference, int, CublasLtHeuristic *, int *)                                     \
  F(matmul, cublasLtMatmul, CublasStatus, CublasLtHandle, CublasLtMatmulDesc, const void *,        \
    const void *, CublasLtMatrixLayout, const void *, CublasLtMatrixLayout, const void *,          \
    const void *, CublasLtMatrixLayout, void *, CublasLtMatrixLayout, const CublasLtAlgorithm *,   \
    void *, size_t, CudaStreamHandle)

struct CublasLtFunctions {
#define RINGC_CUBLASLT_MEMBER(member, name, result, ...) result (*member)(__VA_ARGS__) = nullptr;
  RINGC_CUBLASLT_FUNCTIONS(RINGC_CUBLASLT_MEMBER)
#undef RINGC_CUBLASLT_MEMBER
};

/// cuBLASLt is missing, or a call of it failed: names call, object and cuBLAS's own code.
class CublasError : public std::runtime_error {
public:
  explicit CublasError(const std::string &message, CublasStatus status = CublasStatus::Success)
      : std::runtime_error(message), reported(status) {}

  /// Success where no call failed: the library is missing.
  CublasStatus status() const { return reported; }

private:
  CublasStatus reported;
};

/// libcublasLt.so, opened while the program runs.
class CublasLtLibrary {
public:
  /// Opens libcublasLt.so.13, .12 or .11, the first that the dynamic loader finds, or the file
  /// `library`. Throws CublasError, which says what is missing, where it was looked for and what to
  /// install.
  static std::shared_ptr<const CublasLtLibrary>
  open(const std::optional<std::string> &library = {});

  const CublasLtFunctions &functions() const { return table; }

  /// "12.9.1"
  std::string version() const;
  const std::string &path() const { return file; }

  /// Throws "cublasLtMatmul of f32[3, 4] ...: CUBLAS_STATUS_EXECUTION_FAILED" unless `status` is
  /// Success; `what` is the call and its object.
  void check(CublasStatus status, std::string_view what) const;

private:
  CublasLtLibrary() = default;

  CublasLtFunctions table;
  std::string file;
};

/// "CUBLAS_STATUS_NOT_SUPPORTED"
std::string nameOf(CublasStatus status);

} // namespace ringc
