#include "tools/ringc/TunePlot.h"

#include "tools/ringc/Svg.h"
#include "tools/ringc/SvgText.h"
#include "tools/ringc/Table.h"
#include "tools/ringc/TuneCharts.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace ringc::cli {

namespace {

constexpr std::string_view style = R"(
svg.ringc { background: #ffffff; font-family: system-ui, "DejaVu Sans", Verdana, sans-serif; }
.ringc text { fill: #1b1d21; }
.ringc .title { font-size: 17px; font-weight: bold; }
.ringc .heading { font-size: 13px; font-weight: bold; }
.ringc .body { font-size: 12px; }
.ringc .small { font-size: 11px; }
.ringc .tiny { font-size: 9px; }
.ringc .muted { fill: #565b64; }
.ringc .paper { fill: #ffffff; }
.ringc .halo { paint-order: stroke; stroke: #ffffff; stroke-width: 3px; stroke-linejoin: round; }
.ringc .cell { stroke: #ffffff; stroke-width: 1; }
.ringc .rejected { fill: #dcdcdc; }
.ringc .untried-line { stroke: #c4c7cc; stroke-width: 1; }
.ringc .cross { stroke: #b3261e; stroke-width: 1.8; fill: none; }
.ringc .mark-under { stroke: #ffffff; stroke-width: 6; }
.ringc .mark-default { stroke: #101114; stroke-width: 1.8; stroke-dasharray: 4 3; }
.ringc .mark-best { stroke: #101114; stroke-width: 2.8; }
.ringc .frame { stroke: #868b94; stroke-width: 1; }
.ringc .grid { stroke: #e2e4e8; stroke-width: 1; }
.ringc .guide { stroke: #868b94; stroke-width: 1; stroke-dasharray: 3 3; }
.ringc .budget { stroke: #b3261e; stroke-width: 1.2; stroke-dasharray: 6 3; }
.ringc .roof { stroke: #1b1d21; stroke-width: 2; }
.ringc .round { stroke: none; }
.ringc .even { fill: #f4f5f7; }
.ringc .odd { fill: #e9ecf1; }
.ringc .dot { fill: #7a8190; stroke: none; }
.ringc .dot.again { fill: none; stroke: #7a8190; stroke-width: 1.3; }
.ringc .best-so-far { stroke: #1f6fb5; stroke-width: 2; }
.ringc .square { fill: #ffffff; stroke: #1b1d21; stroke-width: 1.8; }
.ringc .star { fill: #1f6fb5; stroke: #ffffff; stroke-width: 0.8; }
@media (prefers-color-scheme: dark) {
  svg.ringc { background: #15171b; }
  .ringc text { fill: #e6e8ec; }
  .ringc .muted { fill: #a7adb8; }
  .ringc .paper { fill: #15171b; }
  .ringc .halo { stroke: #15171b; }
  .ringc .cell { stroke: #15171b; }
  .ringc .rejected { fill: #3a3d44; }
  .ringc .untried-line { stroke: #434750; }
  .ringc .cross { stroke: #ff8a80; }
  .ringc .frame { stroke: #737984; }
  .ringc .grid { stroke: #2b2f37; }
  .ringc .guide { stroke: #737984; }
  .ringc .budget { stroke: #ff8a80; }
  .ringc .roof { stroke: #e6e8ec; }
  .ringc .even { fill: #1b1e24; }
  .ringc .odd { fill: #232830; }
  .ringc .dot { fill: #8e96a6; }
  .ringc .dot.again { fill: none; stroke: #8e96a6; }
  .ringc .best-so-far { stroke: #6db3f2; }
  .ringc .square { fill: #15171b; stroke: #e6e8ec; }
  .ringc .star { fill: #6db3f2; stroke: #15171b; }
}
)";

constexpr std::string_view pageStyle = R"(
body { margin: 16px; background: #ffffff; color: #1b1d21; font-family: system-ui, "DejaVu Sans", Verdana, sans-serif; }
svg { max-width: 100%; height: auto; }
summary { margin: 12px 0; }
table { border-collapse: collapse; font-size: 12px; }
td, th { padding: 2px 10px; text-align: left; border-bottom: 1px solid #e2e4e8; }
@media (prefers-color-scheme: dark) {
  body { background: #15171b; color: #e6e8ec; }
  td, th { border-color: #2b2f37; }
}
)";

constexpr double pageWidth = 1404, margin = 24, gap = 28;
constexpr std::array<double, 3> columns = {500, 400, 400};

/// Returns where it ends.
double drawPanel(Svg &svg, double top, const PlotPanel &panel, const MachinePeak &peak) {
  constexpr double titleSize = 17, titleHeight = 22, after = 28;
  double y = top + titleHeight;
  svg.text({margin, y}, shortened(panel.title, pageWidth - 3 * margin, titleSize * 1.17), "title");
  for (const std::string &line : wrapped(panel.facts, pageWidth - 2 * margin, bodySize)) {
    y += lineHeight + 2;
    svg.text({margin, y}, line, "body muted");
  }
  y += after;
  double x = margin, end = drawHeatMap(svg, {x, y}, columns[0], panel);
  x += columns[0] + gap;
  end = std::max(end, drawRoofline(svg, {x, y}, columns[1], panel, peak));
  x += columns[1] + gap;
  return std::max(end, drawConvergence(svg, {x, y}, columns[2], panel)) + margin;
}

std::string picture(const std::vector<PlotPanel> &panels, const MachinePeak &peak) {
  Svg svg;
  double y = 0;
  for (const PlotPanel &panel : panels) {
    if (y > 0)
      svg.line({margin, y}, {pageWidth - margin, y}, "grid");
    y = drawPanel(svg, y, panel, peak);
  }
  y = std::max(y, 2 * margin);
  if (panels.empty())
    svg.text({margin, margin}, "Nothing was tuned.", "body");
  std::string width = pixels(pageWidth), height = pixels(y);
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"ringc\" width=\"" + width +
         "\" height=\"" + height + "\" viewBox=\"0 0 " + width + " " + height + "\">\n<style>" +
         std::string(style) +
         "</style>\n<defs><pattern id=\"untried\" width=\"7\" height=\"7\" "
         "patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><line "
         "class=\"untried-line\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"7\"/></pattern></defs>\n"
         "<rect class=\"paper\" width=\"" +
         width + "\" height=\"" + height + "\"/>\n" + svg.elements() + "</svg>\n";
}

std::string tableOf(const PlotPanel &panel) {
  std::string text = "<details><summary>" + escapeXml(panel.title) + ": all " +
                     std::to_string(panel.candidates.size()) +
                     " candidates</summary>\n<table><tr><th>candidate</th><th></th><th>ms</th>"
                     "<th>times the default's time</th><th>seconds</th></tr>\n";
  for (size_t at = 0; at < panel.candidates.size(); ++at) {
    const PlotCandidate &each = panel.candidates[at];
    bool measured = each.verdict == TuneVerdict::Measured;
    std::string what = !measured          ? outcomeText(each)
                       : at == panel.base ? "default"
                       : at == panel.best ? "best"
                                          : "";
    text += "<tr><td>" + escapeXml(dimensionsText(each)) + "</td><td>" + escapeXml(what) +
            "</td><td>" + (measured ? number(each.milliseconds, 4) : "") + "</td><td>" +
            (measured ? number(each.ratio, 4) : "") + "</td><td>" +
            (each.judged.empty() ? "" : number(each.judged.front().seconds, 3)) + "</td></tr>\n";
  }
  return text + "</table></details>\n";
}

} // namespace

void drawHeading(Svg &svg, Point at, double width, const std::string &heading,
                 const std::string &line) {
  constexpr double below = 17;
  svg.text(at, heading, "heading");
  svg.text({at.x, at.y + below}, shortened(line, width, smallSize), "small muted");
}

double drawNothing(Svg &svg, Point at, double width, const std::string &why) {
  svg.text({at.x, at.y + chartTop}, shortened(why, width, bodySize), "body");
  return at.y + chartTop + lineHeight;
}

void drawDefaultMark(Svg &svg, Point center, const std::string &tooltip) {
  constexpr double half = 5;
  svg.rect({center.x - half, center.y - half, 2 * half, 2 * half}, {"square", {}, tooltip});
}

void drawBestMark(Svg &svg, Point center, const std::string &tooltip) {
  svg.star(center, 8, {"star", {}, tooltip});
}

std::string plotSvg(const std::vector<PlotPanel> &panels, const MachinePeak &peak) {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + picture(panels, peak);
}

std::string plotHtml(const std::vector<PlotPanel> &panels, const MachinePeak &peak) {
  std::string text = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                     "<meta name=\"color-scheme\" content=\"light dark\">"
                     "<title>ringc tune</title>\n<style>" +
                     std::string(pageStyle) + "</style></head><body>\n" + picture(panels, peak);
  for (const PlotPanel &panel : panels)
    text += tableOf(panel);
  return text + "</body></html>\n";
}

} // namespace ringc::cli
