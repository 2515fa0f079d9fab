#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace ringc::cli {

/// Values along an axis: `low` is at the pixel `from`, `high` at `to`.
struct PlotScale {
  enum class Kind { Linear, Log };

  double low = 0, high = 1, from = 0, to = 1;
  Kind kind = Kind::Linear;

  double part(double value) const {
    return kind == Kind::Log ? std::log(value / low) / std::log(high / low)
                             : (value - low) / (high - low);
  }
  double operator()(double value) const { return from + (to - from) * part(value); }
  /// The same, no further than the ends.
  double clamped(double value) const {
    return from + (to - from) * std::clamp(part(value), 0.0, 1.0);
  }

  /// Round values between the ends, at least `apart` pixels from one another: powers of ten where
  /// there are several of them, else equal steps.
  std::vector<double> ticks(double apart) const {
    constexpr double severalDecades = 99;
    std::vector<double> all;
    constexpr double slack = 1e-9;
    if (kind == Kind::Log && high / low > severalDecades) {
      int first = int(std::ceil(std::log10(low) - slack)),
          last = int(std::floor(std::log10(high) + slack));
      double decade = std::abs((*this)(10 * low) - (*this)(low));
      int stride = std::max(1, int(std::ceil(apart / decade)));
      for (int power = first; power <= last; power += stride)
        all.push_back(std::pow(10, power));
      return all;
    }
    double step = std::pow(10, std::floor(std::log10((high - low) * apart / std::abs(to - from))));
    for (double factor : {1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0}) {
      all.clear();
      bool close = false;
      double each = step * factor;
      for (auto at = int64_t(std::ceil(low / each - slack));
           double(at) * each <= high + each * slack; ++at) {
        double tick = double(at) * each;
        close |= !all.empty() && std::abs((*this)(tick) - (*this)(all.back())) < apart;
        all.push_back(tick);
      }
      if (!close)
        break;
    }
    return all;
  }
};

} // namespace ringc::cli
