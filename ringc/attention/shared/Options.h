#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/compiler/spec/KernelRequest.h"
#include "ringc/compiler/spec/Spec.h"
#include "ringc/tune/KernelWork.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringc {

/// Throws InputError naming the option that is wrong, its value and what is allowed.
void validate(const AttentionOptions &options);

/// With the defaults that depend on others filled in: kvHeads, valueHeadDim, scale, backward. The
/// last depends, on the host, on its processors: not on how many of them a call uses, so that its
/// bits do not either.
AttentionOptions completed(AttentionOptions options, std::optional<int> processors = {});

/// Those of this machine, whatever of them this process may use.
int hostProcessors();

/// The user's .tile texts that the options name, each once. Throws InputError for a file that
/// cannot be read, or one name with two texts.
std::vector<SourceText> userSources(const AttentionOptions &options);

/// What to compile `kernel` for. Masks and scores whose data is absent from `inputs` are left out.
/// `options` are complete.
Spec specOf(const AttentionOptions &options, int ringSize, const AttentionInputs &inputs,
            std::string_view kernel);

/// For which work a kernel is asked of its source.
KernelWork workOf(const AttentionOptions &options, int ringSize, int64_t keyLength);

/// The score that softcap is, by name: one for a cap far above most logits.
std::string softcapScore(double cap);

/// The kernels of a backward besides attention_delta: `keys` gives dK and dV, `queries` dQ.
struct BackwardNames {
  std::string_view keys, queries;
};
BackwardNames backwardNames(BackwardForm form);

ElementType elementTypeOf(DType dtype);
DType dtypeOf(ElementType type);

} // namespace ringc
