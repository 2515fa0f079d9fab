#pragma once

#include "ringc/driver/CudaDevice.h"

#include <cstdint>
#include <functional>

namespace ringc {

class CudaEvent;
class CudaGraph;

/// An order of work on a device. What it is given runs later: memory must live until then. Host
/// memory that is not page-locked makes a copy wait for the host.
class CudaStream {
public:
  /// Whose blocks get the next free place on the device.
  enum class Priority : uint8_t { Normal, Highest };
  /// A stream of its own, which does not wait for the default stream.
  explicit CudaStream(std::shared_ptr<const CudaDevice> device,
                      Priority priority = Priority::Normal);
  /// The user's; null is the default stream. It is not destroyed.
  CudaStream(std::shared_ptr<const CudaDevice> device, CudaStreamHandle theirs);

  CudaStreamHandle handle() const { return stream; }
  const std::shared_ptr<const CudaDevice> &device() const { return on; }

  void upload(void *to, const void *fromHost, int64_t bytes) const;
  void download(void *toHost, const void *from, int64_t bytes) const;
  void copy(void *to, const void *from, int64_t bytes) const;
  /// To memory of another device: directly where the devices reach each other, else through the
  /// host.
  void copyTo(const CudaDevice &other, void *to, const void *from, int64_t bytes) const;
  void clear(void *memory, int64_t bytes) const;
  /// `count` words of 32 bits.
  void fill(void *memory, uint32_t word, int64_t count) const;

  /// `height` rows of `widthBytes`, so many bytes apart; a pitch is at least the width.
  struct Rows {
    void *data = nullptr;
    int64_t pitchBytes = 0;
  };
  void copyRows(const Rows &to, const Rows &from, int64_t widthBytes, int64_t height) const;
  void clearRows(const Rows &rows, int64_t widthBytes, int64_t height) const;
  void fillRows(const Rows &rows, uint32_t word, int64_t width, int64_t height) const;

  void wait(const CudaEvent &event) const;
  void synchronize() const;
  /// Whether all that was given has run.
  bool isIdle() const;
  /// Whether what it is given now is captured, and does not run.
  bool isCapturing() const;

  /// What `body` gives to the stream, to be replayed; nothing runs now. It must not synchronise nor
  /// allocate. What it throws is rethrown.
  CudaGraph capture(const std::function<void()> &body) const;

private:
  std::shared_ptr<const CudaDevice> on;
  CudaHandle<CudaStreamHandle, &CudaFunctions::streamDestroy> owned;
  CudaStreamHandle stream = nullptr;
};

/// A point in a stream's order.
class CudaEvent {
public:
  enum class Timing : uint8_t { Off, On };
  explicit CudaEvent(std::shared_ptr<const CudaDevice> device, Timing timing = Timing::Off);

  CudaEventHandle handle() const { return event.get(); }
  void record(const CudaStream &stream) const;
  void synchronize() const;
  bool isDone() const;
  /// Milliseconds from `start` to here; both with Timing::On, recorded and done.
  double since(const CudaEvent &start) const;

private:
  CudaHandle<CudaEventHandle, &CudaFunctions::eventDestroy> event;
};

/// Captured work, made ready to be launched again and again.
class CudaGraph {
public:
  void launch(const CudaStream &stream) const;

private:
  friend class CudaStream;
  CudaGraph(std::shared_ptr<const CudaDevice> device, CudaGraphHandle captured);

  CudaHandle<CudaGraphHandle, &CudaFunctions::graphDestroy> graph;
  CudaHandle<CudaGraphExecHandle, &CudaFunctions::graphExecDestroy> ready;
};

/// A device address as the driver wants it.
inline CudaAddress cudaAddress(const void *memory) {
  return CudaAddress(reinterpret_cast<uintptr_t>(memory));
}

} // namespace ringc
