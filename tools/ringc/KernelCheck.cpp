#include "tools/ringc/KernelCheck.h"

#include "ringc/compiler/frontend/Walk.h"
#include "ringc/support/Error.h"
#include "tools/ringc/KernelInterpreter.h"
#include "tools/ringc/RandomProblem.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ringc::cli {

namespace {

struct Distance {
  double whole = 0;   ///< Frobenius, relative
  double element = 0; ///< the largest
  double size = 0;    ///< root mean square of what is right
};

Distance distanceOf(const std::vector<double> &found, const std::vector<double> &right) {
  double apart = 0, norm = 0, largest = 0;
  for (size_t at = 0; at < right.size(); ++at) {
    double x = found[at], y = right[at];
    if (std::isfinite(y))
      norm += y * y;
    if (x == y || (std::isnan(x) && std::isnan(y)))
      continue;
    double off = std::isfinite(x) && std::isfinite(y) ? std::abs(x - y)
                                                      : std::numeric_limits<double>::infinity();
    apart += off * off;
    largest = std::max(largest, off);
  }
  double whole = apart == 0  ? 0
                 : norm == 0 ? std::numeric_limits<double>::infinity()
                             : std::sqrt(apart / norm);
  return {whole, largest, std::sqrt(norm / double(std::max<size_t>(1, right.size())))};
}

/// The type that a kernel rounds what it computes to: of one that casts to 16 bit that type.
DType roundedTo(const BoundKernel &kernel, DType stored) {
  DType narrowest = stored;
  walk(kernel.declaration().body, [&](const frontend::Expr &expr) {
    auto *call = std::get_if<frontend::CallExpr>(&expr.node);
    if (call && call->element && isFloat(kernel.type(*call->element)) &&
        kernel.type(*call->element) != DType::F32 && narrowest != DType::BF16)
      narrowest = kernel.type(*call->element);
  });
  return narrowest;
}

} // namespace

KernelCheck::KernelCheck(const BoundKernel &kernel, const KernelExtents &extents,
                         const std::map<std::string, ArgumentValue> &scalars, uint64_t seed)
    : given(randomData(kernel, extents, scalars, seed)) {
  auto exact = KernelInterpreter(kernel, given, Precision::Double).run();
  auto plain = KernelInterpreter(kernel, given, Precision::F32).run();
  if (exact.empty())
    throw InputError("kernel " + kernel.declaration().name, "no view that is written",
                     "one at least: there is nothing to compare");
  for (auto &[name, values] : exact) {
    Distance ofPlain = distanceOf(plain.at(name), values);
    const Tensor &view = given.views.at(name);
    Bars bars{roundedTo(kernel, view.dtype()), kernel.spec().f32Products, std::nullopt};
    double columns = double(view.dim(view.rank() - 1)),
           rows = double(values.size()) / std::max(1.0, columns);
    Right &made = right[name];
    made.bar = std::max(bars.ofF32(), bars.against(ofPlain.whole, rows));
    made.elementBar = std::max(64 * made.bar * ofPlain.size, 4 * ofPlain.element);
    made.values = std::move(values);
  }
}

std::vector<std::string> KernelCheck::written() const {
  std::vector<std::string> names;
  for (const auto &[name, values] : right)
    names.push_back(name);
  return names;
}

double KernelCheck::error(const std::string &view, const Tensor &found) const {
  const Right &expected = right.at(view);
  Distance distance = distanceOf(valuesOf(found), expected.values);
  double whole = distance.whole == 0 ? 0 : distance.whole / expected.bar,
         element = distance.element == 0 ? 0 : distance.element / expected.elementBar;
  return std::max(whole, element);
}

} // namespace ringc::cli
