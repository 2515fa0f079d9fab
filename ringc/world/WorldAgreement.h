#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/compiler/spec/KernelRequest.h"
#include "ringc/ring/Agreement.h"

#include <map>
#include <string>

namespace ringc {

/// What the processes must have in common of whole tensors, which each has: the options, the texts
/// of masks and scores, and of all tensors and numbers what they hold.
Agreement agreementOf(const AttentionOptions &options, const SourceSet &sources,
                      const AttentionInputs &inputs, const Tensor &dout);

/// Of arguments of masks and scores: their names, and what they hold.
void addArguments(Agreement &to, const std::map<std::string, ArgumentValue> &arguments);

} // namespace ringc
