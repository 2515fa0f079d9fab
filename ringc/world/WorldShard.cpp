#include "ringc/world/WorldShard.h"

#include "ringc/attention/shared/Parameters.h"
#include "ringc/ring/Sharding.h"

namespace ringc {

/// The axis to cut of a tensor that may have one entry for the whole batch.
static std::optional<int> batchAxisOf(const Tensor &tensor, std::optional<int> axis) {
  return axis && tensor.dim(*axis) == 1 ? std::nullopt : axis;
}

Tensor WorldShard::entries(const Tensor &whole, int axis) const {
  BatchRange batch = problem.batch();
  return whole.slice(axis, batch.begin, batch.count);
}

Tensor WorldShard::take(const Tensor &whole, std::optional<int> batchAxis,
                        std::optional<int> rowAxis) {
  Tensor part = batchAxis ? entries(whole, *batchAxis) : whole;
  if (!rowAxis)
    return part;
  return memory.emplace_back(
      shard(part, *rowAxis, problem.layout, problem.place(), problem.rings.ringSize));
}

HostTensor WorldShard::room(DType dtype, std::vector<int64_t> wholeShape, int rowAxis) const {
  int64_t &rows = wholeShape[size_t(rowAxis)];
  rows = localLength(problem.layout, problem.place(), problem.rings.ringSize, rows);
  wholeShape[0] = problem.batch().count;
  return HostTensor(dtype, wholeShape);
}

void WorldShard::give(const Tensor &part, int rowAxis, const Tensor &whole) const {
  unshardInto(part, rowAxis, problem.layout, problem.place(), problem.rings.ringSize,
              entries(whole, 0));
}

AttentionInputs WorldShard::take(const AttentionOptions &options, const AttentionInputs &whole,
                                 std::span<const KernelArgument> arguments) {
  AttentionInputs own{.q = take(whole.q, 0, 1),
                      .k = take(whole.k, 0, 1),
                      .v = take(whole.v, 0, 1),
                      .cuSeqlens = whole.cuSeqlens};
  if (whole.keyMask)
    own.keyMask = take(*whole.keyMask, 0, 1);
  if (whole.bias)
    own.bias = take(*whole.bias, batchAxisOf(*whole.bias, 0), 2);
  NamedValues values = namedValues(arguments, options, whole),
              ofOptions = optionValues(options, whole);
  for (const KernelArgument &argument : arguments) {
    auto value = values.find(argument.name);
    if (value == values.end() || ofOptions.contains(argument.name))
      continue;
    ArgumentValue part = value->second;
    if (auto *tensor = std::get_if<Tensor>(&part)) {
      std::optional<int> rows = axisOf(argument, "Nq");
      part = take(*tensor, batchAxisOf(*tensor, axisOf(argument, "B")),
                  rows ? rows : travellingAxis(argument));
    }
    own.arguments.emplace(argument.name, part);
  }
  return own;
}

} // namespace ringc
