#include "ringc/ring/Trace.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cassert>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace ringc {

namespace {

using Json = nlohmann::ordered_json;

/// The thread of a rank's process that shows it.
int laneOf(SpanKind kind) {
  switch (kind) {
  case SpanKind::Compute:
  case SpanKind::Exposed:
    return 0;
  case SpanKind::Keys:
    return 1;
  case SpanKind::Gradients:
    return 2;
  }
  assert(false && "not a SpanKind");
  return 0;
}

const char *laneName(int lane) {
  constexpr std::array names = {"rank", "keys", "gradients"};
  return names[size_t(lane)];
}

double microseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

Json title(const char *what, int rank, int lane, const std::string &name) {
  return {{"name", what}, {"ph", "M"}, {"pid", rank}, {"tid", lane}, {"args", {{"name", name}}}};
}

} // namespace

std::string_view nameOf(SpanKind kind) {
  switch (kind) {
  case SpanKind::Compute:
    return "compute";
  case SpanKind::Exposed:
    return "exposed";
  case SpanKind::Keys:
    return "keys";
  case SpanKind::Gradients:
    return "gradients";
  }
  assert(false && "not a SpanKind");
  return "";
}

size_t HostTraceClock::mark() {
  times.push_back(std::chrono::steady_clock::now());
  return times.size() - 1;
}

void Trace::start() {
  std::lock_guard lock(mutex);
  ranks.clear();
  origin = std::chrono::steady_clock::now();
  recording = true;
}

std::vector<Span> Trace::stop() {
  std::lock_guard lock(mutex);
  recording = false;
  std::vector<Span> spans;
  for (const Rank &rank : ranks)
    for (const Marked &marked : rank.spans) {
      Span &span = spans.emplace_back(marked.span);
      span.start = rank.clock->timeOf(marked.start) - origin;
      span.end = rank.clock->timeOf(marked.end) - origin;
    }
  ranks.clear();
  std::ranges::stable_sort(spans, {}, [](const Span &span) {
    return std::tuple(span.pass, span.rank, span.start, span.end);
  });
  return spans;
}

PassTrace::PassTrace(Trace *ownTrace, Pass ownPass, int ownRank,
                     const std::function<std::unique_ptr<TraceClock>()> &makeClock)
    : trace(ownTrace), pass(ownPass), rank(ownRank) {
  if (trace && trace->isRecording())
    own.clock = makeClock();
}

void PassTrace::span(int hop, SpanKind kind, size_t start) {
  if (own.clock)
    own.spans.push_back({{.pass = pass, .rank = rank, .hop = hop, .kind = kind}, start, mark()});
}

void PassTrace::finish() {
  if (!own.clock)
    return;
  std::lock_guard lock(trace->mutex);
  trace->ranks.push_back(std::exchange(own, {}));
}

std::vector<std::chrono::nanoseconds> exposedByHop(std::span<const Span> spans, Pass pass) {
  std::map<std::pair<int, int>, std::chrono::nanoseconds> sums; // by hop and rank
  int hops = 0;
  for (const Span &span : spans)
    if (span.pass == pass) {
      hops = std::max(hops, span.hop + 1);
      if (span.kind == SpanKind::Exposed)
        sums[{span.hop, span.rank}] += span.length();
    }
  std::vector<std::chrono::nanoseconds> longest(static_cast<size_t>(hops));
  for (const auto &[at, time] : sums) {
    auto &hop = longest[size_t(at.first)];
    hop = std::max(hop, time);
  }
  return longest;
}

std::string traceJson(std::span<const Span> spans) {
  std::set<std::pair<int, int>> lanes;
  for (const Span &span : spans)
    lanes.emplace(span.rank, laneOf(span.kind));
  Json events = Json::array();
  int named = -1;
  for (auto [rank, lane] : lanes) {
    if (rank != named)
      events.push_back(title("process_name", rank, lane, "rank " + std::to_string(rank)));
    events.push_back(title("thread_name", rank, lane, laneName(lane)));
    named = rank;
  }
  for (const Span &span : spans)
    events.push_back({{"name", nameOf(span.kind)},
                      {"cat", nameOf(span.pass)},
                      {"ph", "X"},
                      {"pid", span.rank},
                      {"tid", laneOf(span.kind)},
                      {"ts", microseconds(span.start)},
                      {"dur", microseconds(span.length())},
                      {"args", {{"hop", span.hop}}}});
  return Json{{"traceEvents", events}, {"displayTimeUnit", "ms"}}.dump(1) + "\n";
}

} // namespace ringc
