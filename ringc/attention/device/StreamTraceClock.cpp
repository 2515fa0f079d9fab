#include "ringc/attention/device/StreamTraceClock.h"

namespace ringc {

StreamTraceClock::StreamTraceClock(const CudaStream &order)
    : stream(order), first(order.device(), CudaEvent::Timing::On) {
  first.record(stream);
  first.synchronize();
  origin = std::chrono::steady_clock::now();
}

size_t StreamTraceClock::mark() {
  events.emplace_back(stream.device(), CudaEvent::Timing::On).record(stream);
  return events.size() - 1;
}

TraceClock::Time StreamTraceClock::timeOf(size_t mark) {
  events[mark].synchronize();
  std::chrono::duration<double, std::milli> since(events[mark].since(first));
  return origin + std::chrono::duration_cast<std::chrono::nanoseconds>(since);
}

} // namespace ringc
