#pragma once

#include <cstddef>
#include <cstdint>

// The driver's own tags, so that a program that has cuda.h too may mix both.
struct CUctx_st;
struct CUmod_st;
struct CUfunc_st;
struct CUstream_st;
struct CUevent_st;
struct CUgraph_st;
struct CUgraphExec_st;

namespace ringc {

/// The part of the CUDA driver API (cuda.h) that this project calls, declared here so that neither
/// building nor linking needs CUDA. Names and meaning are cuda.h's; where it exists, a test
/// compares both.
using CudaOrdinal = int;                      ///< CUdevice
using CudaContext = CUctx_st *;               ///< CUcontext
using CudaModuleHandle = CUmod_st *;          ///< CUmodule
using CudaFunctionHandle = CUfunc_st *;       ///< CUfunction
using CudaStreamHandle = CUstream_st *;       ///< CUstream; null is the legacy default stream
using CudaEventHandle = CUevent_st *;         ///< CUevent
using CudaGraphHandle = CUgraph_st *;         ///< CUgraph
using CudaGraphExecHandle = CUgraphExec_st *; ///< CUgraphExec
using CudaAddress = unsigned long long;       ///< CUdeviceptr

/// CUresult; the few that somebody here asks for.
enum class CudaResult : unsigned {
  Success = 0,
  OutOfMemory = 2,
  StubLibrary = 34,
  NoDevice = 100,
  NotReady = 600,
  PeerAccessAlreadyEnabled = 704,
};

/// CUdevice_attribute
enum class CudaDeviceAttribute : unsigned {
  MultiprocessorCount = 16,
  L2CacheSize = 38,
  ComputeCapabilityMajor = 75,
  ComputeCapabilityMinor = 76,
  MaxSharedMemoryPerBlockOptin = 97,
};

/// CUdevice_P2PAttribute
enum class CudaLinkAttribute : unsigned {
  PerformanceRank = 1,
  AccessSupported = 2,
  NativeAtomicSupported = 3,
};

/// CUfunction_attribute
enum class CudaFunctionAttribute : unsigned {
  LocalSizeBytes = 3,
  NumRegs = 4,
  MaxDynamicSharedSizeBytes = 8,
};

/// CUjit_option
enum class CudaJitOption : unsigned { ErrorLogBuffer = 5, ErrorLogBufferSizeBytes = 6 };

/// CUstreamCaptureMode
enum class CudaCaptureMode : unsigned { Global = 0, ThreadLocal = 1, Relaxed = 2 };

/// CUstreamCaptureStatus
enum class CudaCaptureStatus : unsigned { None = 0, Active = 1, Invalidated = 2 };

/// CUmemorytype
enum class CudaMemoryType : unsigned { Device = 2 };

/// CUDA_MEMCPY2D
struct CudaCopy2D {
  struct Side {
    size_t xBytes = 0, y = 0;
    CudaMemoryType type = CudaMemoryType::Device;
    const void *host = nullptr;
    CudaAddress device = 0;
    void *array = nullptr;
    size_t pitch = 0; ///< bytes from row to row
  };
  Side from, to;
  size_t widthBytes = 0, height = 0;
};

inline constexpr unsigned cudaStreamNonBlocking = 1;  ///< CU_STREAM_NON_BLOCKING
inline constexpr unsigned cudaEventDefault = 0;       ///< CU_EVENT_DEFAULT
inline constexpr unsigned cudaEventDisableTiming = 2; ///< CU_EVENT_DISABLE_TIMING

/// CUlaunchConfig
struct CudaLaunchConfig {
  unsigned gridX, gridY, gridZ;
  unsigned blockX, blockY, blockZ;
  unsigned sharedBytes;
  CudaStreamHandle stream;
  void *attributes; ///< CUlaunchAttribute
  unsigned attributeCount;
};

/// F(member, name in cuda.h, symbol in libcuda.so.1, parameters...); all return a CUresult.
///
/// A symbol is the version that cuda.h of CUDA 12 and 13 maps the name to, but for
/// cuEventElapsedTime: its second version came with CUDA 12.8, and the first serves.
#define RINGC_CUDA_FUNCTIONS(F)                                                                    \
  F(getErrorName, cuGetErrorName, "cuGetErrorName", CudaResult, const char **)                     \
  F(getErrorString, cuGetErrorString, "cuGetErrorString", CudaResult, const char **)               \
  F(init, cuInit, "cuInit", unsigned)                                                              \
  F(driverGetVersion, cuDriverGetVersion, "cuDriverGetVersion", int *)                             \
  F(deviceGet, cuDeviceGet, "cuDeviceGet", CudaOrdinal *, int)                                     \
  F(deviceGetCount, cuDeviceGetCount, "cuDeviceGetCount", int *)                                   \
  F(deviceGetName, cuDeviceGetName, "cuDeviceGetName", char *, int, CudaOrdinal)                   \
  F(deviceTotalMem, cuDeviceTotalMem, "cuDeviceTotalMem_v2", size_t *, CudaOrdinal)                \
  F(deviceGetAttribute, cuDeviceGetAttribute, "cuDeviceGetAttribute", int *, CudaDeviceAttribute,  \
    CudaOrdinal)                                                                                   \
  F(deviceGetPCIBusId, cuDeviceGetPCIBusId, "cuDeviceGetPCIBusId", char *, int, CudaOrdinal)       \
  F(deviceGetP2PAttribute, cuDeviceGetP2PAttribute, "cuDeviceGetP2PAttribute", int *,              \
    CudaLinkAttribute, CudaOrdinal, CudaOrdinal)                                                   \
  F(devicePrimaryCtxRetain, cuDevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain", CudaContext *,   \
    CudaOrdinal)                                                                                   \
  F(devicePrimaryCtxRelease, cuDevicePrimaryCtxRelease, "cuDevicePrimaryCtxRelease_v2",            \
    CudaOrdinal)                                                                                   \
  F(deviceCanAccessPeer, cuDeviceCanAccessPeer, "cuDeviceCanAccessPeer", int *, CudaOrdinal,       \
    CudaOrdinal)                                                                                   \
  F(ctxEnablePeerAccess, cuCtxEnablePeerAccess, "cuCtxEnablePeerAccess", CudaContext, unsigned)    \
  F(ctxGetCurrent, cuCtxGetCurrent, "cuCtxGetCurrent", CudaContext *)                              \
  F(ctxSetCurrent, cuCtxSetCurrent, "cuCtxSetCurrent", CudaContext)                                \
  F(ctxPushCurrent, cuCtxPushCurrent, "cuCtxPushCurrent_v2", CudaContext)                          \
  F(ctxPopCurrent, cuCtxPopCurrent, "cuCtxPopCurrent_v2", CudaContext *)                           \
  F(memGetInfo, cuMemGetInfo, "cuMemGetInfo_v2", size_t *, size_t *)                               \
  F(memAlloc, cuMemAlloc, "cuMemAlloc_v2", CudaAddress *, size_t)                                  \
  F(memFree, cuMemFree, "cuMemFree_v2", CudaAddress)                                               \
  F(memAllocAsync, cuMemAllocAsync, "cuMemAllocAsync", CudaAddress *, size_t, CudaStreamHandle)    \
  F(memFreeAsync, cuMemFreeAsync, "cuMemFreeAsync", CudaAddress, CudaStreamHandle)                 \
  F(memAllocHost, cuMemAllocHost, "cuMemAllocHost_v2", void **, size_t)                            \
  F(memFreeHost, cuMemFreeHost, "cuMemFreeHost", void *)                                           \
  F(memcpyHtoDAsync, cuMemcpyHtoDAsync, "cuMemcpyHtoDAsync_v2", CudaAddress, const void *, size_t, \
    CudaStreamHandle)                                                                              \
  F(memcpyDtoHAsync, cuMemcpyDtoHAsync, "cuMemcpyDtoHAsync_v2", void *, CudaAddress, size_t,       \
    CudaStreamHandle)                                                                              \
  F(memcpyDtoDAsync, cuMemcpyDtoDAsync, "cuMemcpyDtoDAsync_v2", CudaAddress, CudaAddress, size_t,  \
    CudaStreamHandle)                                                                              \
  F(memcpyPeerAsync, cuMemcpyPeerAsync, "cuMemcpyPeerAsync", CudaAddress, CudaContext,             \
    CudaAddress, CudaContext, size_t, CudaStreamHandle)                                            \
  F(memcpy2DAsync, cuMemcpy2DAsync, "cuMemcpy2DAsync_v2", const CudaCopy2D *, CudaStreamHandle)    \
  F(memsetD2D8Async, cuMemsetD2D8Async, "cuMemsetD2D8Async", CudaAddress, size_t, unsigned char,   \
    size_t, size_t, CudaStreamHandle)                                                              \
  F(memsetD2D32Async, cuMemsetD2D32Async, "cuMemsetD2D32Async", CudaAddress, size_t, unsigned,     \
    size_t, size_t, CudaStreamHandle)                                                              \
  F(memsetD8Async, cuMemsetD8Async, "cuMemsetD8Async", CudaAddress, unsigned char, size_t,         \
    CudaStreamHandle)                                                                              \
  F(memsetD32Async, cuMemsetD32Async, "cuMemsetD32Async", CudaAddress, unsigned, size_t,           \
    CudaStreamHandle)                                                                              \
  F(streamCreate, cuStreamCreate, "cuStreamCreate", CudaStreamHandle *, unsigned)                  \
  F(streamCreateWithPriority, cuStreamCreateWithPriority, "cuStreamCreateWithPriority",            \
    CudaStreamHandle *, unsigned, int)                                                             \
  F(ctxGetStreamPriorityRange, cuCtxGetStreamPriorityRange, "cuCtxGetStreamPriorityRange", int *,  \
    int *)                                                                                         \
  F(streamDestroy, cuStreamDestroy, "cuStreamDestroy_v2", CudaStreamHandle)                        \
  F(streamQuery, cuStreamQuery, "cuStreamQuery", CudaStreamHandle)                                 \
  F(streamSynchronize, cuStreamSynchronize, "cuStreamSynchronize", CudaStreamHandle)               \
  F(streamWaitEvent, cuStreamWaitEvent, "cuStreamWaitEvent", CudaStreamHandle, CudaEventHandle,    \
    unsigned)                                                                                      \
  F(streamBeginCapture, cuStreamBeginCapture, "cuStreamBeginCapture_v2", CudaStreamHandle,         \
    CudaCaptureMode)                                                                               \
  F(streamEndCapture, cuStreamEndCapture, "cuStreamEndCapture", CudaStreamHandle,                  \
    CudaGraphHandle *)                                                                             \
  F(streamIsCapturing, cuStreamIsCapturing, "cuStreamIsCapturing", CudaStreamHandle,               \
    CudaCaptureStatus *)                                                                           \
  F(threadExchangeCaptureMode, cuThreadExchangeStreamCaptureMode,                                  \
    "cuThreadExchangeStreamCaptureMode", CudaCaptureMode *)                                        \
  F(eventCreate, cuEventCreate, "cuEventCreate", CudaEventHandle *, unsigned)                      \
  F(eventDestroy, cuEventDestroy, "cuEventDestroy_v2", CudaEventHandle)                            \
  F(eventRecord, cuEventRecord, "cuEventRecord", CudaEventHandle, CudaStreamHandle)                \
  F(eventQuery, cuEventQuery, "cuEventQuery", CudaEventHandle)                                     \
  F(eventSynchronize, cuEventSynchronize, "cuEventSynchronize", CudaEventHandle)                   \
  F(eventElapsedTime, cuEventElapsedTime, "cuEventElapsedTime", float *, CudaEventHandle,          \
    CudaEventHandle)                                                                               \
  F(moduleLoadDataEx, cuModuleLoadDataEx, "cuModuleLoadDataEx", CudaModuleHandle *, const void *,  \
    unsigned, CudaJitOption *, void **)                                                            \
  F(moduleUnload, cuModuleUnload, "cuModuleUnload", CudaModuleHandle)                              \
  F(moduleGetFunction, cuModuleGetFunction, "cuModuleGetFunction", CudaFunctionHandle *,           \
    CudaModuleHandle, const char *)                                                                \
  F(funcGetAttribute, cuFuncGetAttribute, "cuFuncGetAttribute", int *, CudaFunctionAttribute,      \
    CudaFunctionHandle)                                                                            \
  F(funcSetAttribute, cuFuncSetAttribute, "cuFuncSetAttribute", CudaFunctionHandle,                \
    CudaFunctionAttribute, int)                                                                    \
  F(launchKernelEx, cuLaunchKernelEx, "cuLaunchKernelEx", const CudaLaunchConfig *,                \
    CudaFunctionHandle, void **, void **)                                                          \
  F(graphInstantiate, cuGraphInstantiate, "cuGraphInstantiateWithFlags", CudaGraphExecHandle *,    \
    CudaGraphHandle, unsigned long long)                                                           \
  F(graphLaunch, cuGraphLaunch, "cuGraphLaunch", CudaGraphExecHandle, CudaStreamHandle)            \
  F(graphDestroy, cuGraphDestroy, "cuGraphDestroy", CudaGraphHandle)                               \
  F(graphExecDestroy, cuGraphExecDestroy, "cuGraphExecDestroy", CudaGraphExecHandle)

/// As above; absent before CUDA 12.4, and then null.
#define RINGC_CUDA_NEWER_FUNCTIONS(F)                                                              \
  F(funcGetParamInfo, cuFuncGetParamInfo, "cuFuncGetParamInfo", CudaFunctionHandle, size_t,        \
    size_t *, size_t *)

struct CudaFunctions {
#define RINGC_CUDA_MEMBER(member, name, symbol, ...) CudaResult (*member)(__VA_ARGS__) = nullptr;
  RINGC_CUDA_FUNCTIONS(RINGC_CUDA_MEMBER)
  RINGC_CUDA_NEWER_FUNCTIONS(RINGC_CUDA_MEMBER)
#undef RINGC_CUDA_MEMBER
};

} // namespace ringc
