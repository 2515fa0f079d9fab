// What the project declares of CUDA, cuBLASLt and NCCL, against their headers where they are
// installed.
#include "ringc/comm/NcclLibrary.h"
#include "ringc/driver/CublasLtLibrary.h"
#include "ringc/driver/CudaFunctions.h"

#include <doctest/doctest.h>

#include <cstddef>
#include <string_view>
#include <type_traits>

#ifdef RINGC_CUDA_HEADER
#include RINGC_CUDA_HEADER
#endif
#ifdef RINGC_NCCL_HEADER
#include RINGC_NCCL_HEADER
#endif
#ifdef RINGC_CUBLASLT_HEADER
#include RINGC_CUBLASLT_HEADER
#endif

namespace {

/// Passed alike: pointers, numbers and enums of one size and kind, structs of one size; objects of
/// the driver have one tag.
template <typename Ours, typename Theirs> constexpr bool alike() {
  if constexpr (std::is_same_v<Ours, Theirs>)
    return true;
  else if constexpr (std::is_void_v<Ours> || std::is_void_v<Theirs>)
    return false;
  else if constexpr (std::is_pointer_v<Ours> && std::is_pointer_v<Theirs>)
    return alike<std::remove_pointer_t<Ours>, std::remove_pointer_t<Theirs>>();
  else
    return sizeof(Ours) == sizeof(Theirs) && alignof(Ours) == alignof(Theirs) &&
           std::is_pointer_v<Ours> == std::is_pointer_v<Theirs> &&
           std::is_class_v<Ours> == std::is_class_v<Theirs> &&
           std::is_floating_point_v<Ours> == std::is_floating_point_v<Theirs>;
}
// NCCL's configuration grows from version to version.
#ifdef RINGC_NCCL_HEADER
template <> constexpr bool alike<ringc::NcclConfig, ncclConfig_t>() { return true; }
#endif

// Ours says nothing of what is in cuBLASLt's objects.
#ifdef RINGC_CUBLASLT_HEADER
template <> constexpr bool alike<ringc::CublasLtMatmul, cublasLtMatmulDescOpaque_t>() {
  return true;
}
template <> constexpr bool alike<ringc::CublasLtLayout, cublasLtMatrixLayoutOpaque_t>() {
  return true;
}
template <> constexpr bool alike<ringc::CublasLtPreference, cublasLtMatmulPreferenceOpaque_t>() {
  return true;
}
#endif

template <typename Ours, typename Theirs> struct SameAbi;
template <typename R1, typename... A1, typename R2, typename... A2>
struct SameAbi<R1 (*)(A1...), R2 (*)(A2...)> {
  static constexpr bool value = [] {
    if constexpr (sizeof...(A1) != sizeof...(A2))
      return false;
    else
      return alike<R1, R2>() && (alike<A1, A2>() && ...);
  }();
};

} // namespace

using namespace ringc;

#ifdef RINGC_CUDA_HEADER
#define CHECK_CUDA(member, name, symbol, ...)                                                      \
  static_assert(SameAbi<decltype(CudaFunctions::member), decltype(&name)>::value, symbol);
RINGC_CUDA_FUNCTIONS(CHECK_CUDA)
#if CUDA_VERSION >= 12040
RINGC_CUDA_NEWER_FUNCTIONS(CHECK_CUDA)
#endif

#define SPELLED(name) #name
TEST_CASE("symbols of libcuda are the versions that cuda.h names") {
#define CHECK_SYMBOL(member, name, symbol, ...)                                                    \
  if (std::string_view(symbol) != "cuEventElapsedTime")                                            \
    CHECK(std::string_view(symbol) == SPELLED(name));
  RINGC_CUDA_FUNCTIONS(CHECK_SYMBOL)
}

static_assert(sizeof(CudaLaunchConfig) == sizeof(CUlaunchConfig));
static_assert(offsetof(CudaLaunchConfig, blockX) == offsetof(CUlaunchConfig, blockDimX));
static_assert(offsetof(CudaLaunchConfig, sharedBytes) == offsetof(CUlaunchConfig, sharedMemBytes));
static_assert(offsetof(CudaLaunchConfig, stream) == offsetof(CUlaunchConfig, hStream));
static_assert(offsetof(CudaLaunchConfig, attributes) == offsetof(CUlaunchConfig, attrs));
static_assert(offsetof(CudaLaunchConfig, attributeCount) == offsetof(CUlaunchConfig, numAttrs));
static_assert(sizeof(CudaCopy2D) == sizeof(CUDA_MEMCPY2D));
static_assert(offsetof(CudaCopy2D, from.device) == offsetof(CUDA_MEMCPY2D, srcDevice));
static_assert(offsetof(CudaCopy2D, from.pitch) == offsetof(CUDA_MEMCPY2D, srcPitch));
static_assert(offsetof(CudaCopy2D, to.type) == offsetof(CUDA_MEMCPY2D, dstMemoryType));
static_assert(offsetof(CudaCopy2D, to.device) == offsetof(CUDA_MEMCPY2D, dstDevice));
static_assert(offsetof(CudaCopy2D, widthBytes) == offsetof(CUDA_MEMCPY2D, WidthInBytes));
static_assert(unsigned(CudaMemoryType::Device) == CU_MEMORYTYPE_DEVICE);
static_assert(unsigned(CudaCaptureStatus::Active) == CU_STREAM_CAPTURE_STATUS_ACTIVE);
static_assert(unsigned(CudaResult::PeerAccessAlreadyEnabled) ==
              CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED);
static_assert(unsigned(CudaResult::OutOfMemory) == CUDA_ERROR_OUT_OF_MEMORY);
static_assert(unsigned(CudaResult::StubLibrary) == CUDA_ERROR_STUB_LIBRARY);
static_assert(unsigned(CudaResult::NoDevice) == CUDA_ERROR_NO_DEVICE);
static_assert(unsigned(CudaResult::NotReady) == CUDA_ERROR_NOT_READY);
static_assert(unsigned(CudaDeviceAttribute::MultiprocessorCount) ==
              CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
static_assert(unsigned(CudaDeviceAttribute::L2CacheSize) == CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
static_assert(unsigned(CudaDeviceAttribute::ComputeCapabilityMajor) ==
              CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
static_assert(unsigned(CudaDeviceAttribute::ComputeCapabilityMinor) ==
              CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
static_assert(unsigned(CudaDeviceAttribute::MaxSharedMemoryPerBlockOptin) ==
              CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
static_assert(unsigned(CudaLinkAttribute::PerformanceRank) ==
              CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK);
static_assert(unsigned(CudaLinkAttribute::AccessSupported) ==
              CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED);
static_assert(unsigned(CudaLinkAttribute::NativeAtomicSupported) ==
              CU_DEVICE_P2P_ATTRIBUTE_NATIVE_ATOMIC_SUPPORTED);
static_assert(unsigned(CudaFunctionAttribute::LocalSizeBytes) ==
              CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES);
static_assert(unsigned(CudaFunctionAttribute::NumRegs) == CU_FUNC_ATTRIBUTE_NUM_REGS);
static_assert(unsigned(CudaFunctionAttribute::MaxDynamicSharedSizeBytes) ==
              CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
static_assert(unsigned(CudaJitOption::ErrorLogBuffer) == CU_JIT_ERROR_LOG_BUFFER);
static_assert(unsigned(CudaJitOption::ErrorLogBufferSizeBytes) ==
              CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES);
static_assert(unsigned(CudaCaptureMode::ThreadLocal) == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
static_assert(unsigned(CudaCaptureMode::Relaxed) == CU_STREAM_CAPTURE_MODE_RELAXED);
static_assert(cudaStreamNonBlocking == CU_STREAM_NON_BLOCKING);
static_assert(cudaEventDisableTiming == CU_EVENT_DISABLE_TIMING);
#endif

#ifdef RINGC_NCCL_HEADER
#define CHECK_NCCL(member, name, ...)                                                              \
  static_assert(SameAbi<decltype(NcclFunctions::member), decltype(&name)>::value, #name);
RINGC_NCCL_FUNCTIONS(CHECK_NCCL)

static_assert(sizeof(NcclUniqueId) == NCCL_UNIQUE_ID_BYTES);
static_assert(unsigned(NcclResult::InProgress) == ncclInProgress);
static_assert(unsigned(NcclResult::RemoteError) == ncclRemoteError);
static_assert(unsigned(NcclType::Int8) == ncclInt8);
static_assert(sizeof(NcclConfig) <= sizeof(ncclConfig_t));
static_assert(offsetof(NcclConfig, blocking) == offsetof(ncclConfig_t, blocking));
static_assert(offsetof(NcclConfig, netName) == offsetof(ncclConfig_t, netName));
static_assert(offsetof(NcclConfig, splitShare) == offsetof(ncclConfig_t, splitShare));

TEST_CASE("a configuration says what NCCL's own initializer says") {
  ncclConfig_t theirs = NCCL_CONFIG_INITIALIZER;
  NcclConfig ours;
  CHECK(ours.magic == theirs.magic);
  CHECK(ours.blocking == theirs.blocking);
  CHECK(ours.splitShare == theirs.splitShare);
  CHECK(ours.netName == theirs.netName);
}
#endif

#ifdef RINGC_CUBLASLT_HEADER
#define CHECK_CUBLASLT(member, name, ...)                                                          \
  static_assert(SameAbi<decltype(CublasLtFunctions::member), decltype(&name)>::value, #name);
RINGC_CUBLASLT_FUNCTIONS(CHECK_CUBLASLT)

static_assert(sizeof(CublasLtAlgorithm) == sizeof(cublasLtMatmulAlgo_t));
static_assert(sizeof(CublasLtHeuristic) == sizeof(cublasLtMatmulHeuristicResult_t));
static_assert(offsetof(CublasLtHeuristic, state) ==
              offsetof(cublasLtMatmulHeuristicResult_t, state));
static_assert(unsigned(CublasType::F32) == CUDA_R_32F);
static_assert(unsigned(CublasType::F16) == CUDA_R_16F);
static_assert(unsigned(CublasType::BF16) == CUDA_R_16BF);
static_assert(unsigned(CublasCompute::F32) == CUBLAS_COMPUTE_32F);
static_assert(unsigned(CublasCompute::F32Pedantic) == CUBLAS_COMPUTE_32F_PEDANTIC);
static_assert(unsigned(CublasCompute::F32FastTf32) == CUBLAS_COMPUTE_32F_FAST_TF32);
static_assert(unsigned(CublasOperation::None) == CUBLAS_OP_N);
static_assert(unsigned(CublasOperation::Transpose) == CUBLAS_OP_T);
static_assert(unsigned(CublasLtMatmulAttribute::TransposeA) == CUBLASLT_MATMUL_DESC_TRANSA);
static_assert(unsigned(CublasLtMatmulAttribute::TransposeB) == CUBLASLT_MATMUL_DESC_TRANSB);
static_assert(cublasLtReductionInComputeType == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
using enum CublasLtPreferenceAttribute;
static_assert(unsigned(MaxWorkspaceBytes) == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
static_assert(unsigned(ReductionSchemeMask) == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK);
static_assert(unsigned(MinAlignmentA) == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
static_assert(unsigned(MinAlignmentB) == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
static_assert(unsigned(MinAlignmentC) == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
static_assert(unsigned(MinAlignmentD) == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);

TEST_CASE("names of cuBLAS's codes") {
  for (auto [ours, theirs] : {std::pair(CublasStatus::Success, CUBLAS_STATUS_SUCCESS),
                              {CublasStatus::NotInitialized, CUBLAS_STATUS_NOT_INITIALIZED},
                              {CublasStatus::AllocFailed, CUBLAS_STATUS_ALLOC_FAILED},
                              {CublasStatus::InvalidValue, CUBLAS_STATUS_INVALID_VALUE},
                              {CublasStatus::ArchMismatch, CUBLAS_STATUS_ARCH_MISMATCH},
                              {CublasStatus::MappingError, CUBLAS_STATUS_MAPPING_ERROR},
                              {CublasStatus::ExecutionFailed, CUBLAS_STATUS_EXECUTION_FAILED},
                              {CublasStatus::InternalError, CUBLAS_STATUS_INTERNAL_ERROR},
                              {CublasStatus::NotSupported, CUBLAS_STATUS_NOT_SUPPORTED},
                              {CublasStatus::LicenseError, CUBLAS_STATUS_LICENSE_ERROR}})
    CHECK(unsigned(ours) == unsigned(theirs));
}
#endif
