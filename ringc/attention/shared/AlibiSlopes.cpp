#include "ringc/attention/shared/AlibiSlopes.h"

#include <bit>
#include <cmath>

namespace ringc {

std::vector<float> alibiSlopes(int64_t heads) {
  std::vector<float> slopes;
  for (int64_t head = 0; head < heads; ++head)
    slopes.push_back(float(std::exp2(-8.0 * double(head + 1) / double(heads))));
  return slopes;
}

std::vector<float> alibiSlopesOfPaper(int64_t heads) {
  if (heads < 1)
    return {};
  auto power = int64_t(std::bit_floor(uint64_t(heads)));
  std::vector<float> slopes = alibiSlopes(power), finer = alibiSlopes(2 * power);
  for (int64_t head = 0; power + head < heads; ++head)
    slopes.push_back(finer[size_t(2 * head)]);
  return slopes;
}

} // namespace ringc
