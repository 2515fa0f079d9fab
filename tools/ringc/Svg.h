#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringc::cli {

/// In pixels, y downwards.
struct Point {
  double x = 0, y = 0;
};
struct Box {
  double x = 0, y = 0, width = 0, height = 0;

  double right() const { return x + width; }
  double bottom() const { return y + height; }
  bool overlaps(const Box &other) const {
    return x < other.right() && other.x < right() && y < other.bottom() && other.y < bottom();
  }
};

/// Font sizes of texts in a picture.
inline constexpr double bodySize = 12, smallSize = 11, tinySize = 9;
inline constexpr double lineHeight = 16; ///< of body and small text

/// Elements of an SVG picture, one after another. Text is escaped here; how things look by class is
/// in the picture's style (TunePlot.cpp).
class Svg {
public:
  enum class Anchor { Start, Middle, End };

  struct Style {
    std::string_view cssClass;
    std::string fill = {};    ///< empty: the class's
    std::string tooltip = {}; ///< empty: none
    std::string more = {};    ///< attributes as they are
  };

  void line(Point from, Point to, std::string_view cssClass);
  void rect(const Box &box, const Style &style);
  void circle(Point center, double radius, const Style &style);
  /// Through the points; not closed.
  void path(const std::vector<Point> &points, std::string_view cssClass);
  void polygon(const std::vector<Point> &points, const Style &style);
  /// Two strokes, `radius` to each side.
  void cross(Point center, double radius, const Style &style);
  void star(Point center, double radius, const Style &style);

  /// On the base line `at`.
  void text(Point at, std::string_view text, std::string_view cssClass,
            Anchor anchor = Anchor::Start, std::string_view fill = {});
  /// Read from below; `at` is on its base line, its end or its middle.
  void textUpwards(Point at, std::string_view text, std::string_view cssClass, Anchor anchor);

  /// As it is.
  void raw(std::string_view markup) { body += markup; }

  const std::string &elements() const { return body; }

private:
  void element(std::string_view name,
               std::initializer_list<std::pair<std::string_view, std::string>> attributes,
               const Style &style);

  std::string body;
};

/// With at most two decimals.
std::string pixels(double value);

/// One entry of a legend: a symbol in a box of `legendSymbol` pixels, and what it means.
struct LegendEntry {
  void (*symbol)(Svg &, Point center);
  std::string text;
};
inline constexpr double legendSymbol = 18;

/// In as many lines as it takes. The base line of the last.
double drawLegend(Svg &svg, Point at, double width, const std::vector<LegendEntry> &entries);

} // namespace ringc::cli
