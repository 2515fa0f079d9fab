// The pictures of a search. How they look is checked by cli.plot, in a browser, on the same made-up
// searches: RINGC_PLOT_SAMPLES names a folder that they are written to.

#include "MadeUpSearch.h"
#include "WellFormed.h"
#include "tools/ringc/PlotScale.h"
#include "tools/ringc/SvgText.h"
#include "tools/ringc/TuneCharts.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <regex>

using namespace ringc;
using namespace ringc::cli;
using ringc::testing::madeUpPanel;
using ringc::testing::madeUpPlots;
using ringc::testing::notWellFormed;

namespace {

size_t countOf(const std::string &text, const std::string &what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
    ++count;
  return count;
}

bool has(const std::string &text, const std::string &what) {
  return text.find(what) != std::string::npos;
}

} // namespace

TEST_CASE("every picture is well-formed") {
  CHECK(notWellFormed("<a b=\"&amp;\"><c/>&lt;</a>") == "");
  for (const char *wrong : {"<a>", "<a></b>", "<a/><b/>", "<a>&</a>", "<a b=\"<\"/>",
                            "<a b=\"1\" b=\"1\"/>", "<a b=1/>", "text<a/>", ""})
    CHECK(notWellFormed(wrong) != "");
  const char *folder = std::getenv("RINGC_PLOT_SAMPLES");
  for (const auto &[name, plot] : madeUpPlots()) {
    CAPTURE(name);
    std::string svg = plotSvg(plot.panels, plot.peak), html = plotHtml(plot.panels, plot.peak);
    CHECK(notWellFormed(svg) == "");
    CHECK(html.starts_with("<!DOCTYPE html>"));
    CHECK(html.find("http") == html.find("http://www.w3.org/2000/svg")); // it needs no network
    if (folder) {
      std::ofstream(std::string(folder) + "/" + name + ".svg") << svg;
      std::ofstream(std::string(folder) + "/" + name + ".html") << html;
    }
  }
}

TEST_CASE("cells: measured by the best, rejected with their reason, not tried") {
  PlotPanel panel = madeUpPanel();
  std::vector<PlotAxis> axes = plotAxes(panel);
  REQUIRE(axes.size() == 3);
  CHECK(axes[0].name == "kv");
  CHECK(axes[1].name == "q");
  CHECK(axes[0].explains > axes[1].explains);
  CHECK(axes[2].explains < 0.05);
  CHECK(axes[0].values.back() == "256");
  std::string svg = plotSvg({panel}, {});
  CHECK(countOf(svg, "class=\"cell rejected\"") == 3);
  CHECK(countOf(svg, "class=\"cell measured\"") == 27);
  CHECK(countOf(svg, "class=\"cell untried\"") == 18);
  CHECK(has(svg, ">wrong</text>"));
  CHECK(has(svg, ">rejected</text>"));
  CHECK(has(svg, "wrong: 1.5 times the error that it may have"));
  CHECK(countOf(svg, ">best</text>") >= 2);
  CHECK(has(svg, "mark-default"));
}

TEST_CASE("a result of the tuner") {
  Spec spec{.kernel = "attention_forward", .headDim = 64, .mask = {"a<b>.tile:near", "causal"}};
  Target host{.name = "cpu", .chip = "znver3", .vectorRegisters = 16};
  TunedKernel kernel;
  kernel.task = {.spec = spec,
                 .target = host,
                 .key = tuneKeyOf(spec, SourceSet(), host, {.length = 1000}),
                 .work = {.flops = 4e9, .bytes = 1e6}};
  kernel.space = 432;
  kernel.budget = std::chrono::seconds(20);
  TuneCandidate first{.config = chooseTileConfig(spec, host), .ms = {1, 2, 3}, .base = {1, 2, 3}};
  first.ratio = 1;
  first.judged = {{.seconds = 1, .round = 0, .ratio = 1}};
  TuneCandidate second = first, third = first;
  second.config.tile["q"] = 32;
  second.base = {20, 20, 20, 20}; // in turns with it, when the machine was slower
  second.ms = {10, 10, 10, 10};
  second.ratio = second.judged[0].ratio = 0.5;
  third.config.tile["q"] = 128;
  third.verdict = TuneVerdict::Refused;
  third.reason = "too <large>";
  third.ms = third.base = {};
  kernel.candidates = {first, second, third};
  kernel.best = 1;
  PlotPanel panel = panelOf(kernel);
  CHECK(panel.candidates[0].milliseconds == 20);
  CHECK(panel.candidates[1].milliseconds == 10);
  CHECK(panel.budgetSeconds == 20);
  std::string svg = plotSvg({panel}, {});
  CHECK(notWellFormed(svg) == "");
  for (const char *expected :
       {">attention_forward<", "f32, d 64, length 1024, target cpu (znver3)",
        "masks a&lt;b&gt;.tile:near+causal", "refused: too &lt;large&gt;", "budget 20 s",
        "3 of 432 tried in 1 s", "best 400 GFLOP/s", "default 200 GFLOP/s"})
    CHECK_MESSAGE(has(svg, expected), expected);
  // The first could not be had, and the second took its place.
  kernel.candidates[0].verdict = TuneVerdict::Wrong;
  kernel.candidates[0].judged[0].ratio = 0;
  kernel.base = 1;
  kernel.candidates[1].ratio = 1;
  svg = plotSvg({panelOf(kernel)}, {});
  CHECK(has(svg, "the default cannot be had (wrong): what is called so is the first that can"));
  CHECK(has(svg, ">1</text>"));
}

TEST_CASE("dimensions: none, one, one candidate, categories") {
  PlotPanel panel = madeUpPanel();
  panel.candidates.resize(1);
  panel.best = 0;
  std::string svg = plotSvg({panel}, {});
  CHECK(countOf(svg, "class=\"cell measured\"") == 1);
  CHECK(has(svg, "of the best: none is surely faster"));
  panel.values = {{"q", {"64", "96"}}};
  panel.candidates[0].dimensions = {{"q", "64"}};
  svg = plotSvg({panel}, {});
  CHECK(countOf(svg, "class=\"cell measured\"") == 1);
  CHECK(countOf(svg, "class=\"cell untried\"") == 1);
  panel.values.clear();
  panel.candidates[0].dimensions.clear();
  CHECK(has(plotSvg({panel}, {}), "This kernel has no dimensions to choose."));
  panel.candidates = {{.dimensions = {{"n", "10"}, {"how", "b"}}, .ratio = 1, .milliseconds = 1},
                      {.dimensions = {{"n", "9"}, {"how", "a"}}, .ratio = 1, .milliseconds = 1},
                      {.dimensions = {{"n", "1e1"}}, .ratio = 1, .milliseconds = 1}};
  std::vector<PlotAxis> axes = plotAxes(panel);
  CHECK(axes[0].values == std::vector<std::string>{"9", "10", "1e1"});
  CHECK(axes[1].values == std::vector<std::string>{"b", "a", "-"});
}

TEST_CASE("the roofline: what was measured, and what was not") {
  PlotPanel panel = madeUpPanel();
  std::string svg = plotSvg(
      {panel},
      {.flopsPerSecond = 2e11, .bytesPerSecond = 2e10, .products = "f32 FMA", .memory = "triad"});
  CHECK(has(svg, "17 GFLOP over 34 MB: 500 FLOP per byte"));
  CHECK(has(svg, "Products: 200 GFLOP/s, f32 FMA"));
  CHECK(has(svg, "Memory: 20 GB/s, triad"));
  // 17 GFLOP in 120 ms, of 200 GFLOP/s.
  panel.candidates[0].milliseconds = 120;
  panel.best = 0;
  svg = plotSvg({panel}, {.flopsPerSecond = 2e11, .bytesPerSecond = 2e10});
  CHECK(has(svg, "default 142 GFLOP/s, 71 %"));
  svg = plotSvg({panel}, {.problem = "no device"});
  CHECK(has(svg, "Peak not measured: no device"));
  CHECK(has(svg, "default 142 GFLOP/s<"));
  CHECK(has(plotSvg({panel}, {.flopsPerSecond = 2e11, .problem = "no memory"}),
            "Memory not measured: no memory"));
  panel.work = {};
  CHECK(has(plotSvg({panel}, {}), "It is not known how many FLOP"));
}

TEST_CASE("what comes from outside is escaped") {
  CHECK(escapeXml("a<b>&\"c\"\n\x01\xff\xc0\xafé") ==
        "a&lt;b&gt;&amp;&quot;c&quot;&#10;\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDé");
  CHECK(shortened("abc", 1000, 10) == "abc");
  std::string path = "/home/somebody/masks/near.tile";
  std::string shorter = shortened(path, textWidth(path, 10) - 20, 10);
  CHECK(textWidth(shorter, 10) <= textWidth(path, 10) - 20);
  CHECK(shorter.ends_with("near.tile"));
  CHECK(shortened("ééééé", 1, 10) == "…");
  for (const std::string &line : wrapped({"one", "two", std::string(300, 'm')}, 100, 12))
    CHECK(textWidth(line, 12) <= 100);
}

TEST_CASE("numbers and scales") {
  CHECK(withPrefix(2.37e11, "FLOP/s") == "237 GFLOP/s");
  CHECK(withPrefix(999.7e6, "B") == "1 GB");
  CHECK(withPrefix(12, "B") == "12 B");
  CHECK(plainNumber(43217) == "43200");
  CHECK(plainNumber(1e5) == "100000");
  CHECK(plainNumber(0.12345) == "0.123");
  PlotScale decades{.low = 1, .high = 1e4, .from = 0, .to = 400, .kind = PlotScale::Kind::Log};
  CHECK(decades.ticks(40).size() == 5);
  CHECK(decades(100) == doctest::Approx(200));
  PlotScale linear{.low = 0, .high = 61, .from = 0, .to = 300};
  CHECK(linear.ticks(48) == std::vector<double>{0, 10, 20, 30, 40, 50, 60});
  CHECK(linear.clamped(70) == 300);
}
