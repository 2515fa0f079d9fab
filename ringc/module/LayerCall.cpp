#include "ringc/module/LayerCall.h"

#include "ringc/module/Rotary.h"

#include <array>
#include <utility>

namespace ringc {

Tensor reshaped(const Tensor &tensor, std::initializer_list<int64_t> shape) {
  return Tensor(tensor.data(), tensor.dtype(), shape);
}

Tensor matrixOf(const Tensor &tensor) {
  int64_t rows = tensor.dim(0) * tensor.dim(1), columns = 1;
  for (int axis = 2; axis < tensor.rank(); ++axis)
    columns *= tensor.dim(axis);
  return reshaped(tensor, {rows, columns});
}

SharedTensor toShard(ModuleBackend &backend, const ModuleCall &call, const Tensor &tensor) {
  if (call.deal)
    return backend.ranks().autoShard(tensor, *call.deal);
  if (tensor.isContiguous())
    return SharedTensor(tensor);
  SharedTensor dense = backend.allocate(tensor.dtype(), tensor.shape());
  backend.copy(tensor, dense);
  return dense;
}

SharedTensor fromShard(ModuleBackend &backend, const ModuleCall &call, const SharedTensor &shard) {
  return call.deal ? backend.ranks().gatherSharded(shard, *call.deal) : shard;
}

LayerCall layerCall(const RingAttentionOptions &options, ModuleBackend &backend, ModuleCall call,
                    const RingAttentionInputs &inputs, KeptPositions &kept) {
  LayerCall made{.call = std::move(call)};
  if (inputs.keyMask)
    made.keyMask = toShard(backend, made.call, *inputs.keyMask);
  if (inputs.cuSeqlens)
    made.cuSeqlens = HostTensor::copyOf(*inputs.cuSeqlens);
  if (!options.rotaryEmbed)
    return made;
  if (inputs.positions) {
    made.positions =
        toShard(backend, made.call, positionsOfEntries(*inputs.positions, inputs.tokens.dim(0)));
    return made;
  }
  if (!inputs.cuSeqlens && kept.batch == made.call.batch && kept.rows == made.call.rows &&
      kept.at == made.call.rowPositions) {
    made.positions = kept.made;
    return made;
  }
  HostTensor ofRows = rotaryPositions(made.call, inputs.cuSeqlens),
             own(DType::I32, {made.call.batch, made.call.rows});
  for (int64_t entry = 0; entry < made.call.batch; ++entry)
    copy(ofRows, own.view().select(0, entry));
  made.positions = backend.allocate(DType::I32, own.shape());
  backend.upload(own, made.positions);
  if (!inputs.cuSeqlens)
    kept = {made.call.batch, made.call.rows, made.call.rowPositions, made.positions};
  return made;
}

} // namespace ringc
