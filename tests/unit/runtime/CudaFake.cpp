// The library itself: see CudaFake.h.
#include "tests/unit/runtime/CudaFake.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

using namespace ringc;

namespace {

CudaFake fake;
std::vector<CudaContext> contexts;
bool capturing = false;
uint64_t handles = 0x1000;

template <typename Handle> CudaResult make(Handle *handle) {
  ++fake.liveObjects;
  *handle = reinterpret_cast<Handle>(handles += 0x10);
  return CudaResult::Success;
}

template <typename... Parts> CudaResult record(const char *call, Parts... parts) {
  std::string line = call;
  ((line += ' ', line += std::to_string(parts)), ...);
  fake.calls.push_back(line);
  return fake.failing == call ? fake.failure : CudaResult::Success;
}

/// Counts what is not made after all.
template <typename Handle> CudaResult recordMaking(const char *call, Handle *handle) {
  CudaResult result = record(call);
  return result == CudaResult::Success ? make(handle) : result;
}

CudaResult recordDestroying(const char *call) {
  --fake.liveObjects;
  return record(call);
}

void *memory(CudaAddress address) { return reinterpret_cast<void *>(uintptr_t(address)); }

void text(char *to, int size, const char *from) { std::snprintf(to, size_t(size), "%s", from); }

} // namespace

extern "C" {

CudaFake *ringcCudaFake() { return &fake; }

CudaResult cuGetErrorName(CudaResult result, const char **name) {
  *name = result == CudaResult::OutOfMemory ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_OTHER";
  return CudaResult::Success;
}
CudaResult cuGetErrorString(CudaResult result, const char **string) {
  *string = result == CudaResult::OutOfMemory ? "out of memory" : "something else";
  return CudaResult::Success;
}
CudaResult cuInit(unsigned) { return fake.devices == 0 ? CudaResult::NoDevice : record("cuInit"); }
CudaResult cuDriverGetVersion(int *version) {
  *version = 13000;
  return CudaResult::Success;
}
CudaResult cuDeviceGet(CudaOrdinal *device, int ordinal) {
  *device = ordinal;
  return CudaResult::Success;
}
CudaResult cuDeviceGetCount(int *count) {
  *count = fake.devices;
  return CudaResult::Success;
}
CudaResult cuDeviceGetName(char *name, int size, CudaOrdinal) {
  text(name, size, "Imaginary GPU");
  return CudaResult::Success;
}
CudaResult cuDeviceTotalMem_v2(size_t *bytes, CudaOrdinal) {
  *bytes = size_t(80) << 30;
  return CudaResult::Success;
}
CudaResult cuDeviceGetAttribute(int *value, CudaDeviceAttribute attribute, CudaOrdinal) {
  switch (attribute) {
  case CudaDeviceAttribute::MultiprocessorCount:
    *value = 108;
    break;
  case CudaDeviceAttribute::L2CacheSize:
    *value = 40 << 20;
    break;
  case CudaDeviceAttribute::ComputeCapabilityMajor:
    *value = 8;
    break;
  case CudaDeviceAttribute::ComputeCapabilityMinor:
    *value = 6;
    break;
  case CudaDeviceAttribute::MaxSharedMemoryPerBlockOptin:
    *value = 99 << 10;
    break;
  }
  return CudaResult::Success;
}
CudaResult cuDeviceGetPCIBusId(char *id, int size, CudaOrdinal) {
  text(id, size, "0000:01:00.0");
  return CudaResult::Success;
}
CudaResult cuDevicePrimaryCtxRetain(CudaContext *context, CudaOrdinal) {
  return recordMaking("cuDevicePrimaryCtxRetain", context);
}
CudaResult cuDevicePrimaryCtxRelease_v2(CudaOrdinal) {
  return recordDestroying("cuDevicePrimaryCtxRelease");
}
CudaResult cuCtxGetCurrent(CudaContext *context) {
  *context = contexts.empty() ? nullptr : contexts.back();
  return CudaResult::Success;
}
CudaResult cuCtxSetCurrent(CudaContext context) {
  contexts = {context};
  return CudaResult::Success;
}
CudaResult cuCtxPushCurrent_v2(CudaContext context) {
  contexts.push_back(context);
  return CudaResult::Success;
}
CudaResult cuCtxPopCurrent_v2(CudaContext *context) {
  *context = contexts.back();
  contexts.pop_back();
  return CudaResult::Success;
}
CudaResult cuMemGetInfo_v2(size_t *free, size_t *total) {
  *free = size_t(3) << 20;
  *total = size_t(80) << 30;
  return CudaResult::Success;
}
CudaResult cuMemAlloc_v2(CudaAddress *address, size_t bytes) {
  CudaResult result = record("cuMemAlloc", bytes);
  if (result != CudaResult::Success)
    return result;
  ++fake.liveObjects;
  *address =
      CudaAddress(reinterpret_cast<uintptr_t>(std::aligned_alloc(256, (bytes + 255) / 256 * 256)));
  return CudaResult::Success;
}
CudaResult cuMemFree_v2(CudaAddress address) {
  std::free(memory(address));
  return recordDestroying("cuMemFree");
}
CudaResult cuMemAllocAsync(CudaAddress *address, size_t bytes, CudaStreamHandle) {
  return cuMemAlloc_v2(address, bytes);
}
CudaResult cuMemFreeAsync(CudaAddress address, CudaStreamHandle) {
  std::free(memory(address));
  return recordDestroying("cuMemFreeAsync");
}
CudaResult cuMemAllocHost_v2(void **address, size_t bytes) {
  ++fake.liveObjects;
  *address = std::malloc(bytes);
  return record("cuMemAllocHost", bytes);
}
CudaResult cuMemFreeHost(void *address) {
  std::free(address);
  return recordDestroying("cuMemFreeHost");
}
CudaResult cuMemcpyHtoDAsync_v2(CudaAddress to, const void *from, size_t bytes, CudaStreamHandle) {
  std::memcpy(memory(to), from, bytes);
  return record("cuMemcpyHtoDAsync", bytes);
}
CudaResult cuMemcpyDtoHAsync_v2(void *to, CudaAddress from, size_t bytes, CudaStreamHandle) {
  std::memcpy(to, memory(from), bytes);
  return record("cuMemcpyDtoHAsync", bytes);
}
CudaResult cuMemcpyDtoDAsync_v2(CudaAddress to, CudaAddress from, size_t bytes, CudaStreamHandle) {
  std::memcpy(memory(to), memory(from), bytes);
  return record("cuMemcpyDtoDAsync", bytes);
}
CudaResult cuMemsetD8Async(CudaAddress to, unsigned char byte, size_t count, CudaStreamHandle) {
  std::memset(memory(to), byte, count);
  return record("cuMemsetD8Async", unsigned(byte), count);
}
CudaResult cuMemsetD32Async(CudaAddress to, unsigned word, size_t count, CudaStreamHandle) {
  for (size_t i = 0; i < count; ++i)
    static_cast<unsigned *>(memory(to))[i] = word;
  return record("cuMemsetD32Async", word, count);
}
CudaResult cuStreamCreate(CudaStreamHandle *stream, unsigned flags) {
  record("flags", flags);
  return recordMaking("cuStreamCreate", stream);
}
CudaResult cuStreamDestroy_v2(CudaStreamHandle) { return recordDestroying("cuStreamDestroy"); }
CudaResult cuStreamQuery(CudaStreamHandle) { return record("cuStreamQuery"); }
CudaResult cuStreamSynchronize(CudaStreamHandle) { return record("cuStreamSynchronize"); }
CudaResult cuStreamWaitEvent(CudaStreamHandle, CudaEventHandle, unsigned flags) {
  return record("cuStreamWaitEvent", flags);
}
CudaResult cuStreamBeginCapture_v2(CudaStreamHandle, CudaCaptureMode mode) {
  capturing = true;
  return record("cuStreamBeginCapture", unsigned(mode));
}
CudaResult cuStreamEndCapture(CudaStreamHandle, CudaGraphHandle *graph) {
  capturing = false;
  return recordMaking("cuStreamEndCapture", graph);
}
CudaResult cuEventCreate(CudaEventHandle *event, unsigned flags) {
  record("flags", flags);
  return recordMaking("cuEventCreate", event);
}
CudaResult cuEventDestroy_v2(CudaEventHandle) { return recordDestroying("cuEventDestroy"); }
CudaResult cuEventRecord(CudaEventHandle, CudaStreamHandle) { return record("cuEventRecord"); }
CudaResult cuEventQuery(CudaEventHandle) { return record("cuEventQuery"); }
CudaResult cuEventSynchronize(CudaEventHandle) { return record("cuEventSynchronize"); }
CudaResult cuEventElapsedTime(float *milliseconds, CudaEventHandle, CudaEventHandle) {
  *milliseconds = 2.5f;
  return record("cuEventElapsedTime");
}
CudaResult cuModuleLoadDataEx(CudaModuleHandle *module, const void *image, unsigned count,
                              CudaJitOption *options, void **values) {
  CudaResult result = recordMaking("cuModuleLoadDataEx", module);
  for (unsigned i = 0; i < count && result != CudaResult::Success; ++i)
    if (options[i] == CudaJitOption::ErrorLogBuffer)
      text(static_cast<char *>(values[i]), 64,
           (std::string("ptxas: cannot parse ") + static_cast<const char *>(image)).c_str());
  return result;
}
CudaResult cuModuleUnload(CudaModuleHandle) { return recordDestroying("cuModuleUnload"); }
CudaResult cuModuleGetFunction(CudaFunctionHandle *function, CudaModuleHandle, const char *name) {
  for (size_t i = 0; i < fake.kernels.size(); ++i)
    if (fake.kernels[i].name == name) {
      *function = reinterpret_cast<CudaFunctionHandle>(i + 1);
      return CudaResult::Success;
    }
  return CudaResult(500); // CUDA_ERROR_NOT_FOUND
}
CudaResult cuFuncGetAttribute(int *value, CudaFunctionAttribute, CudaFunctionHandle) {
  *value = 40;
  return CudaResult::Success;
}
CudaResult cuFuncSetAttribute(CudaFunctionHandle, CudaFunctionAttribute attribute, int value) {
  return record("cuFuncSetAttribute", unsigned(attribute), value);
}
CudaResult cuLaunchKernelEx(const CudaLaunchConfig *config, CudaFunctionHandle function,
                            void **parameters, void **) {
  auto *slots = static_cast<const uint64_t *>(parameters[0]);
  fake.slots.assign(slots, slots + fake.slotCount);
  const CudaFake::Kernel &kernel = fake.kernels[reinterpret_cast<size_t>(function) - 1];
  std::unique_ptr<void, decltype(&std::free)> scratch(
      std::aligned_alloc(64, (kernel.scratchBytes + 127) / 64 * 64), std::free);
  for (int64_t z = 0; z < config->gridZ && kernel.run && !capturing; ++z)
    for (int64_t y = 0; y < config->gridY; ++y)
      for (int64_t x = 0; x < config->gridX; ++x)
        kernel.run(slots, x, 0, y, z, scratch.get());
  return record("cuLaunchKernelEx", config->gridX, config->gridY, config->gridZ, config->blockX,
                config->blockY, config->blockZ, config->sharedBytes, config->attributeCount);
}
CudaResult cuGraphInstantiateWithFlags(CudaGraphExecHandle *ready, CudaGraphHandle,
                                       unsigned long long flags) {
  record("flags", flags);
  return recordMaking("cuGraphInstantiate", ready);
}
CudaResult cuGraphLaunch(CudaGraphExecHandle, CudaStreamHandle) { return record("cuGraphLaunch"); }
CudaResult cuGraphDestroy(CudaGraphHandle) { return recordDestroying("cuGraphDestroy"); }
CudaResult cuGraphExecDestroy(CudaGraphExecHandle) {
  return recordDestroying("cuGraphExecDestroy");
}

} // extern "C"
