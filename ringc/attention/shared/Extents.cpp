#include "ringc/attention/shared/Extents.h"

#include "ringc/support/Error.h"

#include <algorithm>
#include <string>

namespace ringc {

namespace {

/// Kernels count rows, positions and their differences in signed i32, from the first to one behind
/// the last; a tile, and the next ones that are fetched ahead, may reach beyond the last row.
constexpr int64_t mostPositions = (int64_t(1) << 31) - 1;
constexpr int64_t mostRows = mostPositions - (int64_t(1) << 16);

void checkLength(std::string_view argument, int64_t length) {
  if (length > mostPositions)
    throw InputError(argument, std::to_string(length), "0 to " + std::to_string(mostPositions));
}

void checkRows(std::string_view argument, int64_t rows, int64_t heads) {
  if (rows > mostRows / heads)
    throw InputError(argument,
                     std::to_string(rows) + " rows" +
                         (heads > 1 ? " for each of " + std::to_string(heads) + " heads" : ""),
                     "at most " + std::to_string(mostRows / heads) +
                         "; more ranks hold fewer each");
}

} // namespace

RankProblem::RankProblem(const AttentionOptions &options, int world, int ownRank,
                         const AttentionShape &shape)
    : rings{world, options.ringSize == 0 ? world : options.ringSize}, layout(options.layout),
      rank(ownRank), global(shape) {
  rings.check();
  (void)batch();
  (void)queryPositions();
  checkLength("queries", global.queryLength);
  checkLength("keys", global.keyLength);
  int64_t group = options.kvHeads == 0 ? 1 : options.heads / options.kvHeads;
  auto mostOfRank = [&](int64_t length) {
    return paddedLength(layout, rings.ringSize, length) / rings.ringSize;
  };
  checkRows("queries of a rank", mostOfRank(global.queryLength), group);
  checkRows("keys of a rank", mostOfRank(global.keyLength), 1);
}

void checkTensor(std::string_view argument, const Tensor &tensor, DType dtype,
                 std::initializer_list<int64_t> shape) {
  if (tensor.dtype() != dtype || !std::ranges::equal(tensor.shape(), shape))
    throw InputError(argument, describe(tensor), describe(Tensor(nullptr, dtype, shape)));
}

namespace {

void checkBias(const AttentionOptions &options, const Extents &extents, const Tensor &bias) {
  bool fits = bias.rank() == 4 && isFloat(bias.dtype()) &&
              (bias.dim(0) == 1 || bias.dim(0) == extents.batch) &&
              (bias.dim(1) == 1 || bias.dim(1) == options.heads) &&
              bias.dim(2) == extents.queryRows && bias.dim(3) == extents.keyLength;
  if (!fits)
    throw InputError("bias", describe(bias),
                     "f32, f16 or bf16 [" + std::to_string(extents.batch) + " or 1, " +
                         std::to_string(options.heads) + " or 1, " +
                         std::to_string(extents.queryRows) + ", " +
                         std::to_string(extents.keyLength) + "]");
}

} // namespace

void checkCuSeqlens(const AttentionShape &shape, const Tensor &cuSeqlens) {
  std::string length = std::to_string(shape.keyLength);
  if (cuSeqlens.dtype() != DType::I32 || cuSeqlens.rank() != 1 || cuSeqlens.dim(0) < 2)
    throw InputError("cu_seqlens", describe(cuSeqlens), "i32 with one axis of 2 or more");
  if (shape.queryLength > shape.keyLength)
    throw InputError("cu_seqlens",
                     std::to_string(shape.queryLength) + " queries and " + length + " keys",
                     "no more queries than keys");
  int32_t last = 0;
  for (int64_t at = 0; at < cuSeqlens.dim(0); ++at) {
    int32_t next = *(cuSeqlens.dataAs<int32_t>() + at * cuSeqlens.stride(0));
    bool fits = at == 0 ? next == 0 : next >= last;
    if (at == cuSeqlens.dim(0) - 1)
      fits = fits && next == shape.keyLength;
    if (!fits)
      throw InputError("cu_seqlens[" + std::to_string(at) + "]", std::to_string(next),
                       "numbers that rise from 0 to the " + length + " keys");
    last = next;
  }
}

void checkInputs(const AttentionOptions &options, const AttentionShape &shape,
                 const Extents &extents, const AttentionInputs &inputs) {
  auto [batch, queryRows, keyRows, keyLength] = extents;
  checkTensor("q", inputs.q, options.dtype, {batch, queryRows, options.heads, options.headDim});
  checkTensor("k", inputs.k, options.dtype, {batch, keyRows, options.kvHeads, options.headDim});
  checkTensor("v", inputs.v, options.dtype,
              {batch, keyRows, options.kvHeads, options.valueHeadDim});
  if (inputs.keyMask)
    checkTensor("key mask", *inputs.keyMask, DType::Bool, {batch, keyRows});
  if (inputs.bias)
    checkBias(options, extents, *inputs.bias);
  if (inputs.cuSeqlens)
    checkCuSeqlens(shape, *inputs.cuSeqlens);
}

void checkUnitStride(std::string_view argument, const Tensor &tensor) {
  int last = tensor.rank() - 1;
  if (tensor.stride(last) != 1 && tensor.dim(last) > 1)
    throw InputError(std::string(argument) + ": stride of the last axis",
                     std::to_string(tensor.stride(last)), "1");
}

void checkResults(const AttentionOptions &options, const Extents &extents,
                  const ForwardResults &results) {
  checkTensor("out", results.out, options.dtype,
              {extents.batch, extents.queryRows, options.heads, options.valueHeadDim});
  checkTensor("lse", results.lse, DType::F32, {extents.batch, options.heads, extents.queryRows});
  if (results.rowMax.has_value() != results.rowSum.has_value())
    throw InputError("rowMax and rowSum", results.rowMax ? "rowMax alone" : "rowSum alone",
                     "both or none");
  for (auto [name, rows] : {std::pair("rowMax", &results.rowMax), {"rowSum", &results.rowSum}})
    if (*rows)
      checkTensor(name, **rows, DType::F32, {extents.batch, options.heads, extents.queryRows});
  checkUnitStride("out", results.out);
}

void checkGradients(const AttentionOptions &options, const Extents &extents, const Tensor &dout,
                    const GradientResults &to) {
  auto [batch, queryRows, keyRows, keyLength] = extents;
  checkTensor("dout", dout, options.dtype, {batch, queryRows, options.heads, options.valueHeadDim});
  checkTensor("dq", to.dq, options.dtype, {batch, queryRows, options.heads, options.headDim});
  checkTensor("dk", to.dk, options.dtype, {batch, keyRows, options.kvHeads, options.headDim});
  checkTensor("dv", to.dv, options.dtype, {batch, keyRows, options.kvHeads, options.valueHeadDim});
  checkUnitStride("dq", to.dq);
}

} // namespace ringc
