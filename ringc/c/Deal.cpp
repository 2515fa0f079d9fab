#include "ringc/attention/Rope.h"
#include "ringc/c/Options.h"
#include "ringc/c/Status.h"
#include "ringc/c/Tensors.h"
#include "ringc/ring/Sharding.h"

#include <array>
#include <string>

namespace ringc::c {

namespace {

SequenceLayout layoutOf(const char *text) {
  return text ? parseLayout(text) : SequenceLayout::contiguous();
}

/// One number after another, in i32 or i64.
void fill(const ringc_tensor *given, const Positions &positions, int64_t rows) {
  Tensor tensor = TensorReader::ofHost().write("positions", given);
  bool integers = tensor.dtype() == DType::I32 || tensor.dtype() == DType::I64;
  if (!integers || tensor.rank() != 1 || tensor.dim(0) != rows)
    throw InputError("positions", describe(tensor), "i32 or i64 [" + std::to_string(rows) + "]");
  for (int64_t row = 0; row < rows; ++row) {
    std::byte *at = tensor.at(std::array{row});
    if (tensor.dtype() == DType::I32)
      *reinterpret_cast<int32_t *>(at) = int32_t(positions(row));
    else
      *reinterpret_cast<int64_t *>(at) = positions(row);
  }
}

Positions positionsOfQueries(const char *layout, int rank, int world, int64_t queries,
                             int64_t keys) {
  return queryPositions(layoutOf(layout), rank, world, queries, keys);
}

using Turn = void (*)(const Tensor &, const Tensor &, const Positions &, const RopeOptions &);

ringc_status turned(Turn turn, const ringc_tensor *from, const ringc_tensor *to,
                    const ringc_row_positions *positions, const char *options_json) {
  return call([&] {
    const ringc_row_positions &at = *required("positions", positions);
    RopeOptions options = parseRopeOptions(optionsText(options_json));
    turn(TensorReader::ofHost().read("from", from), TensorReader::ofHost().write("to", to),
         {at.first, at.block, at.jump}, options);
  });
}

} // namespace

} // namespace ringc::c

using namespace ringc::c;

ringc_status ringc_local_length(const char *layout, int rank, int world, int64_t length,
                                int64_t *rows) {
  return call([&] {
    required("rows", rows);
    *rows = ringc::localLength(layoutOf(layout), rank, world, length);
  });
}

ringc_status ringc_padded_length(const char *layout, int world, int64_t length, int64_t *padded) {
  return call([&] {
    required("padded", padded);
    *padded = ringc::paddedLength(layoutOf(layout), world, length);
  });
}

ringc_status ringc_positions(const char *layout, int rank, int world, int64_t length,
                             const ringc_tensor *positions) {
  return ringc_query_positions(layout, rank, world, length, length, positions);
}

ringc_status ringc_query_positions(const char *layout, int rank, int world, int64_t query_length,
                                   int64_t key_length, const ringc_tensor *positions) {
  return call([&] {
    fill(positions, positionsOfQueries(layout, rank, world, query_length, key_length),
         ringc::localLength(layoutOf(layout), rank, world, query_length));
  });
}

ringc_status ringc_row_positions_of(const char *layout, int rank, int world, int64_t query_length,
                                    int64_t key_length, ringc_row_positions *positions) {
  return call([&] {
    required("positions", positions);
    const auto &[first, block, jump] =
        positionsOfQueries(layout, rank, world, query_length, key_length);
    *positions = {first, block, jump};
  });
}

ringc_status ringc_shard(const ringc_tensor *whole, int axis, const char *layout, int rank,
                         int world, const ringc_tensor *local) {
  return call([&] {
    ringc::Tensor from = TensorReader::ofHost().read("whole", whole),
                  to = TensorReader::ofHost().write("local", local);
    ringc::shardInto(from, axis, layoutOf(layout), rank, world, to);
  });
}

ringc_status ringc_unshard(const ringc_tensor *local, int axis, const char *layout, int rank,
                           int world, const ringc_tensor *whole) {
  return call([&] {
    ringc::Tensor from = TensorReader::ofHost().read("local", local),
                  to = TensorReader::ofHost().write("whole", whole);
    ringc::unshardInto(from, axis, layoutOf(layout), rank, world, to);
  });
}

ringc_status ringc_rope(const ringc_tensor *from, const ringc_tensor *to,
                        const ringc_row_positions *positions, const char *options_json) {
  return turned(ringc::rope, from, to, positions, options_json);
}

ringc_status ringc_rope_inverse(const ringc_tensor *from, const ringc_tensor *to,
                                const ringc_row_positions *positions, const char *options_json) {
  return turned(ringc::ropeInverse, from, to, positions, options_json);
}
