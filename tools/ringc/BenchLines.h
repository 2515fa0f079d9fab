#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace ringc::cli {

/// Measurements of one command, a line each of the same columns: as a table at the end, or a line
/// of JSON each as they come.
class BenchLines {
public:
  /// The first: there is none.
  using Cell = std::variant<std::monostate, std::string, int64_t, double>;
  using Line = std::vector<std::pair<const char *, Cell>>;

  explicit BenchLines(bool asJson) : json(asJson) {}

  void add(const Line &line);
  /// The table, where it is one.
  void finish() const;

private:
  bool json;
  std::vector<std::vector<std::string>> rows;
};

/// What all threads of the process have had of the processors: on a machine that others use too it
/// says more than a clock.
double processorSeconds();

/// Of an odd number of values the middle one; else the upper of the two.
double medianOf(std::vector<double> values);

/// Of the middle half of the values: how far its ends lie apart, in percent of the median.
double spreadOf(std::vector<double> values);

} // namespace ringc::cli
