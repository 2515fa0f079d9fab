#include "ringc/Tensor.h"

#include "ringc/Float16.h"
#include "ringc/support/Error.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

using namespace ringc;

TEST_CASE("dtype names and sizes, both ways") {
  for (DType dtype : allDTypes) {
    CHECK(parseDType(nameOf(dtype)) == dtype);
    CHECK(isFloat(dtype) == (nameOf(dtype).find('f') != std::string_view::npos));
  }
  CHECK(sizeOf(DType::F32) == 4);
  CHECK(sizeOf(DType::F16) == 2);
  CHECK(sizeOf(DType::BF16) == 2);
  CHECK(sizeOf(DType::I32) == 4);
  CHECK(sizeOf(DType::I64) == 8);
  CHECK(sizeOf(DType::Bool) == 1);
  CHECK_FALSE(parseDType("f64").has_value());
  CHECK_FALSE(parseDType("").has_value());
}

TEST_CASE("host tensors are aligned, zero, row-major and move") {
  HostTensor tensor(DType::F32, {2, 3, 5});
  CHECK(reinterpret_cast<uintptr_t>(tensor.data()) % 64 == 0);
  for (int i = 0; i < 30; ++i)
    REQUIRE(tensor.dataAs<float>()[i] == 0);
  CHECK(tensor.view().stride(0) == 15);
  CHECK(tensor.view().stride(2) == 1);
  CHECK(tensor.byteCount() == 120);
  CHECK(describe(tensor) == "f32[2, 3, 5]");

  void *data = tensor.data();
  HostTensor other = std::move(tensor);
  CHECK(other.data() == data);
  CHECK(tensor.data() == nullptr);
  other = HostTensor(DType::I32, {1});
  CHECK(other.dtype() == DType::I32);
}

TEST_CASE("empty and scalar tensors") {
  HostTensor none(DType::F16, {4, 0, 3});
  CHECK(none.view().empty());
  CHECK(none.view().isContiguous());
  CHECK(none.data() != nullptr);
  HostTensor scalar(DType::I64, {});
  CHECK(scalar.elementCount() == 1);
  CHECK(scalar.view().isContiguous());
}

TEST_CASE("shapes that cannot be are refused") {
  int64_t huge = std::numeric_limits<int64_t>::max() / 4;
  CHECK_THROWS_AS(Tensor(nullptr, DType::F32, {-1}), InputError);
  CHECK_THROWS_AS(Tensor(nullptr, DType::F32, {huge, 2}), InputError);
  CHECK_THROWS_AS(Tensor(nullptr, DType::F32, {huge, 2, 0}), InputError);
  CHECK_THROWS_AS(Tensor(nullptr, DType::I64, {huge}), InputError);
  CHECK_THROWS_AS(Tensor(nullptr, DType::F32, {1, 1, 1, 1, 1, 1, 1, 1, 1}), InputError);
  std::vector<int64_t> shape = {2, 3}, strides = {3};
  CHECK_THROWS_AS(Tensor(nullptr, DType::F32, shape, strides), InputError);
  CHECK_THROWS_WITH_AS(Tensor(nullptr, DType::F32, {2, -3}),
                       "shape: got [2, -3], allowed: extents of zero or more", InputError);
}

TEST_CASE("slices, selections and permutations share memory") {
  HostTensor tensor(DType::I32, {2, 3, 4});
  std::iota(tensor.dataAs<int32_t>(), tensor.dataAs<int32_t>() + 24, 0);
  Tensor rows = tensor.view().slice(1, 1, 2);
  CHECK(rows.dim(1) == 2);
  CHECK(*rows.dataAs<int32_t>() == 4);
  CHECK_FALSE(rows.isContiguous());
  Tensor plane = tensor.view().select(0, 1);
  CHECK(plane.rank() == 2);
  CHECK(plane.isContiguous());
  CHECK(*plane.dataAs<int32_t>() == 12);
  Tensor turned = tensor.view().permute({2, 0, 1});
  int64_t index[] = {3, 1, 2};
  CHECK(*reinterpret_cast<int32_t *>(turned.at(index)) == 23);

  HostTensor straight = HostTensor::copyOf(turned);
  CHECK(straight.view().isContiguous());
  for (int64_t a = 0; a < 4; ++a)
    for (int64_t b = 0; b < 2; ++b)
      for (int64_t c = 0; c < 3; ++c)
        REQUIRE(straight.dataAs<int32_t>()[(a * 2 + b) * 3 + c] == b * 12 + c * 4 + a);
}

TEST_CASE("copy reads expanded and reversed views") {
  int32_t values[] = {1, 2, 3};
  std::vector<int64_t> shape = {2, 3}, expanded = {0, 1}, reversed = {0, -1};
  HostTensor twice = HostTensor::copyOf(Tensor(values, DType::I32, shape, expanded));
  HostTensor back = HostTensor::copyOf(Tensor(values + 2, DType::I32, shape, reversed));
  for (int i = 0; i < 6; ++i) {
    CHECK(twice.dataAs<int32_t>()[i] == 1 + i % 3);
    CHECK(back.dataAs<int32_t>()[i] == 3 - i % 3);
  }
}

TEST_CASE("conversion between float types rounds; others must agree") {
  HostTensor wide(DType::F32, {3});
  wide.dataAs<float>()[0] = 1.0f + 0x1p-11f; // half way in f16: to even
  wide.dataAs<float>()[1] = 3.14159f;
  wide.dataAs<float>()[2] = -65520.0f;
  HostTensor half(DType::F16, {3}), brain(DType::BF16, {3}), again(DType::F32, {3});
  convert(wide, half);
  convert(wide, brain);
  convert(half, again);
  CHECK(again.dataAs<float>()[0] == 1.0f);
  CHECK(again.dataAs<float>()[2] == -std::numeric_limits<float>::infinity());
  CHECK(brain.dataAs<uint16_t>()[1] == bf16FromFloat(3.14159f));
  convert(half, brain);
  CHECK(brain.dataAs<uint16_t>()[0] == 0x3f80);

  HostTensor integers(DType::I32, {3}), shorter(DType::F32, {2});
  CHECK_THROWS_AS(convert(wide, integers), InputError);
  CHECK_THROWS_AS(convert(integers, wide), InputError);
  CHECK_THROWS_AS(convert(wide, shorter), InputError);
  CHECK_THROWS_AS(copy(wide, half), InputError);
}
