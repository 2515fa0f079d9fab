#include "tools/ringc/ReferenceProblem.h"

namespace ringc::cli {

reference::Problem problemOf(const AttentionOptions &options, const AttentionInputs &inputs,
                             const Tensor &dout) {
  reference::Problem problem;
  problem.q = reference::arrayOf(inputs.q);
  problem.k = reference::arrayOf(inputs.k);
  problem.v = reference::arrayOf(inputs.v);
  if (dout.rank() != 0)
    problem.dout = reference::arrayOf(dout);
  problem.scale = options.scale;
  problem.headMap =
      options.headMap == HeadMap::Tiled ? reference::HeadMap::Tiled : reference::HeadMap::Blocked;
  problem.softcap = options.softcap;
  problem.alibi = options.alibi;
  problem.alibiSlopes.assign(options.alibiSlopes.begin(), options.alibiSlopes.end());
  if (inputs.bias)
    problem.bias = reference::arrayOf(*inputs.bias);
  problem.mask.causal = options.causal;
  problem.mask.prefix = options.prefix;
  problem.mask.windowLeft = options.window.left;
  problem.mask.windowRight = options.window.right;
  auto gather = [](const Tensor &tensor, auto &into, auto zero) {
    HostTensor rows = HostTensor::copyOf(tensor);
    auto *data = rows.dataAs<decltype(zero)>();
    into.assign(data, data + rows.elementCount());
  };
  if (inputs.keyMask)
    gather(*inputs.keyMask, problem.mask.keyMask, uint8_t());
  if (inputs.cuSeqlens)
    gather(*inputs.cuSeqlens, problem.mask.cuSeqlens, int32_t());
  return problem;
}

} // namespace ringc::cli
