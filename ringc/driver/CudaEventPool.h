#pragma once

#include "ringc/driver/CudaStream.h"

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace ringc {

/// Events of one device, made once and used again and again. An event may be given back as soon as
/// all who shall wait for it have been told: what they wait for is its latest record at that time.
/// Safe to use from many threads.
class CudaEventPool {
public:
  explicit CudaEventPool(std::shared_ptr<const CudaDevice> device)
      : shared(std::make_shared<Free>(std::move(device))) {}

  /// Goes back to the pool with its last owner; may outlive the pool.
  std::shared_ptr<const CudaEvent> take() const {
    std::unique_ptr<CudaEvent> event;
    {
      std::lock_guard lock(shared->mutex);
      if (!shared->events.empty()) {
        event = std::move(shared->events.back());
        shared->events.pop_back();
      }
    }
    if (!event) {
      event = std::make_unique<CudaEvent>(shared->device);
      std::lock_guard lock(shared->mutex);
      shared->events.reserve(++shared->made); // coming back takes no memory
    }
    return {event.release(), [home = shared](const CudaEvent *over) noexcept {
              std::unique_ptr<CudaEvent> back(const_cast<CudaEvent *>(over));
              std::lock_guard lock(home->mutex);
              home->events.push_back(std::move(back));
            }};
  }

  /// What `stream` has been given so far.
  std::shared_ptr<const CudaEvent> record(const CudaStream &stream) const {
    std::shared_ptr<const CudaEvent> event = take();
    event->record(stream);
    return event;
  }

private:
  struct Free {
    explicit Free(std::shared_ptr<const CudaDevice> on) : device(std::move(on)) {}

    std::shared_ptr<const CudaDevice> device;
    std::mutex mutex;
    std::vector<std::unique_ptr<CudaEvent>> events;
    size_t made = 0;
  };
  std::shared_ptr<Free> shared;
};

} // namespace ringc
