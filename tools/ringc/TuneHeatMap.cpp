#include "tools/ringc/RatioColors.h"
#include "tools/ringc/SvgText.h"
#include "tools/ringc/Table.h"
#include "tools/ringc/TuneCharts.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string_view>

namespace ringc::cli {

namespace {

struct Cell {
  std::vector<size_t> candidates;
  std::optional<size_t> best; ///< of those that were measured
};

/// Seen on any colour.
void drawOutline(Svg &svg, const Box &box, std::string_view cssClass) {
  svg.rect(box, {"mark-under", "none"});
  svg.rect(box, {cssClass, "none"});
}

void drawMarkedCell(Svg &svg, Point center, std::string_view cssClass) {
  svg.rect({center.x - 9, center.y - 7, 18, 14}, {"frame", RatioColors::text(RatioColors::middle)});
  svg.rect({center.x - 6, center.y - 4, 12, 8}, {cssClass, "none"});
}

class HeatMap {
public:
  HeatMap(Svg &into, Point where, double wide, const PlotPanel &of, std::vector<PlotAxis> axes)
      : svg(into), at(where), width(wide), panel(of), colors(of), x(axes[0]),
        y(axes.size() > 1 ? axes[1] : PlotAxis{.name = "", .values = {""}}) {
    // The axis with more values lies.
    if (y.values.size() > x.values.size())
      std::swap(x, y);
    constexpr double mostLabel = 110, titleWidth = 20, gap = 6, mostWidth = 68, mostHeight = 44;
    double labels = 0;
    for (const std::string &value : y.values)
      labels = std::max(labels, textWidth(value, smallSize));
    labels = std::min(mostLabel, labels);
    left = at.x + titleWidth + labels + gap;
    top = at.y + chartTop;
    cellWidth = std::min(mostWidth, (at.x + width - left) / double(x.values.size()));
    cellHeight = std::min(mostHeight, chartHeight / double(y.values.size()));
    for (size_t each = 0; each < panel.candidates.size(); ++each)
      put(each);
  }

  double draw() {
    drawHeading(svg, at, width, "Time over the default's", explains());
    for (size_t row = 0; row < y.values.size(); ++row)
      for (size_t column = 0; column < x.values.size(); ++column)
        drawCell(column, row);
    // Over all cells, so that no neighbour covers them.
    outline(panel.best, "mark-best");
    outline(panel.base, "mark-default");
    return drawLegends(drawLabels());
  }

private:
  std::pair<size_t, size_t> placeOf(size_t candidate) const {
    auto place = [&](const PlotAxis &axis) {
      std::string value = axis.name.empty() ? "" : "-";
      for (const auto &[name, each] : panel.candidates[candidate].dimensions)
        if (name == axis.name)
          value = each;
      return size_t(std::ranges::find(axis.values, value) - axis.values.begin());
    };
    return {place(x), place(y)};
  }

  void put(size_t candidate) {
    Cell &cell = cells[placeOf(candidate)];
    cell.candidates.push_back(candidate);
    const PlotCandidate &own = panel.candidates[candidate];
    if (own.verdict == TuneVerdict::Measured &&
        (!cell.best || own.ratio < panel.candidates[*cell.best].ratio))
      cell.best = candidate;
  }

  Box boxOf(size_t column, size_t row) const {
    return {left + double(column) * cellWidth, top + double(row) * cellHeight, cellWidth,
            cellHeight};
  }

  std::string explains() const {
    auto share = [](const PlotAxis &axis) {
      constexpr double percent = 100;
      return axis.name + " " + number(std::round(percent * axis.explains), 3) + " %";
    };
    size_t measured = size_t(
        std::ranges::count(panel.candidates, TuneVerdict::Measured, &PlotCandidate::verdict));
    if (x.explains == 0 && y.explains == 0)
      return "best of each cell; " + std::to_string(measured) + " measured";
    return "best of each cell; shares of variance: " + share(x) +
           (y.name.empty() ? "" : ", " + share(y));
  }

  std::string placeText(size_t column, size_t row) const {
    return x.name + " " + x.values[column] +
           (y.name.empty() ? "" : ", " + y.name + " " + y.values[row]);
  }

  /// "wrong"; where they have several reasons, "rejected".
  std::string verdictOf(const Cell &cell) const {
    TuneVerdict first = panel.candidates[cell.candidates[0]].verdict;
    bool same = std::ranges::all_of(
        cell.candidates, [&](size_t each) { return panel.candidates[each].verdict == first; });
    return same ? std::string(enumName(first)) : "rejected";
  }

  /// "all rejected; of 60 tried: 2 wrong, 1 crashed"
  std::string rejections() const {
    std::map<TuneVerdict, int> verdicts;
    for (const PlotCandidate &each : panel.candidates)
      ++verdicts[each.verdict];
    verdicts.erase(TuneVerdict::Measured);
    std::string text;
    for (const auto &[verdict, count] : verdicts)
      text +=
          (text.empty() ? "" : ", ") + std::to_string(count) + " " + std::string(enumName(verdict));
    return text.empty()
               ? "all rejected"
               : "all rejected; of " + std::to_string(panel.candidates.size()) + " tried: " + text;
  }

  void drawCell(size_t column, size_t row) {
    Box box = boxOf(column, row);
    auto found = cells.find({column, row});
    if (found == cells.end()) {
      svg.rect(box, {"cell untried", "url(#untried)", placeText(column, row) + ": not tried"});
      return;
    }
    const Cell &cell = found->second;
    std::string tooltip = placeText(column, row);
    constexpr size_t mostLines = 12;
    for (size_t each = 0; each < cell.candidates.size() && each < mostLines; ++each) {
      const PlotCandidate &own = panel.candidates[cell.candidates[each]];
      tooltip += "\n" + dimensionsText(own) + ": " + outcomeText(own);
    }
    if (cell.candidates.size() > mostLines)
      tooltip += "\nand " + std::to_string(cell.candidates.size() - mostLines) + " more";
    Point center{box.x + box.width / 2, box.y + box.height / 2};
    constexpr double twoLines = 28, oneLine = 15, padding = 6;
    if (!cell.best) {
      svg.rect(box, {"cell rejected", {}, tooltip});
      std::string label = verdictOf(cell);
      bool named = cellHeight >= twoLines && textWidth(label, tinySize) + padding <= cellWidth;
      double radius = std::min({6.0, cellWidth / 3, cellHeight / 3});
      svg.cross({center.x, named ? center.y - 6 : center.y}, radius, {"cross"});
      if (named)
        svg.text({center.x, center.y + 13}, label, "tiny", Svg::Anchor::Middle);
      return;
    }
    RatioColors::Rgb color = colors.of(panel.candidates[*cell.best].ratio);
    svg.rect(box, {"cell measured", RatioColors::text(color), tooltip});
    std::string ratio = number(panel.candidates[*cell.best].ratio, 3);
    if (textWidth(ratio, smallSize) + padding > cellWidth || cellHeight < oneLine)
      return;
    // Of the candidate whose ratio it is; where the default is behind another one, the outline says
    // so.
    std::string mark = *cell.best == panel.base   ? "default"
                       : *cell.best == panel.best ? "best"
                                                  : "";
    bool marked =
        !mark.empty() && cellHeight >= twoLines && textWidth(mark, tinySize) + padding <= cellWidth;
    const char *ink = RatioColors::ink(color);
    svg.text({center.x, center.y + (marked ? 0 : 4)}, ratio, "small", Svg::Anchor::Middle, ink);
    if (marked)
      svg.text({center.x, center.y + 12}, mark, "tiny", Svg::Anchor::Middle, ink);
  }

  void outline(size_t candidate, const char *cssClass) {
    auto [column, row] = placeOf(candidate);
    Box box = boxOf(column, row);
    bool within =
        cssClass == std::string_view("mark-default") && placeOf(panel.best) == placeOf(candidate);
    double inset = std::min({within ? 6.0 : 2.0, cellWidth / 4, cellHeight / 4});
    drawOutline(svg, {box.x + inset, box.y + inset, box.width - 2 * inset, box.height - 2 * inset},
                cssClass);
  }

  /// Returns where they end.
  double drawLabels() {
    constexpr double gap = 6, letter = 14, upright = 80, baseLine = 4;
    double bottom = top + cellHeight * double(y.values.size());
    auto stride = [](double room, double needed) {
      return std::max<size_t>(1, size_t(std::ceil(needed / room)));
    };
    for (size_t row = 0; row < y.values.size(); row += stride(cellHeight, letter))
      svg.text({left - gap, top + (double(row) + 0.5) * cellHeight + baseLine},
               shortened(y.values[row], left - gap - at.x - letter, smallSize), "small",
               Svg::Anchor::End);
    double widest = 0;
    for (const std::string &value : x.values)
      widest = std::max(widest, textWidth(value, smallSize));
    bool lies = widest + gap <= cellWidth;
    double height = lies ? letter : std::min(upright, widest);
    for (size_t column = 0; column < x.values.size();
         column += lies ? 1 : stride(cellWidth, letter)) {
      double middle = left + (double(column) + 0.5) * cellWidth;
      if (lies)
        svg.text({middle, bottom + letter}, x.values[column], "small", Svg::Anchor::Middle);
      else
        svg.textUpwards({middle + baseLine, bottom + gap},
                        shortened(x.values[column], upright, smallSize), "small", Svg::Anchor::End);
    }
    double right = left + cellWidth * double(x.values.size());
    double end = bottom + height + gap + letter;
    svg.text({(left + right) / 2, end}, shortened(x.name, width, bodySize), "body",
             Svg::Anchor::Middle);
    if (!y.name.empty())
      svg.textUpwards({at.x + letter - 2, (top + bottom) / 2},
                      shortened(y.name, std::max(bottom - top, upright), bodySize), "body",
                      Svg::Anchor::Middle);
    return end;
  }

  double drawLegends(double from) {
    constexpr double gap = 14, barWidth = 180, barHeight = 10, letter = 13;
    Box bar{left, from + gap, std::min(barWidth, at.x + width - left), barHeight};
    std::string name = "scale" + pixels(at.x) + "-" + pixels(at.y);
    svg.raw("<linearGradient id=\"" + name + "\"><stop offset=\"0\" stop-color=\"" +
            RatioColors::text(RatioColors::below) + "\"/><stop offset=\"0.5\" stop-color=\"" +
            RatioColors::text(RatioColors::middle) + "\"/><stop offset=\"1\" stop-color=\"" +
            RatioColors::text(RatioColors::above) + "\"/></linearGradient>\n");
    svg.rect(bar, {"frame", "url(#" + name + ")"});
    double line = bar.bottom() + letter;
    svg.text({bar.x, line}, number(colors.low, 3), "small", Svg::Anchor::Middle);
    svg.text({bar.x + bar.width / 2, line}, "1", "small", Svg::Anchor::Middle);
    svg.text({bar.right(), line},
             (colors.slowest > colors.high ? "≥ " : "") + number(colors.high, 3), "small",
             Svg::Anchor::Middle);
    svg.text({bar.right() + gap, bar.bottom() - 1},
             shortened("times the default's time; less is faster", at.x + width - bar.right() - gap,
                       smallSize),
             "small");
    std::vector<LegendEntry> entries = {
        {[](Svg &to, Point center) { drawMarkedCell(to, center, "mark-default"); },
         "cell of the default"},
        {[](Svg &to, Point center) { drawMarkedCell(to, center, "mark-best"); },
         panel.best == panel.base ? "of the best: none is surely faster" : "of the best"},
        {[](Svg &to, Point center) {
           to.rect({center.x - 8, center.y - 6, 16, 12}, {"frame rejected"});
           to.cross(center, 4, {"cross"});
         },
         rejections()},
        {[](Svg &to, Point center) {
           to.rect({center.x - 8, center.y - 6, 16, 12}, {"frame", "url(#untried)"});
         },
         "not tried"}};
    return drawLegend(svg, {at.x + letter, line + lineHeight + 2}, width - letter, entries);
  }

  Svg &svg;
  Point at;
  double width;
  const PlotPanel &panel;
  RatioColors colors;
  PlotAxis x, y;
  double left = 0, top = 0, cellWidth = 0, cellHeight = 0;
  std::map<std::pair<size_t, size_t>, Cell> cells;
};

} // namespace

double drawHeatMap(Svg &svg, Point at, double width, const PlotPanel &panel) {
  std::vector<PlotAxis> axes = plotAxes(panel);
  if (axes.empty() || panel.candidates.empty()) {
    drawHeading(svg, at, width, "Time over the default's", "");
    return drawNothing(svg, at, width, "This kernel has no dimensions to choose.");
  }
  return HeatMap(svg, at, width, panel, std::move(axes)).draw();
}

} // namespace ringc::cli
