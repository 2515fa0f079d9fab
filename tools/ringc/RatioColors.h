#pragma once

#include "tools/ringc/TunePlot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string>

namespace ringc::cli {

/// Times over the default's: blue below 1, orange above, equal steps of the logarithm on either
/// side.
class RatioColors {
public:
  explicit RatioColors(const PlotPanel &panel) {
    constexpr double leastBelow = 0.9, leastAbove = 1.2, mostAbove = 3;
    for (const PlotCandidate &each : panel.candidates)
      if (each.verdict == TuneVerdict::Measured) {
        slowest = std::max(slowest, each.ratio);
        fastest = std::min(fastest, each.ratio);
      }
    low = std::min(leastBelow, fastest);
    high = std::clamp(slowest, leastAbove, mostAbove);
  }

  using Rgb = std::array<double, 3>;
  static constexpr Rgb below = {33, 113, 181}, middle = {244, 241, 235}, above = {204, 85, 0};

  Rgb of(double ratio) const {
    bool faster = ratio < 1;
    double part = std::min(1.0, std::log(ratio) / std::log(faster ? low : high));
    Rgb color{};
    for (size_t at = 0; at < color.size(); ++at)
      color[at] = std::round(middle[at] + part * ((faster ? below : above)[at] - middle[at]));
    return color;
  }

  static std::string text(const Rgb &color) {
    char hex[16];
    std::snprintf(hex, sizeof hex, "#%02x%02x%02x", unsigned(color[0]), unsigned(color[1]),
                  unsigned(color[2]));
    return hex;
  }
  /// Which of black and white is read better on it: relative luminance, WCAG 2.
  static const char *ink(const Rgb &color) {
    constexpr std::array<double, 3> weights = {0.2126, 0.7152, 0.0722};
    constexpr double bright = 0.179, gamma = 2.2, most = 255;
    double luminance = 0;
    for (size_t at = 0; at < color.size(); ++at)
      luminance += weights[at] * std::pow(color[at] / most, gamma);
    return luminance > bright ? "#000000" : "#ffffff";
  }

  double low = 1, high = 1, fastest = 1, slowest = 1;
};

} // namespace ringc::cli
