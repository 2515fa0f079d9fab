// Matrix products of a module on a device, without one: what cuBLASLt is given, in the order of the
// stream, and what is done where it is missing or fails.

#include "ringc/attention/device/DeviceTensor.h"
#include "ringc/driver/CublasLtLibrary.h"
#include "ringc/module/DeviceModuleBackend.h"
#include "ringc/support/Error.h"
#include "tests/gpu/FakeNcclWorld.h"
#include "tests/gpu/FakeWorld.h"
#include "tests/support/ReferenceProduct.h"
#include "tests/unit/runtime/CublasLtFake.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <string>
#include <vector>

using namespace ringc;
using namespace ringc::test;
using reference::ProductCase;
using reference::ProductMatrices;

namespace {

CublasLtFake &fakeCublas() {
  void *library = dlopen(RINGC_FAKE_CUBLASLT, RTLD_NOW | RTLD_LOCAL);
  REQUIRE(library != nullptr);
  auto get = reinterpret_cast<CublasLtFake *(*)()>(dlsym(library, cublasLtFakeSymbol));
  REQUIRE(bool(get));
  return *get();
}

int64_t matmuls() {
  return std::ranges::count_if(fakeCublas().calls, [](const std::string &call) {
    return call.starts_with("cublasLtMatmul ");
  });
}

/// A rank alone on a device, and what it said.
struct Machine {
  explicit Machine(const char *library = RINGC_FAKE_CUBLASLT) {
    fakeCublas() = {};
    device = fakeWorld().front();
    setenv("RINGC_CUBLASLT_LIBRARY", library, /*overwrite=*/1);
    stream = std::make_unique<CudaStream>(device.device);
    backend = deviceModuleBackend(device, *stream,
                                  [this](const std::string &line) { said.push_back(line); });
  }

  /// Other tests' cuBLASLt works.
  ~Machine() {
    backend.reset();
    fakeCublas().failing.clear();
    fakeCublas().hasNoKernel = false;
  }

  double errorOf(Products &products, const ProductCase &each) {
    ProductMatrices matrices(each);
    auto put = [&](const HostTensor &tensor) { return DeviceTensor::copyOf(*stream, tensor); };
    DeviceTensor a = put(matrices.a), b = put(matrices.b), c = put(matrices.c);
    products.multiply(matrices.left(a.view().data()), matrices.right(b.view().data()),
                      matrices.result(c.view().data()));
    return matrices.error(c.download(*stream).data());
  }

  DeviceContext device;
  std::unique_ptr<CudaStream> stream;
  std::vector<std::string> said;
  std::unique_ptr<ModuleBackend> backend;
};

const ProductCase usual{.m = 5, .n = 7, .k = 9};

} // namespace

TEST_CASE("cuBLASLt multiplies matrices and transposes, of any extents, as they lie") {
  Machine machine;
  auto products = machine.backend->products(F32Products::Tf32x3);
  for (const ProductCase &each : reference::productCases(
           {{1, 1, 1}, {17, 30, 25}, {16, 8, 32}, {5, 3, 0}, {0, 7, 9}, {1, 20, 3}, {20, 1, 3}})) {
    CAPTURE(each.name());
    bool isEmpty = each.m == 0 || each.k == 0;
    int64_t before = matmuls();
    CHECK(machine.errorOf(*products, each) < each.bar());
    CHECK(matmuls() - before == (isEmpty ? 0 : 1));
  }
  CHECK(machine.said ==
        std::vector<std::string>{"products: cuBLASLt 12.9.3, " RINGC_FAKE_CUBLASLT});
}

TEST_CASE("f32 is exact unless asked otherwise; 16 bit is summed in f32") {
  Machine machine;
  auto exact = machine.backend->products(F32Products::Tf32x3),
       fast = machine.backend->products(F32Products::Tf32);
  ProductCase half = usual;
  half.dtype = DType::BF16;
  for (auto [products, each, call] : {std::tuple(&exact, usual, "NN f32 pedantic 7x5x9"),
                                      {&fast, usual, "NN tf32 7x5x9"},
                                      {&fast, half, "NN f32 7x5x9"}}) {
    CHECK(machine.errorOf(**products, each) < each.bar());
    CHECK(fakeCublas().calls.back() == std::string("cublasLtMatmul ") + call);
  }
}

TEST_CASE("the algorithm of a shape is asked for once, and nothing is left behind") {
  {
    Machine machine;
    auto products = machine.backend->products(F32Products::Tf32x3);
    auto asked = [] {
      return std::ranges::count(fakeCublas().calls, "cublasLtMatmulAlgoGetHeuristic");
    };
    ProductCase aligned{.m = 4, .n = 8, .k = 8}, shifted = aligned;
    for (int time = 0; time < 3; ++time)
      CHECK(machine.errorOf(*products, aligned) < usual.bar());
    CHECK(asked() == 1);
    shifted.offset = 1; // another alignment
    CHECK(machine.errorOf(*products, shifted) < usual.bar());
    CHECK(asked() == 2);
    CHECK(fakeCublas().liveObjects > 0);
  }
  CHECK(fakeCublas().liveObjects == 0);
}

TEST_CASE("what cuBLASLt has no kernel for is the library's own") {
  Machine machine;
  auto products = machine.backend->products(F32Products::Tf32x3);
  fakeCublas().hasNoKernel = true;
  CHECK(machine.errorOf(*products, usual) < usual.bar());
  fakeCublas().hasNoKernel = false;
  // Rows that are one and the same.
  float row[4] = {1, 2, 3, 4}, column[4] = {1, 1, 1, 1}, sums[3] = {};
  Tensor same(row, DType::F32, std::array<int64_t, 2>{3, 4}, std::array<int64_t, 2>{0, 1});
  products->multiply({same}, {Tensor(column, DType::F32, {4, 1})},
                     Tensor(sums, DType::F32, {3, 1}));
  machine.stream->synchronize();
  CHECK(std::ranges::all_of(sums, [](float sum) { return sum == 10; }));
  CHECK(matmuls() == 0);
}

TEST_CASE("factors that do not fit are refused, and failures name the product") {
  Machine machine;
  auto products = machine.backend->products(F32Products::Tf32x3);
  float memory[64] = {};
  Tensor a(memory, DType::F32, {3, 4}), b(memory + 12, DType::F32, {4, 2}),
      c(memory + 20, DType::F32, {3, 2});
  CHECK(messageOf([&] {
          products->multiply({a}, {a}, c);
        }).starts_with("product: got f32[3, 4] times f32[3, 4] to f32[3, 2], allowed: "));
  CHECK(messageOf([&] { products->multiply({a}, {Tensor(nullptr, DType::F32, {4, 2})}, c); }) !=
        "nothing thrown");
  fakeCublas().failing = "cublasLtMatmul";
  fakeCublas().failure = CublasStatus::ExecutionFailed;
  CHECK(messageOf([&] { products->multiply({a}, {b}, c); }) ==
        "cublasLtMatmul of f32[3, 4] times f32[4, 2] to f32[3, 2] on " +
            machine.device.device->facts().describe() + ": CUBLAS_STATUS_EXECUTION_FAILED");
  fakeCublas().failing = "cublasLtMatmulAlgoGetHeuristic";
  fakeCublas().failure = CublasStatus::InternalError;
  Tensor wide(memory, DType::F32, {3, 5}), tall(memory, DType::F32, {5, 2});
  CHECK(messageOf([&] { products->multiply({wide}, {tall}, c); }) ==
        "cublasLtMatmulAlgoGetHeuristic: CUBLAS_STATUS_INTERNAL_ERROR");
}

TEST_CASE("none, and one that cannot be opened or does not work") {
  Machine machine("none");
  CHECK(machine.said ==
        std::vector<std::string>{"products: matmul.tile, as RINGC_CUBLASLT_LIBRARY says"});
  auto products = machine.backend->products(F32Products::Tf32x3);
  CHECK(machine.errorOf(*products, usual) < usual.bar());
  CHECK(matmuls() == 0);

  CHECK(messageOf([] {
          Machine missing("/no/libcublasLt.so");
        }).starts_with("no cuBLASLt: /no/libcublasLt.so: "));
  CHECK(messageOf([] {
          Machine other(RINGC_FAKE_CUDA);
        }).starts_with(RINGC_FAKE_CUDA " has no cublasLtGetVersion: an old cuBLAS; install"));
  Machine working;
  fakeCublas().failing = "cublasLtCreate";
  fakeCublas().failure = CublasStatus::NotInitialized;
  CHECK(messageOf([&] { (void)deviceModuleBackend(working.device, *working.stream); }) ==
        RINGC_FAKE_CUBLASLT ": cublasLtCreate on " + working.device.device->facts().describe() +
            ": CUBLAS_STATUS_NOT_INITIALIZED");
}
