#include "tools/ringc/Svg.h"

#include "tools/ringc/SvgText.h"

#include <cmath>
#include <cstdio>
#include <numbers>

namespace ringc::cli {

std::string pixels(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  std::string number = text;
  number.erase(number.find_last_not_of('0') + 1);
  if (number.ends_with('.'))
    number.pop_back();
  return number == "-0" ? "0" : number;
}

namespace {

std::string pointsText(const std::vector<Point> &points) {
  std::string text;
  for (const auto &[x, y] : points)
    text += (text.empty() ? "" : " ") + pixels(x) + "," + pixels(y);
  return text;
}

const char *anchorText(Svg::Anchor anchor) {
  switch (anchor) {
  case Svg::Anchor::Start:
    return "start";
  case Svg::Anchor::Middle:
    return "middle";
  case Svg::Anchor::End:
    return "end";
  }
  return "";
}

} // namespace

void Svg::element(std::string_view name,
                  std::initializer_list<std::pair<std::string_view, std::string>> attributes,
                  const Style &style) {
  std::string tag(name);
  body += "<" + tag + " class=\"" + escapeXml(style.cssClass) + "\"";
  for (const auto &[key, value] : attributes)
    body += " " + std::string(key) + "=\"" + value + "\"";
  if (!style.fill.empty())
    body += " fill=\"" + style.fill + "\"";
  if (!style.more.empty())
    body += " " + style.more;
  if (style.tooltip.empty())
    body += "/>\n";
  else
    body += "><title>" + escapeXml(style.tooltip) + "</title></" + tag + ">\n";
}

void Svg::line(Point from, Point to, std::string_view cssClass) {
  element(
      "line",
      {{"x1", pixels(from.x)}, {"y1", pixels(from.y)}, {"x2", pixels(to.x)}, {"y2", pixels(to.y)}},
      {cssClass});
}

void Svg::rect(const Box &box, const Style &style) {
  element("rect",
          {{"x", pixels(box.x)},
           {"y", pixels(box.y)},
           {"width", pixels(box.width)},
           {"height", pixels(box.height)}},
          style);
}

void Svg::circle(Point center, double radius, const Style &style) {
  element("circle", {{"cx", pixels(center.x)}, {"cy", pixels(center.y)}, {"r", pixels(radius)}},
          style);
}

void Svg::path(const std::vector<Point> &points, std::string_view cssClass) {
  element("polyline", {{"points", pointsText(points)}}, {cssClass, "none"});
}

void Svg::polygon(const std::vector<Point> &points, const Style &style) {
  element("polygon", {{"points", pointsText(points)}}, style);
}

void Svg::cross(Point center, double radius, const Style &style) {
  auto [x, y] = center;
  std::string left = pixels(x - radius), right = pixels(x + radius), top = pixels(y - radius),
              bottom = pixels(y + radius);
  element("path",
          {{"d", "M" + left + "," + top + " L" + right + "," + bottom + " M" + left + "," + bottom +
                     " L" + right + "," + top}},
          style);
}

void Svg::star(Point center, double radius, const Style &style) {
  constexpr int corners = 10;
  constexpr double inner = 0.45;
  std::vector<Point> points;
  for (int at = 0; at < corners; ++at) {
    double angle = at * 2 * std::numbers::pi / corners, far = radius * (at % 2 ? inner : 1);
    points.push_back({center.x + far * std::sin(angle), center.y - far * std::cos(angle)});
  }
  polygon(points, style);
}

void Svg::text(Point at, std::string_view text, std::string_view cssClass, Anchor anchor,
               std::string_view fill) {
  body += "<text class=\"" + std::string(cssClass) + "\" x=\"" + pixels(at.x) + "\" y=\"" +
          pixels(at.y) + "\" text-anchor=\"" + anchorText(anchor) + "\"" +
          (fill.empty() ? "" : " style=\"fill:" + std::string(fill) + "\"") + ">" +
          escapeXml(text) + "</text>\n";
}

void Svg::textUpwards(Point at, std::string_view text, std::string_view cssClass, Anchor anchor) {
  std::string x = pixels(at.x), y = pixels(at.y);
  body += "<text class=\"" + std::string(cssClass) + "\" x=\"" + x + "\" y=\"" + y +
          "\" transform=\"rotate(-90 " + x + " " + y + ")\" text-anchor=\"" + anchorText(anchor) +
          "\">" + escapeXml(text) + "</text>\n";
}

double drawLegend(Svg &svg, Point at, double width, const std::vector<LegendEntry> &entries) {
  constexpr double gap = 14, symbolGap = 6, rise = 4;
  Point now = at;
  for (const LegendEntry &entry : entries) {
    std::string text = shortened(entry.text, width - legendSymbol - symbolGap, smallSize);
    double wide = legendSymbol + symbolGap + textWidth(text, smallSize);
    if (now.x > at.x && now.x + wide > at.x + width)
      now = {at.x, now.y + lineHeight};
    entry.symbol(svg, {now.x + legendSymbol / 2, now.y - rise});
    svg.text({now.x + legendSymbol + symbolGap, now.y}, text, "small");
    now.x += wide + gap;
  }
  return now.y;
}

} // namespace ringc::cli
