#include "MadeUpSearch.h"

#include <algorithm>
#include <cmath>

namespace ringc::testing {

using cli::PlotCandidate;
using cli::PlotPanel;

namespace {

/// The later rounds of a search: the best three again.
void repeatBest(PlotPanel &panel, double from) {
  std::vector<size_t> order;
  for (size_t at = 0; at < panel.candidates.size(); ++at)
    if (panel.candidates[at].verdict == TuneVerdict::Measured && at != panel.base)
      order.push_back(at);
  std::ranges::stable_sort(order, {}, [&](size_t at) { return panel.candidates[at].ratio; });
  order.resize(std::min<size_t>(order.size(), 3));
  double seconds = from;
  for (int round : {1, 2})
    for (size_t at : order)
      panel.candidates[at].judged.push_back(
          {.seconds = seconds += 1.1, .round = round, .ratio = panel.candidates[at].ratio});
  if (!order.empty() && panel.candidates[order[0]].ratio < 0.98)
    panel.best = order[0];
}

PlotPanel categories() {
  PlotPanel panel{
      .title = "ring",
      .facts = {"bf16", "d 128", "length 131072", "target sm_90", "masks causal", "8 ranks"},
      .space = 10,
      .spread = 0.002,
      .budgetSeconds = 120,
      .work = {.flops = 3.5e13, .bytes = 8.1e8}};
  double seconds = 3;
  for (const char *layout : {"contiguous", "striped", "bucket_striped:1024", "zigzag"})
    for (const char *schedule : {"ring", "all-gather"}) {
      double ratio = 1 + 0.11 * std::sin(seconds);
      panel.candidates.push_back({.dimensions = {{"layout", layout}, {"schedule", schedule}},
                                  .ratio = ratio,
                                  .milliseconds = 61 * ratio});
      panel.candidates.back().judged = {{.seconds = seconds += 7, .round = 0, .ratio = ratio}};
    }
  panel.candidates[0].ratio = panel.candidates[0].judged[0].ratio = 1;
  panel.candidates[5].verdict = TuneVerdict::TimedOut;
  panel.candidates[5].judged[0].ratio = 0;
  repeatBest(panel, seconds);
  return panel;
}

/// More values than have room for numbers.
PlotPanel crowded() {
  PlotPanel panel{.title = "matmul",
                  .facts = {"f32", "target cpu (znver4)"},
                  .space = 900,
                  .spread = 0.01,
                  .budgetSeconds = 600,
                  .work = {.flops = 2e9, .bytes = 2e9}};
  for (int column = 0; column < 40; ++column)
    for (int row = 0; row < 22; ++row) {
      double ratio = std::exp(0.002 * (column - 20) * (column - 20) - 0.03 * row);
      panel.candidates.push_back(
          {.dimensions = {{"block", std::to_string(column + 1000)}, {"rows", std::to_string(row)}},
           .ratio = ratio,
           .milliseconds = 3 * ratio});
      panel.candidates.back().judged = {
          {.seconds = 0.5 * double(panel.candidates.size()), .round = 0, .ratio = ratio}};
    }
  panel.candidates[0].ratio = panel.candidates[0].judged[0].ratio = 1;
  repeatBest(panel, 450);
  return panel;
}

} // namespace

PlotPanel madeUpPanel() {
  PlotPanel panel{
      .title = "attention_forward",
      .facts = {"f32", "d 64", "length 4096", "target cpu (znver3)", "masks causal+window"},
      .values = {{"q", {"16", "32", "48", "64", "96", "128"}},
                 {"kv", {"16", "32", "48", "64", "96", "128", "192", "256"}},
                 {"micro_rows", {"1", "2", "4", "8"}}},
      .space = 192,
      .spread = 0.004,
      .budgetSeconds = 60,
      .work = {.flops = 1.7e10, .bytes = 3.4e7}};
  double seconds = 1.5;
  for (int rows : {4, 2})
    for (int q : {64, 48, 96, 32, 128})
      for (int kv : {64, 96, 128, 48, 32, 192}) {
        double ratio = 1 + 0.2 * std::abs(std::log2(q / 48.0)) +
                       0.35 * std::abs(std::log2(kv / 96.0)) + 0.03 * double(rows == 2);
        panel.candidates.push_back({.dimensions = {{"q", std::to_string(q)},
                                                   {"kv", std::to_string(kv)},
                                                   {"micro_rows", std::to_string(rows)}},
                                    .ratio = ratio,
                                    .milliseconds = 120 * ratio});
        PlotCandidate &own = panel.candidates.back();
        if (q == 128 && kv > 100) {
          own.verdict = TuneVerdict::Wrong;
          own.reason = "1.5 times the error that it may have";
        }
        if (q == 128 && kv == 32) {
          own.verdict = rows == 2 ? TuneVerdict::Crashed : TuneVerdict::TimedOut;
          own.reason = rows == 2 ? "signal 11 (Segmentation fault)" : "";
        }
      }
  double base = panel.candidates[0].ratio;
  for (PlotCandidate &each : panel.candidates) {
    each.ratio = each.verdict == TuneVerdict::Measured ? each.ratio / base : 0;
    each.judged = {{.seconds = seconds += 0.55, .round = 0, .ratio = each.ratio}};
  }
  repeatBest(panel, seconds);
  return panel;
}

std::map<std::string, MadeUpPlot> madeUpPlots() {
  std::map<std::string, MadeUpPlot> plots;
  const MachinePeak measured{.flopsPerSecond = 1.9e11,
                             .bytesPerSecond = 2.1e10,
                             .products = "f32 FMA (AVX2), 2 threads",
                             .memory = "triad over 3 x 256 MiB, 2 threads"};
  PlotPanel usual = madeUpPanel();
  plots["usual"] = {{usual}, measured};
  plots["categories"] = {{categories()},
                         {.flopsPerSecond = 5.2e15,
                          .bytesPerSecond = 3.1e13,
                          .products = "mma.sync bf16, 8 devices",
                          .memory = "copy within a device, 8 devices"}};

  PlotPanel wide = usual;
  wide.title = "attention_backward_dkdv_of_a_kernel_whose_name_goes_on_and_on_and_on_and_on_and_on";
  wide.facts.back() = "masks /a/long/<folder>/with \"quotes\" & ampersands/" +
                      std::string(200, 'w') + "/mask.tile:near+causal";
  wide.facts.emplace_back("scores 表/スコア.tile:bent");
  for (PlotCandidate &each : wide.candidates)
    each.dimensions[0].first = each.dimensions[1].first + "_of_a_dimension_that_has_a_long_name";
  wide.values.clear();
  wide.candidates[3].verdict = TuneVerdict::Refused;
  wide.candidates[3].reason = "my.tile:1:1: error: <T> & \"U\"\x01\xff";
  wide.candidates[3].judged[0].ratio = 0;
  plots["wide"] = {{wide},
                   {.flopsPerSecond = 6.5e14,
                    .bytesPerSecond = 4.1e12,
                    .products = "mma.sync tf32, three for one of f32, 8 devices",
                    .memory = "copy within a device, 8 devices"}};

  plots["crowded"] = {{crowded()}, measured};

  PlotPanel one = usual;
  one.candidates.resize(1);
  one.candidates[0].judged.resize(1);
  one.best = 0;
  PlotPanel strip = one;
  strip.values = {{"BM", {"32", "64"}}};
  strip.candidates[0].dimensions = {{"BM", "32"}};
  PlotCandidate faster{.dimensions = {{"BM", "64"}}, .ratio = 0.5, .milliseconds = 60};
  faster.judged = {{.seconds = 4, .round = 0, .ratio = 0.5}};
  strip.candidates.push_back(faster);
  strip.best = 1;
  PlotPanel none = one;
  none.values.clear();
  none.candidates[0].dimensions.clear();
  none.work = {};
  PlotPanel empty = none;
  empty.candidates.clear();
  // None is surely faster than the default, which is behind another candidate in its cell.
  PlotPanel noisy = usual;
  noisy.best = 0;
  for (PlotCandidate &each : noisy.candidates)
    std::swap(each.dimensions[0].second, each.dimensions[2].second);
  noisy.values.clear();
  plots["noisy"] = {{noisy},
                    {.problem = "a reason that is so long, that it does not fit in a line, and has "
                                "to go on in the next line or two"}};
  plots["few"] = {{one, strip, none, empty}, {.problem = "signal 11 (Segmentation fault)"}};
  plots["nothing"] = {};
  return plots;
}

} // namespace ringc::testing
