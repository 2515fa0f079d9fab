#include "ringc/ring/Trace.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <set>
#include <stdexcept>

using namespace ringc;
using namespace std::chrono_literals;

namespace {

const std::vector<Span> spans = {
    {Pass::Forward, 0, 0, SpanKind::Compute, 1us, 5us},
    {Pass::Forward, 0, 0, SpanKind::Keys, 500ns, 9us},
    {Pass::Forward, 0, 0, SpanKind::Exposed, 5us, 9us},
    {Pass::Forward, 1, 0, SpanKind::Exposed, 0us, 1us},
    {Pass::Forward, 1, 0, SpanKind::Exposed, 7us, 9us},
    {Pass::Forward, 1, 2, SpanKind::Compute, 9us, 9500ns},
    {Pass::Backward, 1, 1, SpanKind::Gradients, 20us, 30us},
};

} // namespace

TEST_CASE("exposed time of a hop is that of its slowest rank") {
  CHECK(exposedByHop(spans, Pass::Forward) == std::vector<std::chrono::nanoseconds>{4us, 0us, 0us});
  CHECK(exposedByHop(spans, Pass::Backward) == std::vector<std::chrono::nanoseconds>{0us, 0us});
  CHECK(exposedByHop({}, Pass::Forward).empty());
}

TEST_CASE("what passes give while a trace records, by pass, rank and start") {
  Trace trace;
  auto record = [&](Pass pass, int rank) {
    PassTrace own(&trace, pass, rank, [] { return std::make_unique<HostTraceClock>(); });
    size_t start = own.mark();
    own.span(3, SpanKind::Exposed, start);
    own.span(4, SpanKind::Keys, start);
    own.finish();
  };
  record(Pass::Forward, 0);
  CHECK(trace.stop().empty()); // was not started
  trace.start();
  record(Pass::Backward, 0);
  record(Pass::Forward, 1);
  record(Pass::Forward, 0);
  std::vector<Span> taken = trace.stop();
  REQUIRE(taken.size() == 6);
  for (size_t i = 0; i < 6; ++i) {
    CHECK(taken[i].pass == (i < 4 ? Pass::Forward : Pass::Backward));
    CHECK(taken[i].rank == (i / 2 == 1 ? 1 : 0));
    CHECK(taken[i].hop == (i % 2 == 0 ? 3 : 4));
    CHECK(taken[i].kind == (i % 2 == 0 ? SpanKind::Exposed : SpanKind::Keys));
    CHECK(taken[i].start.count() >= 0);
    CHECK(taken[i].start <= taken[i].end);
  }
  CHECK(trace.stop().empty());
}

TEST_CASE("without a trace nothing is asked of a clock") {
  PassTrace none(nullptr, Pass::Forward, 0,
                 []() -> std::unique_ptr<TraceClock> { throw std::logic_error("asked"); });
  none.span(0, SpanKind::Compute, none.mark());
  none.finish();
}

TEST_CASE("the Chrome trace format") {
  nlohmann::json parsed = nlohmann::json::parse(traceJson(spans));
  CHECK(parsed["displayTimeUnit"] == "ms");
  std::vector<nlohmann::json> events, titles;
  for (const nlohmann::json &event : parsed["traceEvents"])
    (event["ph"] == "X" ? events : titles).push_back(event);
  REQUIRE(events.size() == spans.size());
  for (size_t i = 0; i < spans.size(); ++i) {
    CHECK(events[i]["name"] == nameOf(spans[i].kind));
    CHECK(events[i]["cat"] == nameOf(spans[i].pass));
    CHECK(events[i]["pid"] == spans[i].rank);
    CHECK(events[i]["args"]["hop"] == spans[i].hop);
    CHECK(events[i]["ts"] == double(spans[i].start.count()) / 1000);
    CHECK(events[i]["dur"] == double(spans[i].length().count()) / 1000);
  }
  // Compute and exposed time share a line; each line that is used has its names.
  CHECK(events[0]["tid"] == events[2]["tid"]);
  CHECK(events[0]["tid"] != events[1]["tid"]);
  std::set<std::tuple<std::string, int, int, std::string>> named;
  for (const nlohmann::json &event : titles) {
    CHECK(event["ph"] == "M");
    named.emplace(event["name"], event["pid"], event["tid"], event["args"]["name"]);
  }
  CHECK(titles.size() == 6); // two ranks, four lines
  CHECK(named.contains({"process_name", 1, 0, "rank 1"}));
  CHECK(named.contains({"thread_name", 1, 2, "gradients"}));
  CHECK(named.contains({"thread_name", 0, 1, "keys"}));
}

TEST_CASE("an empty trace is one, too") {
  CHECK(nlohmann::json::parse(traceJson({}))["traceEvents"].empty());
}

TEST_CASE("every kind has its own name") {
  std::set<std::string_view> names;
  for (SpanKind kind : allSpanKinds)
    names.insert(nameOf(kind));
  CHECK(names.size() == allSpanKinds.size());
}
