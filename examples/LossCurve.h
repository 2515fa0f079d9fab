#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

/// The loss after so many steps.
struct LossPoint {
  int64_t step = 0;
  double loss = 0;
};

/// A picture of a run, as the text of an SVG file: the loss of each step, and its running mean. It
/// follows the reader's choice of light or dark.
class LossCurve {
public:
  explicit LossCurve(std::vector<LossPoint> of) : points(std::move(of)) {
    for (const LossPoint &point : points) {
      last = std::max(last, double(point.step));
      top = std::max(top, point.loss);
    }
    unit = unitOf(top / 5);
    top = std::max(unit, std::ceil(top / unit) * unit);
  }

  std::string svg() const {
    std::string body = axes();
    body += line("each", [](size_t) { return size_t(1); });
    body += line("mean", [](size_t at) { return std::min<size_t>(at + 1, 20); });
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 400\" width=\"720\" "
           "height=\"400\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n<style>"
           "svg{background:#fff}text{fill:#1b1d21}.grid{stroke:#e2e4e8}"
           ".each{fill:none;stroke:#a9c9e6}.mean{fill:none;stroke:#1f6fb5;stroke-width:2}"
           "@media(prefers-color-scheme:dark){svg{background:#15171b}text{fill:#e6e8ec}"
           ".grid{stroke:#2b2f37}.each{stroke:#31567a}.mean{stroke:#6db3f2}}</style>\n"
           "<title>Training loss</title>\n" +
           body + "</svg>\n";
  }

private:
  static constexpr double left = 60, right = 700, bottom = 350, high = 40;

  /// 1, 2 or 5 times a power of ten, not below.
  static double unitOf(double least) {
    double power = std::pow(10, std::floor(std::log10(std::max(least, 1e-6))));
    for (double times : {1.0, 2.0, 5.0})
      if (times * power >= least)
        return times * power;
    return 10 * power;
  }
  static std::string text(const char *format, double a, double b, const std::string &what) {
    char made[200];
    std::snprintf(made, sizeof made, format, a, b, what.c_str());
    return made;
  }
  static std::string number(double value) {
    char made[32];
    std::snprintf(made, sizeof made, "%g", value);
    return made;
  }

  double x(double step) const { return left + (right - left) * step / std::max(last, 1.0); }
  double y(double loss) const { return bottom - (bottom - high) * loss / top; }

  std::string axes() const {
    std::string made =
        "<text x=\"60\" y=\"22\" font-weight=\"bold\">loss, nats a token: each step, "
        "and the mean of the last 20</text>\n";
    for (int tick = 0; tick * unit <= top * 1.001; ++tick) {
      double at = y(tick * unit);
      made += text("<line class=\"grid\" x1=\"60\" x2=\"700\" y1=\"%.1f\" y2=\"%.1f\"/>%s\n", at,
                   at, "");
      made += text("<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", left - 8, at + 4,
                   number(tick * unit));
    }
    double steps = std::max(1.0, unitOf(last / 8));
    for (double at = 0; at <= last; at += steps)
      made += text("<text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">%s</text>\n", x(at),
                   bottom + 20, number(at));
    return made + "<text x=\"380\" y=\"390\" text-anchor=\"middle\">step</text>\n";
  }

  /// Of means over as many steps as `width` says.
  template <class Width> std::string line(const char *style, const Width &width) const {
    std::string made = std::string("<polyline class=\"") + style + "\" points=\"";
    for (size_t at = 0; at < points.size(); ++at) {
      double sum = 0;
      for (size_t back = 0; back < width(at); ++back)
        sum += points[at - back].loss;
      made += text("%.2f,%.2f%s ", x(double(points[at].step)), y(sum / double(width(at))), "");
    }
    return made + "\"/>\n";
  }

  std::vector<LossPoint> points;
  double last = 0, top = 0, unit = 1;
};
