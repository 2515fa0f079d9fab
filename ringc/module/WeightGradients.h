#pragma once

#include "ringc/module/ModuleBackend.h"
#include "ringc/module/RingAttentionOptions.h"

namespace ringc {

/// Room for the gradients of a module's weights, f32, in one piece of memory, which is summed over
/// ranks at once.
struct WeightGradients {
  WeightGradients(const RingAttentionOptions &options, ModuleBackend &backend);

  SharedTensor all;                 ///< [elements of all]
  SharedTensor gamma, toQkv, toOut; ///< in the weights' shapes; without prenorm no gamma
};

} // namespace ringc
