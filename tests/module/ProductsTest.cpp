// Matrix products behind the seam, beside double precision.

#include "ringc/comm/InProcess.h"
#include "ringc/driver/HostPool.h"
#include "ringc/driver/OneDnnLibrary.h"
#include "ringc/module/HostModuleBackend.h"
#include "ringc/support/Error.h"
#include "tests/module/ModuleTest.h"
#include "tests/support/ReferenceProduct.h"

#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace ringc;
using namespace ringc::test;

using reference::ProductCase;
using reference::ProductMatrices;

namespace {

constexpr const char *variable = "RINGC_ONEDNN_LIBRARY";

/// Sets a variable until it goes.
class Setting {
public:
  explicit Setting(const char *value) {
    if (const char *before = std::getenv(variable))
      kept = before;
    if (value)
      setenv(variable, value, /*overwrite=*/1);
  }
  ~Setting() {
    if (kept)
      setenv(variable, kept->c_str(), /*overwrite=*/1);
    else
      unsetenv(variable);
  }

private:
  std::optional<std::string> kept;
};

/// A rank alone with a pool of its own, whose products are those of `library`, or of what is found.
struct Alone {
  explicit Alone(int threads, const char *library = nullptr) {
    Setting setting(library);
    AttentionContext context = moduleContext();
    context.pool = std::make_shared<HostPool>(threads);
    backend = hostModuleBackend(context, world.at(0),
                                [this](const std::string &line) { said += line + "\n"; });
    products = backend->products(F32Products::Tf32x3);
  }

  bool isByOneDnn() const { return said.starts_with("products: oneDNN "); }

  HostTensor run(const ProductMatrices &matrices) const {
    HostTensor c = HostTensor::copyOf(matrices.c); // overwritten
    products->multiply(matrices.left(matrices.a.data()), matrices.right(matrices.b.data()),
                       matrices.result(c.data()));
    return c;
  }

  InProcessWorld world{1};
  std::string said;
  std::unique_ptr<ModuleBackend> backend;
  std::unique_ptr<Products> products;
};

void checkAll(const Alone &alone) {
  CAPTURE(alone.said);
  for (const ProductCase &each : reference::productCases({{1, 1, 1},
                                                          {37, 130, 65},
                                                          {64, 64, 64},
                                                          {5, 3, 0},
                                                          {0, 7, 9},
                                                          {1, 200, 3},
                                                          {300, 1, 17},
                                                          {129, 515, 33}})) {
    CAPTURE(each.name());
    ProductMatrices matrices(each);
    CHECK(matrices.error(alone.run(matrices).data()) < each.bar());
  }
}

} // namespace

TEST_CASE("products of matrices and transposes, of any extents, as they lie: by matmul.tile") {
  Alone alone(2, "none");
  CHECK(alone.said == "products: matmul.tile, as RINGC_ONEDNN_LIBRARY says\n");
  checkAll(alone);
}

TEST_CASE("products of matrices and transposes, of any extents, as they lie: by oneDNN") {
  Alone alone(2);
  if (alone.isByOneDnn())
    checkAll(alone);
  else
    std::cout << "skipped: products by oneDNN: " << alone.said << std::endl;
}

TEST_CASE("the same bits every time; of matmul.tile for any number of threads") {
  for (const char *library : {static_cast<const char *>(nullptr), "none"})
    for (DType dtype : {DType::F32, DType::BF16}) {
      ProductMatrices matrices({.dtype = dtype, .m = 300, .n = 270, .k = 700});
      std::optional<HostTensor> expected;
      for (int threads : {1, 2, 3, 7}) {
        Alone alone(threads, library);
        CAPTURE(alone.said);
        HostTensor first = alone.run(matrices);
        if (!expected || alone.isByOneDnn())
          expected = HostTensor::copyOf(first);
        CAPTURE(threads);
        HostTensor again = alone.run(matrices);
        CHECK(std::memcmp(first.data(), again.data(), size_t(first.byteCount())) == 0);
        CHECK(std::memcmp(expected->data(), again.data(), size_t(first.byteCount())) == 0);
      }
    }
}

TEST_CASE("ranks that are threads multiply at the same time on one pool") {
  constexpr int ranks = 4;
  InProcessWorld world(ranks);
  ProductMatrices matrices({.m = 140, .n = 130, .k = 65});
  std::array<double, ranks> errors{};
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] {
      auto backend = hostModuleBackend(moduleContext(), world.at(rank));
      auto products = backend->products(F32Products::Tf32x3);
      for (int time = 0; time < 20; ++time) {
        HostTensor c = HostTensor::copyOf(matrices.c);
        products->multiply(matrices.left(matrices.a.data()), matrices.right(matrices.b.data()),
                           matrices.result(c.data()));
        errors[size_t(rank)] = std::max(errors[size_t(rank)], matrices.error(c.data()));
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  for (double error : errors)
    CHECK(error < matrices.made.bar());
}

TEST_CASE("a oneDNN that is named must be there") {
  std::string message = messageOf<OneDnnError>([] { Alone(1, "/no/libdnnl.so.3"); });
  CHECK(message.find("no oneDNN: /no/libdnnl.so.3: ") != std::string::npos);
  CHECK(message.find("what RINGC_ONEDNN_LIBRARY names") != std::string::npos);
  // Something else.
  message = messageOf<OneDnnError>([] { Alone(1, "libm.so.6"); });
  CHECK(message.find("has no dnnl_version") != std::string::npos);
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
