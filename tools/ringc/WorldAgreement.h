#pragma once

#include "compiler/spec/KernelRequest.h"
#include "runtime/Attention.h"
#include "runtime/ring/Agreement.h"

#include <CLI/CLI.hpp>

#include <string_view>

namespace ringc::cli {

/// What the command lines of a world's processes must have in common: the command, this version of
/// ringc, and all options but those that name files, whose contents are compared later, and what
/// may be another on each host (--threads, --devices, --deadline, how much is said).
Agreement agreementOf(const CLI::App &command, std::string_view compilerBuild);

/// What the processes must have in common of whole tensors, which each has: the options, the texts
/// of masks and scores, and of all tensors and numbers what they hold.
Agreement agreementOf(const AttentionOptions &options, const SourceSet &sources,
                      const AttentionInputs &inputs, const Tensor &dout);

} // namespace ringc::cli
