#include "tools/ringc/PlotScale.h"
#include "tools/ringc/SvgText.h"
#include "tools/ringc/Table.h"
#include "tools/ringc/TuneCharts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

namespace ringc::cli {

namespace {

constexpr double leftMargin = 62, lane = 18; ///< of what was rejected, above the ratios

struct Moment {
  size_t candidate = 0;
  TuneJudgement judged;
};

std::vector<Moment> momentsOf(const PlotPanel &panel) {
  std::vector<Moment> moments;
  for (size_t at = 0; at < panel.candidates.size(); ++at)
    for (const TuneJudgement &each : panel.candidates[at].judged)
      moments.push_back({at, each});
  std::ranges::stable_sort(moments, {}, [](const Moment &each) { return each.judged.seconds; });
  return moments;
}

class Convergence {
public:
  Convergence(Svg &into, Point where, double wide, const PlotPanel &of, std::vector<Moment> given)
      : svg(into), at(where), width(wide), panel(of), moments(std::move(given)),
        area{where.x + leftMargin, where.y + chartTop, wide - leftMargin - 8, chartHeight} {
    constexpr double leastBelow = 0.95, leastAbove = 1.2, mostAbove = 3, margin = 1.03;
    double low = leastBelow, high = leastAbove;
    for (const Moment &each : moments) {
      if (each.judged.ratio > 0) {
        low = std::min(low, each.judged.ratio);
        high = std::max(high, each.judged.ratio);
      } else {
        hasRejected = true;
      }
      rounds = std::max(rounds, each.judged.round);
    }
    clips = high > mostAbove;
    y = {low / margin, std::min(high, mostAbove) * margin, area.bottom(),
         area.y + (hasRejected ? lane : 0), PlotScale::Kind::Log};
    x = {0, std::max(panel.budgetSeconds, moments.back().judged.seconds) * margin, area.x,
         area.right(), PlotScale::Kind::Linear};
  }

  double draw() {
    drawHeading(svg, at, width, "Convergence",
                std::to_string(panel.candidates.size()) + " of " + std::to_string(panel.space) +
                    " tried in " + number(moments.back().judged.seconds, 3) + " s");
    drawRounds();
    drawAxes();
    drawDots();
    drawBestSoFar();
    return drawCaptions();
  }

private:
  /// From the end of the round before to its own last judgement.
  void drawRounds() {
    constexpr double raise = 5;
    double begin = 0;
    std::vector<Box> labels;
    double budgetEnds = 0;
    if (panel.budgetSeconds > 0) {
      std::string budget = "budget " + number(panel.budgetSeconds, 3) + " s";
      budgetEnds = x(panel.budgetSeconds);
      double from = budgetEnds - textWidth(budget, smallSize);
      svg.line({budgetEnds, area.y}, {budgetEnds, area.bottom()}, "budget");
      svg.text({budgetEnds, area.y - raise}, budget, "small", Svg::Anchor::End);
      labels.push_back({from, area.y - lineHeight, budgetEnds - from, lineHeight});
    }
    for (int round = 0; round <= rounds; ++round) {
      double end = begin;
      for (const Moment &each : moments)
        if (each.judged.round == round)
          end = std::max(end, each.judged.seconds);
      Box band{x(begin), area.y, x(end) - x(begin), area.height};
      svg.rect(band, {round % 2 ? "round odd" : "round even"});
      std::string name = std::to_string(round + 1);
      double wide = textWidth(name, smallSize) + 2;
      Box label{band.x + band.width / 2 - wide / 2, area.y - lineHeight, wide, lineHeight};
      bool free =
          std::ranges::none_of(labels, [&](const Box &other) { return other.overlaps(label); });
      if (free && band.width > 0) {
        svg.text({band.x + band.width / 2, area.y - raise}, name, "small", Svg::Anchor::Middle);
        labels.push_back(label);
      }
      begin = end;
    }
  }

  void drawAxes() {
    constexpr double gap = 6, letter = 14, labelDrop = 18, apart = 48, baseLine = 4;
    for (double tick : x.ticks(apart))
      svg.text({x(tick), area.bottom() + labelDrop}, number(tick, 4), "small", Svg::Anchor::Middle);
    for (double tick : y.ticks(lineHeight)) {
      svg.line({area.x, y(tick)}, {area.right(), y(tick)}, "grid");
      svg.text({area.x - gap, y(tick) + baseLine}, number(tick, 3), "small", Svg::Anchor::End);
    }
    svg.line({area.x, y(1)}, {area.right(), y(1)}, "guide");
    if (hasRejected) {
      svg.line({area.x, area.y + lane}, {area.right(), area.y + lane}, "grid");
      svg.text({area.x - gap, area.y + lane / 2}, "rejected", "tiny", Svg::Anchor::End);
    }
    svg.rect(area, {"frame", "none"});
    svg.text({area.x + area.width / 2, area.bottom() + 2 * labelDrop},
             "seconds since the search began", "body", Svg::Anchor::Middle);
    svg.textUpwards({at.x + letter - 2, area.y + area.height / 2}, "time over the default's",
                    "body", Svg::Anchor::Middle);
  }

  void drawDots() {
    for (const Moment &each : moments) {
      const PlotCandidate &own = panel.candidates[each.candidate];
      double across = x(each.judged.seconds);
      if (!(each.judged.ratio > 0)) {
        svg.cross({across, area.y + lane / 2}, 4,
                  {"cross", {}, dimensionsText(own) + ": " + outcomeText(own)});
        continue;
      }
      std::string tooltip = dimensionsText(own) + ": " + number(each.judged.ratio, 3) +
                            " of the default's time after " + number(each.judged.seconds, 3) + " s";
      Point center{across, y.clamped(each.judged.ratio)};
      if (each.judged.ratio > y.high)
        svg.polygon(
            {{center.x - 4, center.y + 7}, {center.x, center.y}, {center.x + 4, center.y + 7}},
            {"dot", {}, tooltip});
      else
        svg.circle(center, each.judged.round == 0 ? 2.5 : 4,
                   {each.judged.round == 0 ? "dot" : "dot again", {}, tooltip});
    }
  }

  /// As it was known then: a candidate may turn out slower when it is tried again.
  void drawBestSoFar() {
    std::vector<double> known(panel.candidates.size(), std::numeric_limits<double>::infinity());
    std::vector<Point> line;
    for (const Moment &each : moments) {
      known[each.candidate] =
          each.judged.ratio > 0 ? each.judged.ratio : std::numeric_limits<double>::infinity();
      double best = *std::ranges::min_element(known);
      if (!std::isfinite(best))
        continue;
      double across = x(each.judged.seconds), height = y.clamped(best);
      if (!line.empty())
        line.push_back({across, line.back().y});
      line.push_back({across, height});
    }
    if (!line.empty())
      svg.path(line, "best-so-far");
    const PlotCandidate &base = panel.candidates[panel.base], &best = panel.candidates[panel.best];
    auto lastOf = [&](const PlotCandidate &candidate) {
      return Point{x(candidate.judged.back().seconds), y.clamped(candidate.ratio)};
    };
    if (!base.judged.empty() && base.ratio > 0)
      drawDefaultMark(svg, lastOf(base), "default, " + dimensionsText(base));
    if (panel.best != panel.base && !best.judged.empty() && best.ratio > 0)
      drawBestMark(svg, lastOf(best), "best, " + dimensionsText(best) + ": " + outcomeText(best));
  }

  double drawCaptions() {
    constexpr double below = 56, percent = 100;
    double line = area.bottom() + below;
    auto say = [&](const std::string &text) {
      svg.text({at.x, line}, shortened(text, width, smallSize), "small");
      line += lineHeight;
    };
    say(rounds > 0 ? "1: each once; then the best again, with more turns."
                   : "Each was tried once.");
    say("From turn to turn the default differs from itself by " +
        number(percent * panel.spread, 2) + " %.");
    std::vector<LegendEntry> entries = {
        {[](Svg &to, Point center) { to.circle(center, 2.5, {"dot"}); }, "a candidate"},
        {[](Svg &to, Point center) { to.circle(center, 4, {"dot again"}); }, "tried again"},
        {[](Svg &to, Point center) {
           to.path({{center.x - 9, center.y}, {center.x + 9, center.y}}, "best-so-far");
         },
         "best so far"},
        {[](Svg &to, Point center) { drawDefaultMark(to, center, ""); }, "default"},
        {[](Svg &to, Point center) { drawBestMark(to, center, ""); }, "best"}};
    if (hasRejected)
      entries.push_back(
          {[](Svg &to, Point center) { to.cross(center, 4, {"cross"}); }, "rejected"});
    if (clips)
      entries.push_back({[](Svg &to, Point center) {
                           to.polygon({{center.x - 4, center.y + 3},
                                       {center.x, center.y - 4},
                                       {center.x + 4, center.y + 3}},
                                      {"dot"});
                         },
                         "slower than that"});
    return drawLegend(svg, {at.x, line + 2}, width, entries);
  }

  Svg &svg;
  Point at;
  double width;
  const PlotPanel &panel;
  std::vector<Moment> moments;
  Box area;
  PlotScale x, y;
  int rounds = 0;
  bool hasRejected = false, clips = false;
};

} // namespace

double drawConvergence(Svg &svg, Point at, double width, const PlotPanel &panel) {
  std::vector<Moment> moments = momentsOf(panel);
  if (!moments.empty())
    return Convergence(svg, at, width, panel, std::move(moments)).draw();
  drawHeading(svg, at, width, "Convergence", "");
  return drawNothing(svg, at, width, "Nothing was tried.");
}

} // namespace ringc::cli
