#pragma once

#include "ringc/ring/Plan.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringc {

/// What a span of time is.
///
///     Compute    the kernels of a hop ran
///     Exposed    a transfer was posted or waited for, and no kernel of the rank ran
///     Keys       K, V and what travels with them were on their way, until the rank saw them come
///     Gradients  dK, dV were
///
/// Compute and Exposed spans of a rank do not overlap; transfers lie beside them: what a transfer
/// has in common with Compute was hidden.
enum class SpanKind : uint8_t { Compute, Exposed, Keys, Gradients };

inline constexpr std::array<SpanKind, 4> allSpanKinds = {SpanKind::Compute, SpanKind::Exposed,
                                                         SpanKind::Keys, SpanKind::Gradients};

/// "compute", "exposed", "keys", "gradients"
std::string_view nameOf(SpanKind kind);

/// One line of a trace. Times count from the start of the trace.
struct Span {
  Pass pass = Pass::Forward;
  int rank = 0; ///< of the world
  int hop = 0;  ///< step of the plan
  SpanKind kind = SpanKind::Compute;
  std::chrono::nanoseconds start{0}, end{0};

  std::chrono::nanoseconds length() const { return end - start; }
  bool operator==(const Span &) const = default;
};

/// Takes the time where kernels run. Host: at once. A device: when its stream gets there, so that
/// times are known only when it has.
class TraceClock {
public:
  using Time = std::chrono::steady_clock::time_point;

  virtual ~TraceClock() = default;

  /// Notes the time at which all that was asked for before is done; marks count from 0.
  virtual size_t mark() = 0;
  /// Waits until it is known.
  virtual Time timeOf(size_t mark) = 0;
};

/// The calling thread's clock.
class HostTraceClock final : public TraceClock {
public:
  size_t mark() override;
  Time timeOf(size_t mark) override { return times[mark]; }

private:
  std::vector<Time> times;
};

/// Collects the spans of passes, from any thread, while it records.
class Trace {
public:
  /// Forgets all; records from now on, with times that count from now.
  void start();

  bool isRecording() const { return recording; }

  /// Ends recording. All spans by pass, rank and start; waits for devices that have not come to
  /// them. No rank may be running.
  std::vector<Span> stop();

private:
  friend class PassTrace;
  struct Marked {
    Span span; ///< without times
    size_t start, end;
  };
  struct Rank {
    std::unique_ptr<TraceClock> clock;
    std::vector<Marked> spans;
  };

  std::atomic<bool> recording = false;
  TraceClock::Time origin;
  std::mutex mutex;
  std::vector<Rank> ranks; ///< one for each pass of each
};

/// One rank's part in one pass. Does nothing without a trace that records.
class PassTrace {
public:
  /// `makeClock` is called where the pass is recorded. `trace`, which may be null, must outlive it.
  PassTrace(Trace *trace, Pass pass, int rank,
            const std::function<std::unique_ptr<TraceClock>()> &makeClock);

  /// Where a span may begin.
  size_t mark() { return own.clock ? own.clock->mark() : 0; }

  /// From a mark to now.
  void span(int hop, SpanKind kind, size_t start);

  /// Gives all to the trace, at the end of the pass.
  void finish();

private:
  Trace *trace;
  Pass pass;
  int rank;
  Trace::Rank own;
};

/// Of each hop of a pass, the longest time that a rank spent in Exposed spans. One entry for each
/// hop up to the last that has a span.
std::vector<std::chrono::nanoseconds> exposedByHop(std::span<const Span> spans, Pass pass);

/// The Chrome trace format, for chrome://tracing and ui.perfetto.dev: ranks are processes; compute
/// and exposed spans are their first thread, keys and gradients the others. Names are the kinds,
/// categories the passes; times are in microseconds; each event has its hop as an argument.
std::string traceJson(std::span<const Span> spans);

} // namespace ringc
