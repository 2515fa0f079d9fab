// The library itself: see CudaFake.h.
#include "tests/unit/runtime/CudaFake.h"

#include "tests/unit/runtime/FakeStreams.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

using namespace ringc;

namespace {

CudaFake fake;
std::recursive_mutex fakeMutex;
thread_local std::vector<CudaContext> contexts;
FakeStreams streams;
std::map<CudaEventHandle, std::shared_ptr<FakeTicket>> events; ///< their latest records
std::map<void *, std::shared_ptr<FakeGraph>> graphs;           ///< also those made ready
uint64_t handles = 0x1000;

// cuda.h: CUDA_ERROR_LAUNCH_FAILED, STREAM_CAPTURE_UNSUPPORTED, CAPTURED_EVENT
constexpr CudaResult launchFailed{719}, captureUnsupported{900}, capturedEvent{907};

template <typename Handle> CudaResult make(Handle *handle) {
  std::lock_guard lock(fakeMutex);
  ++fake.liveObjects;
  *handle = reinterpret_cast<Handle>(handles += 0x10);
  return CudaResult::Success;
}

template <typename... Parts> CudaResult record(const char *call, Parts... parts) {
  std::string line = call;
  ((line += ' ', line += std::to_string(parts)), ...);
  std::lock_guard lock(fakeMutex);
  fake.calls.push_back(line);
  return fake.failing == call ? fake.failure : CudaResult::Success;
}

/// Counts what is not made after all.
template <typename Handle> CudaResult recordMaking(const char *call, Handle *handle) {
  CudaResult result = record(call);
  return result == CudaResult::Success ? make(handle) : result;
}

CudaResult recordDestroying(const char *call) {
  std::lock_guard lock(fakeMutex);
  --fake.liveObjects;
  return record(call);
}

/// Puts work in the stream's queue, unless the call shall fail.
template <typename... Parts>
CudaResult enqueue(CudaStreamHandle stream, std::function<void()> run, const char *call,
                   Parts... parts) {
  CudaResult result = record(call, parts...);
  return result == CudaResult::Success
             ? streams.push(stream,
                            {.run = std::move(run), .ready = {}, .waits = {}, .completes = {}})
             : result;
}

CudaResult finish(const std::function<bool()> &over) {
  streams.reseed(fake.seed);
  return streams.runUntil(over) ? CudaResult::Success : launchFailed;
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
CudaResult cuDeviceGetP2PAttribute(int *value, CudaLinkAttribute attribute, CudaOrdinal from,
                                   CudaOrdinal to) {
  // Devices 0 and 1 have a link, others do not reach each other.
  bool linked = from + to == 1;
  *value = attribute == CudaLinkAttribute::PerformanceRank ? 0 : linked;
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
  if (streams.isAnyCapturing())
    return captureUnsupported;
  CudaResult result = record("cuMemAlloc", bytes);
  if (result != CudaResult::Success)
    return result;
  std::lock_guard lock(fakeMutex);
  ++fake.liveObjects;
  *address =
      CudaAddress(reinterpret_cast<uintptr_t>(std::aligned_alloc(256, (bytes + 255) / 256 * 256)));
  return CudaResult::Success;
}
CudaResult cuMemFree_v2(CudaAddress address) {
  streams.progress();
  std::free(memory(address));
  return recordDestroying("cuMemFree");
}
CudaResult cuMemAllocAsync(CudaAddress *address, size_t bytes, CudaStreamHandle) {
  return cuMemAlloc_v2(address, bytes);
}
CudaResult cuMemFreeAsync(CudaAddress address, CudaStreamHandle stream) {
  recordDestroying("cuMemFreeAsync");
  return streams.push(
      stream,
      {.run = [=] { std::free(memory(address)); }, .ready = {}, .waits = {}, .completes = {}});
}
CudaResult cuMemAllocHost_v2(void **address, size_t bytes) {
  std::lock_guard lock(fakeMutex);
  ++fake.liveObjects;
  *address = std::malloc(bytes);
  return record("cuMemAllocHost", bytes);
}
CudaResult cuMemFreeHost(void *address) {
  std::free(address);
  return recordDestroying("cuMemFreeHost");
}
CudaResult cuMemcpyHtoDAsync_v2(CudaAddress to, const void *from, size_t bytes,
                                CudaStreamHandle stream) {
  // The host's memory is not page-locked: it is read before the call returns.
  auto *start = static_cast<const char *>(from);
  auto copied = std::make_shared<std::vector<char>>(start, start + bytes);
  return enqueue(
      stream, [=] { std::memcpy(memory(to), copied->data(), bytes); }, "cuMemcpyHtoDAsync", bytes);
}
CudaResult cuMemcpyDtoHAsync_v2(void *to, CudaAddress from, size_t bytes, CudaStreamHandle stream) {
  return enqueue(stream, [=] { std::memcpy(to, memory(from), bytes); }, "cuMemcpyDtoHAsync", bytes);
}
CudaResult cuMemcpyDtoDAsync_v2(CudaAddress to, CudaAddress from, size_t bytes,
                                CudaStreamHandle stream) {
  return enqueue(
      stream, [=] { std::memcpy(memory(to), memory(from), bytes); }, "cuMemcpyDtoDAsync", bytes);
}
CudaResult cuMemcpyPeerAsync(CudaAddress to, CudaContext, CudaAddress from, CudaContext,
                             size_t bytes, CudaStreamHandle stream) {
  return enqueue(
      stream, [=] { std::memcpy(memory(to), memory(from), bytes); }, "cuMemcpyPeerAsync", bytes);
}
CudaResult cuMemcpy2DAsync_v2(const CudaCopy2D *given, CudaStreamHandle stream) {
  CudaCopy2D copy = *given;
  if (copy.from.pitch < copy.widthBytes || copy.to.pitch < copy.widthBytes)
    return CudaResult(1); // CUDA_ERROR_INVALID_VALUE
  return enqueue(
      stream,
      [=] {
        for (size_t row = 0; row < copy.height; ++row)
          std::memcpy(memory(copy.to.device + row * copy.to.pitch),
                      memory(copy.from.device + row * copy.from.pitch), copy.widthBytes);
      },
      "cuMemcpy2DAsync", copy.widthBytes, copy.height);
}
CudaResult cuMemsetD8Async(CudaAddress to, unsigned char byte, size_t count,
                           CudaStreamHandle stream) {
  return enqueue(
      stream, [=] { std::memset(memory(to), byte, count); }, "cuMemsetD8Async", unsigned(byte),
      count);
}
CudaResult cuMemsetD32Async(CudaAddress to, unsigned word, size_t count, CudaStreamHandle stream) {
  return enqueue(
      stream, [=] { std::fill_n(static_cast<unsigned *>(memory(to)), count, word); },
      "cuMemsetD32Async", word, count);
}
CudaResult cuMemsetD2D8Async(CudaAddress to, size_t pitch, unsigned char byte, size_t width,
                             size_t height, CudaStreamHandle stream) {
  return enqueue(
      stream,
      [=] {
        for (size_t row = 0; row < height; ++row)
          std::memset(memory(to + row * pitch), byte, width);
      },
      "cuMemsetD2D8Async", unsigned(byte), width, height);
}
CudaResult cuMemsetD2D32Async(CudaAddress to, size_t pitch, unsigned word, size_t width,
                              size_t height, CudaStreamHandle stream) {
  return enqueue(
      stream,
      [=] {
        for (size_t row = 0; row < height; ++row)
          std::fill_n(static_cast<unsigned *>(memory(to + row * pitch)), width, word);
      },
      "cuMemsetD2D32Async", word, width, height);
}
CudaResult cuDeviceCanAccessPeer(int *can, CudaOrdinal, CudaOrdinal) {
  *can = 1;
  return CudaResult::Success;
}
CudaResult cuCtxEnablePeerAccess(CudaContext, unsigned) { return record("cuCtxEnablePeerAccess"); }
CudaResult cuStreamCreate(CudaStreamHandle *stream, unsigned flags) {
  record("flags", flags);
  return recordMaking("cuStreamCreate", stream);
}
CudaResult cuStreamCreateWithPriority(CudaStreamHandle *stream, unsigned flags, int priority) {
  record("flags", flags);
  record("priority", priority);
  return recordMaking("cuStreamCreateWithPriority", stream);
}
CudaResult cuCtxGetStreamPriorityRange(int *least, int *greatest) {
  *least = 0;
  *greatest = -5;
  return CudaResult::Success;
}
CudaResult cuStreamDestroy_v2(CudaStreamHandle) { return recordDestroying("cuStreamDestroy"); }
CudaResult cuStreamQuery(CudaStreamHandle stream) {
  if (streams.isCapturing(stream))
    return captureUnsupported;
  streams.progress();
  CudaResult result = record("cuStreamQuery");
  return result != CudaResult::Success ? result
         : streams.isIdle(stream)      ? CudaResult::Success
                                       : CudaResult::NotReady;
}
CudaResult cuStreamSynchronize(CudaStreamHandle stream) {
  if (streams.isCapturing(stream))
    return captureUnsupported;
  CudaResult result = record("cuStreamSynchronize");
  return result == CudaResult::Success ? finish([=] { return streams.isIdle(stream); }) : result;
}
CudaResult cuStreamWaitEvent(CudaStreamHandle stream, CudaEventHandle event, unsigned flags) {
  CudaResult result = record("cuStreamWaitEvent", flags);
  std::lock_guard lock(fakeMutex);
  return result == CudaResult::Success ? streams.wait(stream, events[event]) : result;
}
CudaResult cuStreamBeginCapture_v2(CudaStreamHandle stream, CudaCaptureMode mode) {
  streams.beginCapture(stream);
  return record("cuStreamBeginCapture", unsigned(mode));
}
CudaResult cuStreamEndCapture(CudaStreamHandle stream, CudaGraphHandle *graph) {
  std::shared_ptr<FakeGraph> captured;
  CudaResult ended = streams.endCapture(stream, captured),
             result = recordMaking("cuStreamEndCapture", graph);
  std::lock_guard lock(fakeMutex);
  graphs[*graph] = captured;
  return result == CudaResult::Success ? ended : result;
}
CudaResult cuStreamIsCapturing(CudaStreamHandle stream, CudaCaptureStatus *status) {
  *status = streams.isCapturing(stream) ? CudaCaptureStatus::Active : CudaCaptureStatus::None;
  return CudaResult::Success;
}
CudaResult cuThreadExchangeStreamCaptureMode(CudaCaptureMode *mode) {
  *mode = CudaCaptureMode::Global;
  return CudaResult::Success;
}
CudaResult cuEventCreate(CudaEventHandle *event, unsigned flags) {
  record("flags", flags);
  return recordMaking("cuEventCreate", event);
}
CudaResult cuEventDestroy_v2(CudaEventHandle event) {
  std::lock_guard lock(fakeMutex);
  events.erase(event);
  return recordDestroying("cuEventDestroy");
}
CudaResult cuEventRecord(CudaEventHandle event, CudaStreamHandle stream) {
  CudaResult result = record("cuEventRecord");
  std::lock_guard lock(fakeMutex);
  return result == CudaResult::Success ? streams.record(stream, events[event]) : result;
}
CudaResult cuEventQuery(CudaEventHandle event) {
  std::shared_ptr<FakeTicket> ticket;
  {
    std::lock_guard lock(fakeMutex);
    ticket = events[event];
  }
  if (ticket && ticket->captured)
    return capturedEvent;
  streams.progress();
  CudaResult result = record("cuEventQuery");
  return result != CudaResult::Success ? result
         : !ticket || ticket->done     ? CudaResult::Success
                                       : CudaResult::NotReady;
}
CudaResult cuEventSynchronize(CudaEventHandle event) {
  std::shared_ptr<FakeTicket> ticket;
  {
    std::lock_guard lock(fakeMutex);
    ticket = events[event];
  }
  if (ticket && ticket->captured)
    return capturedEvent;
  CudaResult result = record("cuEventSynchronize");
  return result == CudaResult::Success ? finish([=] { return !ticket || ticket->done; }) : result;
}
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
  std::lock_guard lock(fakeMutex);
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
CudaResult cuLaunchKernelEx(const CudaLaunchConfig *given, CudaFunctionHandle function,
                            void **parameters, void **) {
  CudaLaunchConfig config = *given;
  std::unique_lock lock(fakeMutex);
  CudaFake::Kernel kernel = fake.kernels[reinterpret_cast<size_t>(function) - 1];
  auto *start = static_cast<const uint64_t *>(parameters[0]);
  std::vector<uint64_t> slots(start,
                              start + (kernel.slotCount ? kernel.slotCount : fake.slotCount));
  fake.slots = slots;
  lock.unlock();
  auto run = [=] {
    std::unique_ptr<void, decltype(&std::free)> scratch(
        std::aligned_alloc(64, (kernel.scratchBytes + 127) / 64 * 64), std::free);
    int64_t first =
        kernel.batchSlot < 0 ? 0 : int64_t(slots[size_t(kernel.batchSlot)]) - config.gridZ;
    int64_t along = 1; // the second axis, in x
    if (kernel.secondSlot >= 0)
      along = (int64_t(slots[size_t(kernel.secondSlot)]) * kernel.secondFactor + kernel.secondStep -
               1) /
              kernel.secondStep;
    for (int64_t z = 0; z < config.gridZ && kernel.run; ++z)
      for (int64_t y = 0; y < config.gridY; ++y)
        for (int64_t x = 0; x < config.gridX; ++x)
          kernel.run(slots.data(), x / along, kernel.twoAxes ? y : x % along,
                     kernel.twoAxes ? 0 : y, first + z, scratch.get());
  };
  return enqueue(config.stream, run, "cuLaunchKernelEx", config.gridX, config.gridY, config.gridZ,
                 config.blockX, config.blockY, config.blockZ, config.sharedBytes,
                 config.attributeCount);
}
CudaResult cuGraphInstantiateWithFlags(CudaGraphExecHandle *ready, CudaGraphHandle graph,
                                       unsigned long long flags) {
  record("flags", flags);
  CudaResult result = recordMaking("cuGraphInstantiate", ready);
  std::lock_guard lock(fakeMutex);
  graphs[*ready] = graphs[graph];
  return result;
}
CudaResult cuGraphLaunch(CudaGraphExecHandle ready, CudaStreamHandle stream) {
  std::unique_lock lock(fakeMutex);
  std::shared_ptr<FakeGraph> graph = graphs[ready];
  lock.unlock();
  CudaResult result = record("cuGraphLaunch");
  if (result != CudaResult::Success)
    return result;
  auto replay = std::make_shared<FakeReplay>(graph, fake.seed);
  return streams.push(stream, {.run = {},
                               .ready = [replay] { return replay->advance(); },
                               .begin = {},
                               .waits = {},
                               .completes = {}});
}
CudaResult cuGraphDestroy(CudaGraphHandle graph) {
  std::lock_guard lock(fakeMutex);
  graphs.erase(graph);
  return recordDestroying("cuGraphDestroy");
}
CudaResult cuGraphExecDestroy(CudaGraphExecHandle ready) {
  std::lock_guard lock(fakeMutex);
  graphs.erase(ready);
  return recordDestroying("cuGraphExecDestroy");
}

void ringcCudaFakeEnqueue(CudaStreamHandle stream, const CudaFakeWork *work) {
  (void)streams.push(stream,
                     {.run = {}, .ready = {}, .begin = work->begin, .waits = {}, .completes = {}});
}
void ringcCudaFakeAddKernel(const CudaFake::Kernel *kernel) {
  std::lock_guard lock(fakeMutex);
  fake.kernels.push_back(*kernel);
}
void ringcCudaFakeProgress() { streams.progress(); }

} // extern "C"
