#pragma once

#include "ringc/attention/Attention.h"
#include "tests/support/ReferenceAttention.h"

namespace ringc::cli {

/// The same attention for the reference, but the user's masks and scores: see Interpreter. `inputs`
/// are those of the whole sequence; `dout` may be empty.
reference::Problem problemOf(const AttentionOptions &options, const AttentionInputs &inputs,
                             const Tensor &dout);

} // namespace ringc::cli
