// Matrix products behind the seam, beside double precision.

#include "ringc/comm/InProcess.h"
#include "ringc/module/HostModuleBackend.h"
#include "ringc/support/Error.h"
#include "tests/module/ModuleTest.h"
#include "tests/support/ReferenceProduct.h"

#include <doctest/doctest.h>

#include <string>

using namespace ringc;
using namespace ringc::test;

using reference::ProductCase;
using reference::ProductMatrices;

TEST_CASE("products of matrices and transposes, of any extents, as they lie") {
  InProcessWorld world(1);
  auto backend = hostModuleBackend(moduleContext(), world.at(0));
  auto products = backend->products(F32Products::Tf32x3);
  for (const ProductCase &each : reference::productCases(
           {{1, 1, 1}, {37, 130, 65}, {64, 64, 64}, {5, 3, 0}, {0, 7, 9}, {1, 200, 3}})) {
    CAPTURE(each.name());
    ProductMatrices matrices(each);
    HostTensor c = HostTensor::copyOf(matrices.c); // overwritten
    products->multiply(matrices.left(matrices.a.data()), matrices.right(matrices.b.data()),
                       matrices.result(c.data()));
    CHECK(matrices.error(c.data()) < each.bar());
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
