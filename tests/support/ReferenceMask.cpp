#include "tests/support/ReferenceMask.h"

#include <algorithm>

namespace ringc::reference {

namespace {

/// Zero for a position before the first document.
int64_t documentOf(const std::vector<int32_t> &cuSeqlens, int64_t position) {
  return std::ranges::upper_bound(cuSeqlens, position) - cuSeqlens.begin();
}

} // namespace

bool visible(const Mask &mask, int64_t keyCount, int b, int h, int64_t i, int64_t j) {
  if (mask.causal && j > i && j >= mask.prefix)
    return false;
  if (mask.windowLeft >= 0 && i - j > mask.windowLeft)
    return false;
  if (mask.windowRight >= 0 && j - i > mask.windowRight)
    return false;
  if (!mask.keyMask.empty() && !mask.keyMask[size_t(b * keyCount + j)])
    return false;
  if (!mask.cuSeqlens.empty() && documentOf(mask.cuSeqlens, i) != documentOf(mask.cuSeqlens, j))
    return false;
  return !mask.predicate || mask.predicate(b, h, i, j);
}

} // namespace ringc::reference
