#include "ringc/ring/Sharding.h"

#include "ringc/support/Error.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

using namespace ringc;

namespace {

HostTensor counting(std::initializer_list<int64_t> shape) {
  HostTensor tensor(DType::I32, shape);
  std::iota(tensor.dataAs<int32_t>(), tensor.dataAs<int32_t>() + tensor.elementCount(), 0);
  return tensor;
}

bool same(const Tensor &a, const Tensor &b) {
  return std::ranges::equal(a.shape(), b.shape()) && a.dtype() == b.dtype() &&
         std::memcmp(a.data(), b.data(), size_t(a.byteCount())) == 0;
}

const SequenceLayout layouts[] = {SequenceLayout::contiguous(), SequenceLayout::striped(),
                                  SequenceLayout::striped(3), SequenceLayout::zigzag()};

} // namespace

TEST_CASE("unshard is the inverse of shard, for every axis and any length") {
  for (const SequenceLayout &layout : layouts) {
    for (int world = 1; world <= 5; ++world) {
      for (int64_t n : {0, 1, 2, 3, 7, 8, 13, 31}) {
        CAPTURE(nameOf(layout));
        CAPTURE(world);
        CAPTURE(n);
        HostTensor onAxis[] = {counting({n, 2, 3}), counting({2, n, 3}), counting({2, 3, n})};
        for (int axis = 0; axis < 3; ++axis) {
          std::vector<HostTensor> shards;
          std::vector<Tensor> views;
          for (int rank = 0; rank < world; ++rank) {
            shards.push_back(shard(onAxis[axis], axis, layout, rank, world));
            views.push_back(shards.back());
            Positions at = positions(layout, rank, world, n);
            for (int64_t row = 0; row < views.back().dim(axis); ++row) {
              HostTensor here = HostTensor::copyOf(views.back().select(axis, row));
              HostTensor there = HostTensor::copyOf(onAxis[axis].view().select(axis, at(row)));
              REQUIRE(same(here, there));
            }
          }
          REQUIRE(same(unshard(views, axis, layout), onAxis[axis]));
        }
      }
    }
  }
}

TEST_CASE("shards of strided tensors") {
  HostTensor global = counting({6, 4});
  HostTensor local = shard(global.view().permute({1, 0}), 1, SequenceLayout::zigzag(), 1, 3);
  // Rows 1 and 4 of six, as columns.
  int32_t expected[] = {4, 16, 5, 17, 6, 18, 7, 19};
  CHECK(std::equal(expected, expected + 8, local.dataAs<int32_t>()));
}

TEST_CASE("pad appends zeros, unpad takes them away") {
  HostTensor tensor = counting({2, 3, 2});
  HostTensor padded = pad(tensor, 1, 5);
  CHECK(padded.dim(1) == 5);
  CHECK(padded.dataAs<int32_t>()[5] == 5);
  CHECK(padded.dataAs<int32_t>()[6] == 0);
  CHECK(padded.dataAs<int32_t>()[10] == 6);
  CHECK(same(HostTensor::copyOf(unpad(padded, 1, 3)), tensor));
  CHECK(same(pad(tensor, 1, 3), tensor));
  CHECK_THROWS_AS(pad(tensor, 1, 2), InputError);
  CHECK_THROWS_AS(pad(tensor, 3, 5), InputError);
  CHECK_THROWS_AS(unpad(tensor, 1, 4), InputError);
}

TEST_CASE("what are not shards of one tensor is refused") {
  HostTensor global = counting({8, 2});
  HostTensor three = counting({3, 2}), wide = counting({4, 3}), other(DType::F32, {4, 2});
  SequenceLayout layout = SequenceLayout::contiguous();
  CHECK_THROWS_AS(shardInto(global, 0, layout, 0, 2, three), InputError);
  CHECK_THROWS_AS(shardInto(global, 0, layout, 0, 2, wide), InputError);
  CHECK_THROWS_AS(unshardInto(other, 0, layout, 0, 2, global), InputError);
  CHECK_THROWS_AS(shard(global, 2, layout, 0, 2), InputError);
  CHECK_THROWS_AS(shard(global, 0, layout, 2, 2), InputError);
  Tensor uneven[] = {three, global};
  CHECK_THROWS_AS(unshard(uneven, 0, layout), InputError);
  CHECK_THROWS_AS(unshard({}, 0, layout), InputError);
}
