#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/attention/shared/Parameters.h"
#include "ringc/attention/shared/RankCall.h"
#include "ringc/compiler/spec/CompiledKernel.h"
#include "ringc/compiler/spec/KernelRequest.h"
#include "ringc/ring/Agreement.h"

#include <span>
#include <string_view>

namespace ringc {

/// Whether the tensors of a call can be read by the host.
enum class Memory : uint8_t { Host, Device };

/// "0.1.0, compiler 52c0f0a2": the version of ringc, and what its kernels come from.
std::string buildText(std::string_view compilerBuild);

/// `given`: what the user asked for. A backward that was left open may be another on another host;
/// there are no two forms that do not go together.
void addOptions(Agreement &to, const AttentionOptions &given);

/// The texts of the library and of the options' masks and scores.
void addSources(Agreement &to, const AttentionOptions &options, const SourceSet &sources);

/// Type, shape and, where the host can read it, a checksum of what a tensor holds.
void addTensor(Agreement &to, std::string_view name, const Tensor &tensor, Memory memory);

/// What masks and scores are given besides what the options say: which, and of each its number, or
/// what `addTensor` says; of rows of queries or keys, of which others have others, that it is some.
/// `arguments` are those of the kernel, `values` of them are given, `scalars` as they are taken.
void addArguments(Agreement &to, std::span<const KernelArgument> arguments,
                  const NamedValues &values, const NamedValues &ofOptions,
                  const predicate::ParameterValues &scalars, Memory memory);

/// All that a call of a rank must have in common with those of the others of its ring. What they
/// each have a part of is compared by kind alone; what all have, by what it holds: arguments of the
/// options' masks and scores without rows of queries or keys (where the host can read them), and
/// cu_seqlens.
struct CallDescription {
  Pass pass;
  const RankCall &call; ///< with its parameters and shard
  const AttentionOptions &given;
  const AttentionInputs &inputs;
  const CompiledKernel &kernel; ///< with all masks and scores of the pass
  const SourceSet &sources;
  std::string_view compilerBuild;
  Schedule schedule;
  Memory memory;
};
Agreement agreementOf(const CallDescription &what);

} // namespace ringc
