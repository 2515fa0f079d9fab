#include "ringc/RowBlocks.h"

#include <doctest/doctest.h>

#include <numeric>
#include <vector>

using namespace ringc;

namespace {

/// Copies as the blocks say, from numbers that count up to zeros.
std::vector<int32_t> copied(const RowBlocks &rows, const std::vector<int32_t> &from, int64_t room,
                            int64_t start) {
  std::vector<int32_t> to(size_t(room), -1);
  for (const RowBlocks::Block &block : rows.blocks)
    for (int64_t row = 0; row < rows.height; ++row)
      for (int64_t at = 0; at < rows.width; ++at)
        to[size_t(block.offset[1] + row * rows.pitch[1] + at)] =
            from[size_t(start + block.offset[0] + row * rows.pitch[0] + at)];
  return to;
}

/// `view` is of the numbers; a row-major copy of it must be what the blocks make.
RowBlocks checkCopy(const Tensor &view, const std::vector<int32_t> &numbers) {
  HostTensor dense = HostTensor::copyOf(view);
  RowBlocks rows = RowBlocks::of(view, dense);
  int64_t start = view.dataAs<int32_t>() - numbers.data();
  std::vector<int32_t> made = copied(rows, numbers, dense.elementCount(), start);
  CHECK(std::equal(made.begin(), made.end(), dense.dataAs<int32_t>()));
  for (int64_t pitch : rows.pitch)
    CHECK(pitch >= rows.width);
  return rows;
}

} // namespace

TEST_CASE("any strides, in as few blocks as can be") {
  std::vector<int32_t> numbers(2 * 5 * 3 * 4 * 6);
  std::iota(numbers.begin(), numbers.end(), 0);
  Tensor all(numbers.data(), DType::I32, {2, 5, 3, 4, 6}); // b, n, 3, h, d

  RowBlocks dense = checkCopy(all, numbers);
  CHECK(dense.blocks.size() == 1);
  CHECK(dense.width == all.elementCount());
  CHECK(dense.height == 1);

  RowBlocks packed = checkCopy(all.select(2, 1), numbers); // K of a packed projection
  CHECK(packed.blocks.size() == 1);
  CHECK(packed.width == 4 * 6);
  CHECK(packed.height == 2 * 5);

  RowBlocks permuted = checkCopy(all.select(2, 0).permute({0, 2, 1, 3}), numbers);
  CHECK(permuted.blocks.size() == 2 * 4);
  CHECK(permuted.width == 6);
  CHECK(permuted.height == 5);

  RowBlocks everyOther = checkCopy(all.slice(4, 2, 3), numbers);
  CHECK(everyOther.width == 3);
  CHECK(everyOther.blocks.size() == 1);

  checkCopy(all.permute({4, 3, 2, 1, 0}), numbers);
  std::array<int64_t, 3> shape = {5, 4, 6}, expanded = {0, 6, 1}, reversed = {-6, 0, 1};
  checkCopy(Tensor(numbers.data(), DType::I32, shape, expanded), numbers);
  checkCopy(Tensor(numbers.data() + 60, DType::I32, shape, reversed), numbers);
}

TEST_CASE("one number, and none") {
  std::vector<int32_t> numbers = {7};
  CHECK(checkCopy(Tensor(numbers.data(), DType::I32, {1, 1}), numbers).blocks.size() == 1);
  Tensor none(nullptr, DType::I32, {3, 0, 2});
  CHECK(RowBlocks::of(none, none).blocks.empty());
}
