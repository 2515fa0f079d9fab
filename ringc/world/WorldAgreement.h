#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/compiler/spec/KernelRequest.h"
#include "ringc/ring/Agreement.h"

namespace ringc {

/// What the processes must have in common of whole tensors, which each has: the options, the texts
/// of masks and scores, and of all tensors and numbers what they hold.
Agreement agreementOf(const AttentionOptions &options, const SourceSet &sources,
                      const AttentionInputs &inputs, const Tensor &dout);

} // namespace ringc
