// Matrix products behind the seam, beside double precision.

#include "ringc/comm/InProcess.h"
#include "ringc/module/HostModuleBackend.h"
#include "ringc/support/Error.h"
#include "tests/module/ModuleTest.h"
#include "tests/support/ReferenceAttention.h"

#include <doctest/doctest.h>

#include <array>
#include <string>

using namespace ringc;
using namespace ringc::test;

namespace {

reference::Array product(const Factor &a, const Factor &b) {
  auto at = [](const Factor &factor) {
    return [array = reference::arrayOf(factor.matrix), turned = factor.transposed](int64_t row,
                                                                                   int64_t column) {
      return turned ? array.at(column, row, 0, 0) : array.at(row, column, 0, 0);
    };
  };
  auto left = at(a), right = at(b);
  reference::Array c({a.rows(), b.columns(), 1, 1});
  for (int64_t i = 0; i < a.rows(); ++i)
    for (int64_t k = 0; k < a.columns(); ++k)
      for (int64_t j = 0; j < b.columns(); ++j)
        c.at(i, j, 0, 0) += left(i, k) * right(k, j);
  return c;
}

} // namespace

TEST_CASE("products of matrices and transposes, of any extents") {
  InProcessWorld world(1);
  auto backend = hostModuleBackend(moduleContext(), world.at(0));
  auto products = backend->products(F32Products::Tf32x3);
  for (DType dtype : {DType::F32, DType::BF16, DType::F16})
    for (DType result : {DType::F32, dtype})
      for (std::array<int64_t, 3> extents :
           {std::array<int64_t, 3>{1, 1, 1}, {37, 130, 65}, {64, 64, 64}, {5, 3, 0}, {0, 7, 9}})
        for (int turned : {0, 1, 2}) {
          auto [m, n, k] = extents;
          CAPTURE(nameOf(dtype));
          CAPTURE(nameOf(result));
          CAPTURE(m);
          CAPTURE(turned);
          HostTensor a = turned == 1 ? randomNormal(dtype, {k, m}, 1)
                                     : randomNormal(dtype, {m, k}, 1),
                     b = turned == 2 ? randomNormal(dtype, {n, k}, 2)
                                     : randomNormal(dtype, {k, n}, 2),
                     c = randomNormal(result, {m, n}, 3); // overwritten
          Factor left{a, turned == 1}, right{b, turned == 2};
          products->multiply(left, right, c);
          double bar = result == DType::BF16 ? 0x1p-8 : result == DType::F16 ? 0x1p-11 : 2e-6;
          CHECK(reference::relativeError(reference::arrayOf(c), product(left, right)) < bar);
        }
}

TEST_CASE("factors that do not fit") {
  InProcessWorld world(1);
  auto backend = hostModuleBackend(moduleContext(), world.at(0));
  auto products = backend->products(F32Products::Tf32x3);
  HostTensor a(DType::F32, {3, 4}), b(DType::F32, {5, 6}), half(DType::F16, {4, 6}),
      c(DType::F32, {3, 6});
  auto refused = [&](const Factor &left, const Factor &right) {
    return messageOf<InputError>([&] { products->multiply(left, right, c); });
  };
  CHECK(refused({a}, {b}).starts_with(
      "product: got f32[3, 4] times f32[5, 6] to f32[3, 6], allowed: [m, k] times [k, n] to"));
  CHECK(refused({a}, {half}) != "");
  CHECK(refused(transposed(a), transposed(b)) != "");
}
