// Matrix products of a module on a real device, by cuBLASLt and by matmul.tile, against double
// precision.

#include "ringc/attention/device/DeviceTensor.h"
#include "ringc/jit/DeviceCompiler.h"
#include "ringc/module/DeviceModuleBackend.h"
#include "tests/support/ReferenceProduct.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <optional>
#include <random>
#include <string>

using namespace ringc;
using reference::ProductCase;
using reference::ProductMatrices;

namespace {

/// A rank alone, whose products are those of `library`, or of whatever is found.
struct Machine {
  explicit Machine(const char *library = nullptr) {
    const char *before = std::getenv(variable);
    std::optional<std::string> kept = before ? std::optional<std::string>(before) : std::nullopt;
    if (library)
      setenv(variable, library, /*overwrite=*/1);
    backend = deviceModuleBackend(device, stream, [&](const std::string &line) { said = line; });
    if (kept)
      setenv(variable, kept->c_str(), /*overwrite=*/1);
    else
      unsetenv(variable);
  }

  HostTensor run(Products &products, const ProductMatrices &matrices) const {
    auto put = [&](const HostTensor &tensor) { return DeviceTensor::copyOf(stream, tensor); };
    DeviceTensor a = put(matrices.a), b = put(matrices.b), c = put(matrices.c);
    products.multiply(matrices.left(a.view().data()), matrices.right(b.view().data()),
                      matrices.result(c.view().data()));
    return c.download(stream);
  }

  static constexpr const char *variable = "RINGC_CUBLASLT_LIBRARY";
  DeviceContext device = deviceContext();
  CudaStream stream{device.device};
  std::string said;
  std::unique_ptr<ModuleBackend> backend;
};

void checkAll(const Machine &machine) {
  CAPTURE(machine.said);
  auto exact = machine.backend->products(F32Products::Tf32x3),
       fast = machine.backend->products(F32Products::Tf32);
  std::mt19937 random(7);
  auto extent = [&] { return std::uniform_int_distribution<int64_t>(1, 300)(random); };
  std::vector<std::array<int64_t, 3>> extents = {{1, 1, 1},    {5, 3, 0},    {0, 7, 9},
                                                 {1, 200, 33}, {200, 1, 64}, {256, 512, 128}};
  for (int more = 0; more < 6; ++more)
    extents.push_back({extent(), extent(), extent()});
  for (const ProductCase &each : reference::productCases(extents)) {
    CAPTURE(each.name());
    ProductMatrices matrices(each);
    // Three products of TF32 leave out that of both low parts, up to 2^-22 of each term.
    double bar = each.bar() + (each.dtype == DType::F32 ? 0x1p-20 : 0);
    CHECK(matrices.error(machine.run(*exact, matrices).data()) < bar);
    if (each.dtype == DType::F32)
      CHECK(matrices.error(machine.run(*fast, matrices).data()) < 2e-3);
  }
}

} // namespace

TEST_CASE("products by cuBLASLt") {
  Machine machine;
  std::cout << machine.said << std::endl;
  if (machine.said.find("cuBLASLt ") == std::string::npos ||
      machine.said.find("no cuBLASLt") != std::string::npos)
    std::cout << "skipped: products by cuBLASLt: " << machine.said << std::endl;
  else
    checkAll(machine);
}

TEST_CASE("products by matmul.tile") { checkAll(Machine("none")); }

TEST_CASE("products of the same bits every time, in a graph too") {
  for (const char *library : {static_cast<const char *>(nullptr), "none"}) {
    Machine machine(library);
    CAPTURE(machine.said);
    auto products = machine.backend->products(F32Products::Tf32x3);
    // A long k, which libraries like to split.
    for (DType dtype : {DType::F32, DType::BF16}) {
      ProductCase each{.dtype = dtype, .m = 96, .n = 128, .k = 20000};
      each.form = ProductCase::Form::LeftTransposed;
      ProductMatrices matrices(each);
      HostTensor first = machine.run(*products, matrices);
      for (int time = 0; time < 5; ++time) {
        HostTensor again = machine.run(*products, matrices);
        CHECK(std::memcmp(first.data(), again.data(), size_t(first.byteCount())) == 0);
      }
      auto put = [&](const HostTensor &of) { return DeviceTensor::copyOf(machine.stream, of); };
      DeviceTensor a = put(matrices.a), b = put(matrices.b), c = put(matrices.c);
      CudaGraph graph = machine.stream.capture([&] {
        products->multiply(matrices.left(a.view().data()), matrices.right(b.view().data()),
                           matrices.result(c.view().data()));
      });
      graph.launch(machine.stream);
      HostTensor captured = c.download(machine.stream);
      CHECK(std::memcmp(first.data(), captured.data(), size_t(first.byteCount())) == 0);
    }
  }
}
