#include "ringc/attention/device/DeviceDeal.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/attention/shared/Parameters.h"
#include "ringc/ring/Sharding.h"

namespace ringc {

namespace {

/// The axis to slice of a view that may have one entry for all.
std::optional<int> batchAxisOf(const Tensor &tensor, std::optional<int> axis) {
  return axis && tensor.dim(*axis) == 1 ? std::nullopt : axis;
}

HostTensor typed(const Tensor &tensor, ElementType type) {
  HostTensor made(dtypeOf(type), tensor.shape());
  convert(tensor, made);
  return made;
}

} // namespace

Tensor DeviceDeal::entriesOf(const Tensor &whole, std::optional<int> batchAxis) const {
  BatchRange batch = problem.batch();
  return batchAxis ? whole.slice(*batchAxis, batch.begin, batch.count) : whole;
}

Tensor DeviceDeal::take(const Tensor &whole, std::optional<int> batchAxis,
                        std::optional<int> rowAxis) {
  Tensor entries = entriesOf(whole, batchAxis);
  if (!rowAxis)
    return held.emplace_back(DeviceTensor::copyOf(stream, entries));
  HostTensor rows =
      shard(entries, *rowAxis, problem.layout, problem.place(), problem.rings.ringSize);
  return held.emplace_back(DeviceTensor::copyOf(stream, rows));
}

AttentionInputs DeviceDeal::take(const AttentionOptions &options, const AttentionInputs &whole,
                                 std::span<const KernelArgument> arguments) {
  AttentionInputs own{.q = take(whole.q, 0, 1), .k = take(whole.k, 0, 1), .v = take(whole.v, 0, 1)};
  own.cuSeqlens = whole.cuSeqlens;
  if (whole.keyMask)
    own.keyMask = take(*whole.keyMask, 0, 1);
  if (whole.bias)
    own.bias = take(typed(*whole.bias, ElementType::F32), batchAxisOf(*whole.bias, 0), 2);
  NamedValues ofOptions = optionValues(options, whole),
              values = namedValues(arguments, options, whole);
  for (const KernelArgument &argument : arguments) {
    auto value = values.find(argument.name);
    if (value == values.end() || ofOptions.contains(argument.name))
      continue;
    ArgumentValue part = value->second;
    if (auto *tensor = std::get_if<Tensor>(&part)) {
      std::optional<int> rows = axisOf(argument, "Nq"),
                         entries = batchAxisOf(*tensor, axisOf(argument, "B"));
      part = take(typed(*tensor, argument.type), entries, rows ? rows : travellingAxis(argument));
    }
    own.arguments.emplace(argument.name, part);
  }
  return own;
}

Tensor DeviceDeal::place(const Tensor &whole, int rowAxis) {
  Tensor entries = entriesOf(whole, 0);
  std::vector<int64_t> shape(entries.shape().begin(), entries.shape().end());
  shape[size_t(rowAxis)] =
      localLength(problem.layout, problem.place(), problem.rings.ringSize, entries.dim(rowAxis));
  Tensor made = held.emplace_back(stream.device(), whole.dtype(), shape);
  results.push_back({&held.back(), entries, rowAxis});
  return made;
}

void DeviceDeal::give() const {
  for (const Result &result : results)
    unshardInto(result.local->download(stream), result.rowAxis, problem.layout, problem.place(),
                problem.rings.ringSize, result.home);
}

} // namespace ringc
