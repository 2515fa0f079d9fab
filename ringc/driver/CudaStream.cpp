#include "ringc/driver/CudaStream.h"

#include <utility>

namespace ringc {

static std::string describeRows(int64_t widthBytes, int64_t height) {
  return std::to_string(height) + " rows of " + std::to_string(widthBytes) + " bytes";
}

CudaStream::CudaStream(std::shared_ptr<const CudaDevice> device, Priority priority)
    : on(std::move(device)) {
  CudaCurrent current(*on);
  switch (priority) {
  case Priority::Normal:
    on->check(on->functions().streamCreate(&stream, cudaStreamNonBlocking), "cuStreamCreate",
              "a stream");
    break;
  case Priority::Highest: {
    int least = 0, greatest = 0;
    on->check(on->functions().ctxGetStreamPriorityRange(&least, &greatest),
              "cuCtxGetStreamPriorityRange", "the device's streams");
    on->check(on->functions().streamCreateWithPriority(&stream, cudaStreamNonBlocking, greatest),
              "cuStreamCreateWithPriority", "a stream");
    break;
  }
  }
  owned = {on, stream};
}

CudaStream::CudaStream(std::shared_ptr<const CudaDevice> device, CudaStreamHandle theirs)
    : on(std::move(device)), stream(theirs) {}

void CudaStream::upload(void *to, const void *fromHost, int64_t bytes) const {
  if (bytes == 0)
    return;
  CudaCurrent current(*on);
  CudaResult result =
      on->functions().memcpyHtoDAsync(cudaAddress(to), fromHost, size_t(bytes), stream);
  if (result != CudaResult::Success)
    throw on->error(result, "cuMemcpyHtoDAsync", describeBytes(bytes));
}

void CudaStream::download(void *toHost, const void *from, int64_t bytes) const {
  if (bytes == 0)
    return;
  CudaCurrent current(*on);
  CudaResult result =
      on->functions().memcpyDtoHAsync(toHost, cudaAddress(from), size_t(bytes), stream);
  if (result != CudaResult::Success)
    throw on->error(result, "cuMemcpyDtoHAsync", describeBytes(bytes));
}

void CudaStream::copy(void *to, const void *from, int64_t bytes) const {
  if (bytes == 0)
    return;
  CudaCurrent current(*on);
  CudaResult result =
      on->functions().memcpyDtoDAsync(cudaAddress(to), cudaAddress(from), size_t(bytes), stream);
  if (result != CudaResult::Success)
    throw on->error(result, "cuMemcpyDtoDAsync", describeBytes(bytes));
}

void CudaStream::copyTo(const CudaDevice &other, void *to, const void *from, int64_t bytes) const {
  if (bytes == 0)
    return;
  CudaCurrent current(*on);
  CudaResult result = on->functions().memcpyPeerAsync(
      cudaAddress(to), other.context(), cudaAddress(from), on->context(), size_t(bytes), stream);
  if (result != CudaResult::Success)
    throw on->error(result, "cuMemcpyPeerAsync",
                    describeBytes(bytes) + " to " + other.facts().describe());
}

void CudaStream::copyRows(const Rows &to, const Rows &from, int64_t widthBytes,
                          int64_t height) const {
  if (widthBytes == 0 || height == 0)
    return;
  CudaCurrent current(*on);
  CudaCopy2D copy{
      .from = {.device = cudaAddress(from.data), .pitch = size_t(from.pitchBytes)},
      .to = {.device = cudaAddress(to.data), .pitch = size_t(to.pitchBytes)},
      .widthBytes = size_t(widthBytes),
      .height = size_t(height),
  };
  CudaResult result = on->functions().memcpy2DAsync(&copy, stream);
  if (result != CudaResult::Success)
    throw on->error(result, "cuMemcpy2DAsync", describeRows(widthBytes, height));
}

void CudaStream::clearRows(const Rows &rows, int64_t widthBytes, int64_t height) const {
  if (widthBytes == 0 || height == 0)
    return;
  CudaCurrent current(*on);
  CudaResult result =
      on->functions().memsetD2D8Async(cudaAddress(rows.data), size_t(rows.pitchBytes), 0,
                                      size_t(widthBytes), size_t(height), stream);
  if (result != CudaResult::Success)
    throw on->error(result, "cuMemsetD2D8Async", describeRows(widthBytes, height));
}

void CudaStream::fillRows(const Rows &rows, uint32_t word, int64_t width, int64_t height) const {
  if (width == 0 || height == 0)
    return;
  CudaCurrent current(*on);
  CudaResult result = on->functions().memsetD2D32Async(
      cudaAddress(rows.data), size_t(rows.pitchBytes), word, size_t(width), size_t(height), stream);
  if (result != CudaResult::Success)
    throw on->error(result, "cuMemsetD2D32Async", describeRows(4 * width, height));
}

void CudaStream::clear(void *memory, int64_t bytes) const {
  if (bytes == 0)
    return;
  CudaCurrent current(*on);
  CudaResult result = on->functions().memsetD8Async(cudaAddress(memory), 0, size_t(bytes), stream);
  if (result != CudaResult::Success)
    throw on->error(result, "cuMemsetD8Async", describeBytes(bytes));
}

void CudaStream::fill(void *memory, uint32_t word, int64_t count) const {
  if (count == 0)
    return;
  CudaCurrent current(*on);
  CudaResult result =
      on->functions().memsetD32Async(cudaAddress(memory), word, size_t(count), stream);
  if (result != CudaResult::Success)
    throw on->error(result, "cuMemsetD32Async", describeBytes(4 * count));
}

void CudaStream::wait(const CudaEvent &event) const {
  CudaCurrent current(*on);
  on->check(on->functions().streamWaitEvent(stream, event.handle(), 0), "cuStreamWaitEvent",
            "a stream");
}

void CudaStream::synchronize() const {
  CudaCurrent current(*on);
  on->check(on->functions().streamSynchronize(stream), "cuStreamSynchronize", "a stream");
}

bool CudaStream::isIdle() const {
  CudaCurrent current(*on);
  CudaResult result = on->functions().streamQuery(stream);
  if (result == CudaResult::NotReady)
    return false;
  on->check(result, "cuStreamQuery", "a stream");
  return true;
}

bool CudaStream::isCapturing() const {
  CudaCurrent current(*on);
  CudaCaptureStatus status = CudaCaptureStatus::None;
  on->check(on->functions().streamIsCapturing(stream, &status), "cuStreamIsCapturing", "a stream");
  return status != CudaCaptureStatus::None;
}

CudaGraph CudaStream::capture(const std::function<void()> &body) const {
  CudaCurrent current(*on);
  // Other threads may allocate and synchronise meanwhile.
  on->check(on->functions().streamBeginCapture(stream, CudaCaptureMode::ThreadLocal),
            "cuStreamBeginCapture", "a stream");
  CudaGraphHandle captured = nullptr;
  try {
    body();
  } catch (...) {
    (void)on->functions().streamEndCapture(stream, &captured);
    if (captured)
      (void)on->functions().graphDestroy(captured);
    throw;
  }
  on->check(on->functions().streamEndCapture(stream, &captured), "cuStreamEndCapture", "a stream");
  return CudaGraph(on, captured);
}

CudaEvent::CudaEvent(std::shared_ptr<const CudaDevice> device, Timing timing) {
  CudaCurrent current(*device);
  CudaEventHandle made = nullptr;
  unsigned flags = timing == Timing::On ? cudaEventDefault : cudaEventDisableTiming;
  device->check(device->functions().eventCreate(&made, flags), "cuEventCreate", "an event");
  event = {std::move(device), made};
}

void CudaEvent::record(const CudaStream &stream) const {
  const CudaDevice &device = *event.device();
  CudaCurrent current(device);
  device.check(device.functions().eventRecord(event.get(), stream.handle()), "cuEventRecord",
               "an event");
}

void CudaEvent::synchronize() const {
  const CudaDevice &device = *event.device();
  CudaCurrent current(device);
  device.check(device.functions().eventSynchronize(event.get()), "cuEventSynchronize", "an event");
}

bool CudaEvent::isDone() const {
  const CudaDevice &device = *event.device();
  CudaCurrent current(device);
  CudaResult result = device.functions().eventQuery(event.get());
  if (result == CudaResult::NotReady)
    return false;
  device.check(result, "cuEventQuery", "an event");
  return true;
}

double CudaEvent::since(const CudaEvent &start) const {
  const CudaDevice &device = *event.device();
  CudaCurrent current(device);
  float milliseconds = 0;
  device.check(device.functions().eventElapsedTime(&milliseconds, start.event.get(), event.get()),
               "cuEventElapsedTime", "two events");
  return double(milliseconds);
}

CudaGraph::CudaGraph(std::shared_ptr<const CudaDevice> device, CudaGraphHandle captured)
    : graph(device, captured) {
  CudaGraphExecHandle made = nullptr;
  device->check(device->functions().graphInstantiate(&made, captured, 0), "cuGraphInstantiate",
                "captured work");
  ready = {std::move(device), made};
}

void CudaGraph::launch(const CudaStream &stream) const {
  const CudaDevice &device = *ready.device();
  CudaCurrent current(device);
  device.check(device.functions().graphLaunch(ready.get(), stream.handle()), "cuGraphLaunch",
               "captured work");
}

} // namespace ringc
