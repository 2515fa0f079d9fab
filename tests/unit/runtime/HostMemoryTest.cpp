#include "ringc/driver/HostMemory.h"

#include "ringc/support/Error.h"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>

using namespace ringc;

namespace {

/// Large enough for several parts, and no multiple of them.
const std::array<int64_t, 3> shape{3, 70001, 5};

HostTensor counted(DType dtype) {
  HostTensor tensor(DType::F32, shape);
  for (int64_t i = 0; i < tensor.elementCount(); ++i)
    tensor.dataAs<float>()[i] = float(i % 251);
  HostTensor converted(dtype, shape);
  convert(tensor, converted);
  return converted;
}

bool isCounted(const Tensor &tensor) {
  HostTensor wide(DType::F32, tensor.shape());
  convert(tensor, wide);
  for (int64_t i = 0; i < wide.elementCount(); ++i)
    if (wide.dataAs<float>()[i] != float(i % 251))
      return false;
  return true;
}

} // namespace

TEST_CASE("the pool's threads copy, convert, add and zero every element once") {
  HostPool pool(3);
  for (DType from : {DType::F32, DType::F16, DType::BF16})
    for (DType to : {DType::F32, DType::F16, DType::BF16}) {
      HostTensor target(to, shape);
      convert(pool, counted(from), target);
      CHECK(isCounted(target));
    }
  HostTensor sum = counted(DType::F32), wide(DType::F32, {shape[0], shape[1], 2 * shape[2]});
  Tensor gaps = wide.view().slice(2, 3, shape[2]);
  copy(pool, sum, gaps);
  CHECK(isCounted(gaps));
  CHECK(wide.dataAs<float>()[2] == 0);
  CHECK(wide.dataAs<float>()[3 + shape[2]] == 0);
  add(pool, counted(DType::F32), sum);
  CHECK(sum.dataAs<float>()[250] == 500);
  CHECK(sum.dataAs<float>()[sum.elementCount() - 1] == float(2 * ((sum.elementCount() - 1) % 251)));
  zero(pool, sum);
  for (int64_t i = 0; i < sum.elementCount(); ++i)
    REQUIRE(sum.dataAs<float>()[i] == 0);
}

TEST_CASE("the pool's copies refuse what one thread's do, and take nothing and single numbers") {
  HostPool pool(2);
  HostTensor floats(DType::F32, {4, 4}), ints(DType::I32, {4, 4}), fewer(DType::F32, {4, 3});
  CHECK_THROWS_AS(convert(pool, floats, ints), InputError);
  CHECK_THROWS_AS(convert(pool, floats, fewer), InputError);
  CHECK_THROWS_AS(copy(pool, floats, ints), InputError);
  HostTensor none(DType::F32, {0, 4}), alsoNone(DType::BF16, {0, 4});
  convert(pool, none, alsoNone);
  zero(pool, none);
  float one = 1, two = 0;
  copy(pool, Tensor(&one, DType::F32, {}), Tensor(&two, DType::F32, {}));
  CHECK(two == 1);
}

TEST_CASE("kept memory grows, keeps its place otherwise, and is aligned") {
  KeptMemory memory;
  CHECK(memory.reserve(1) != nullptr);
  void *first = memory.reserve(100);
  CHECK(reinterpret_cast<uintptr_t>(first) % 64 == 0);
  CHECK(memory.reserve(50) == first);
  Tensor large = memory.tensor(DType::F32, std::array<int64_t, 2>{1 << 20, 3});
  CHECK(reinterpret_cast<uintptr_t>(large.data()) % 64 == 0);
  large.dataAs<float>()[large.elementCount() - 1] = 1;
  CHECK(memory.tensor(DType::BF16, std::array<int64_t, 1>{7}).data() == large.data());
}

TEST_CASE("large host tensors are zero and aligned like small ones") {
  for (int64_t count : {1, 1000, (4 << 20) / 4 - 1, (4 << 20) / 4, 3000001}) {
    HostTensor tensor(DType::F32, {count});
    CHECK(reinterpret_cast<uintptr_t>(tensor.data()) % 64 == 0);
    for (int64_t i = 0; i < count; ++i)
      REQUIRE(tensor.dataAs<float>()[i] == 0);
    HostTensor moved = std::move(tensor);
    moved.dataAs<float>()[count - 1] = 1;
  }
}
