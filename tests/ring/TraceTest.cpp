#include "tests/ring/RingRun.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

int64_t count(const std::vector<Span> &spans, int rank, int hop, SpanKind kind) {
  return std::ranges::count_if(spans, [&](const Span &span) {
    return span.rank == rank && span.hop == hop && span.kind == kind;
  });
}

bool movesKeys(const Step &step) { return step.keysTo || step.keysFrom; }
bool movesGradients(const Step &step) {
  return step.gradientsTo || step.gradientsFrom || step.homeFrom;
}

/// A span for what the plan has, none for what it has not. The keys of an all-gather move in one
/// exchange; gradients that are borrowed to be added to are waited for twice, until they are there
/// and until those lent are back.
void checkHops(const std::vector<Span> &spans, const Plan &plan) {
  bool gathers = !plan.isRing();
  for (const Step &step : plan.steps) {
    bool keys =
        gathers ? step.step == 0 && std::ranges::any_of(plan.steps, movesKeys) : movesKeys(step);
    CAPTURE(plan.rank);
    CAPTURE(step.step);
    CHECK((count(spans, plan.rank, step.step, SpanKind::Compute) > 0) == step.computes());
    CHECK(count(spans, plan.rank, step.step, SpanKind::Keys) == int(keys));
    CHECK(count(spans, plan.rank, step.step, SpanKind::Gradients) == int(movesGradients(step)));
    int exchanges = int(keys) + int(movesGradients(step));
    CHECK(count(spans, plan.rank, step.step, SpanKind::Exposed) ==
          2 * exchanges + int(gathers && step.gradientsTo)); // post, wait
  }
}

/// Compute and exposed spans of a rank, which `stop` has sorted, follow each other.
void checkOrder(const std::vector<Span> &spans) {
  std::map<int, std::chrono::nanoseconds> ends;
  for (const Span &span : spans) {
    CHECK(span.start <= span.end);
    if (span.kind != SpanKind::Compute && span.kind != SpanKind::Exposed)
      continue;
    CHECK(span.start >= ends[span.rank]);
    ends[span.rank] = span.end;
  }
}

std::vector<Span> ofPass(const std::vector<Span> &spans, Pass pass) {
  std::vector<Span> some;
  std::ranges::copy_if(spans, std::back_inserter(some),
                       [&](const Span &span) { return span.pass == pass; });
  return some;
}

} // namespace

TEST_CASE("the spans of a rank are its plan's hops and do not overlap") {
  for (Schedule schedule : commonSchedules)
    for (int ringSize : {1, 2, 4})
      for (int64_t window : {-1, 3}) { // all hops, dead hops
        RingCase ring{.world = 4,
                      .ringSize = ringSize,
                      .schedule = schedule,
                      .batch = 4,
                      .queries = 16,
                      .keys = 16,
                      .mask = {true, window, -1}};
        CAPTURE(ring.name());
        Trace trace;
        trace.start();
        std::vector<RunReport> reports;
        runRing(ring, randomInputs(ring, 3), {.trace = &trace}, &reports);
        std::vector<Span> spans = trace.stop();
        CHECK(trace.stop().empty());
        runRing(ring, randomInputs(ring, 3), {.trace = &trace});
        CHECK(trace.stop().empty()); // does not record
        std::vector<Span> forward = ofPass(spans, Pass::Forward),
                          backward = ofPass(spans, Pass::Backward);
        checkOrder(forward);
        checkOrder(backward);
        for (const RunReport &report : reports) {
          checkHops(forward, report.forwardPlan);
          checkHops(backward, report.backwardPlan);
        }
      }
}

TEST_CASE("the computing of a report lies in the spans of its rank") {
  RingCase ring{.world = 3, .ringSize = 3, .queries = 30, .keys = 30};
  Trace trace;
  trace.start();
  std::vector<RunReport> reports;
  runRing(ring, randomInputs(ring, 4), {.trace = &trace}, &reports);
  std::vector<std::chrono::nanoseconds> computing(3);
  for (const Span &span : trace.stop())
    if (span.pass == Pass::Forward && span.kind == SpanKind::Compute)
      computing[size_t(span.rank)] += span.length();
  for (size_t rank = 0; rank < 3; ++rank)
    CHECK(computing[rank] >= reports[rank].forward.computing);
}
