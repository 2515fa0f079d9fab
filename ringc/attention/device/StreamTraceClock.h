#pragma once

#include "ringc/driver/CudaStream.h"
#include "ringc/ring/Trace.h"

#include <deque>

namespace ringc {

/// The times of a stream: events in its order, placed against the host's clock by a first one that
/// the host waits for. So it begins with an idle stream, and cannot be captured in a graph.
class StreamTraceClock final : public TraceClock {
public:
  /// `stream` must outlive the last mark.
  explicit StreamTraceClock(const CudaStream &stream);

  size_t mark() override;
  Time timeOf(size_t mark) override;

private:
  const CudaStream &stream;
  CudaEvent first;
  Time origin;
  std::deque<CudaEvent> events;
};

} // namespace ringc
