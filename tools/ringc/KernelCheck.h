#pragma once

#include "tools/ringc/BoundKernel.h"
#include "tools/ringc/KernelData.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ringc::cli {

/// A problem of a kernel, what is right, and how far from it a result may be: twice what the same
/// operations in f32, one after another, are off by, and what the rounding of the result's own type
/// may add (Bars).
class KernelCheck {
public:
  KernelCheck(const BoundKernel &kernel, const KernelExtents &extents,
              const std::map<std::string, ArgumentValue> &scalars, uint64_t seed);

  const KernelData &data() const { return given; }
  /// The views that the kernel writes.
  std::vector<std::string> written() const;

  /// The error of a written view over what it may be, relative to all of it; or, over 64 times
  /// that, the largest of an element. NaN is infinite.
  double error(const std::string &view, const Tensor &found) const;

private:
  struct Right {
    std::vector<double> values;
    double bar = 0;        ///< of the whole, relative to its norm
    double elementBar = 0; ///< of an element
  };

  KernelData given;
  std::map<std::string, Right> right;
};

} // namespace ringc::cli
