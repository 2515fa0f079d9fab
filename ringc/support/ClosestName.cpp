#include "ringc/support/ClosestName.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace ringc {

namespace {

/// Levenshtein's distance; O(|a| |b|), so callers bound the lengths.
size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t(0));
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

} // namespace

std::string_view closestName(std::string_view wrong, std::span<const std::string_view> names) {
  constexpr size_t longestWorthComparing = 64;
  std::string_view closest;
  if (wrong.size() > longestWorthComparing)
    return closest;
  size_t least = std::max<size_t>(1, wrong.size() / 3) + 1;
  for (std::string_view name : names) {
    size_t distance = editDistance(wrong, name);
    if (distance < least) {
      least = distance;
      closest = name;
    }
  }
  return closest;
}

std::string didYouMean(std::string_view wrong, std::span<const std::string_view> names) {
  std::string_view closest = closestName(wrong, names);
  return closest.empty() ? "" : "; did you mean " + std::string(closest) + "?";
}

} // namespace ringc
