#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/c/Group.h"
#include "ringc/c/Tensors.h"
#include "ringc/decode/Decode.h"
#include "ringc/ring/Plan.h"

#include <cstddef>
#include <map>
#include <string>

namespace ringc::c {

/// Whether a call looks at q, k and v, or at their shapes alone.
enum class Data : uint8_t { Read, Shapes };

/// A call of one rank as the runtime has it. All throw InputError naming what cannot be.
struct AttentionCall {
  AttentionShape shape;
  AttentionInputs inputs;
};
AttentionCall attentionCallOf(const Group &group, const ringc_attention_inputs *inputs, Data data);

ForwardResults resultsOf(const Group &group, const ringc_attention_results *results, Pass pass);
struct GradientCall {
  Tensor dout;
  GradientResults gradients;
};
GradientCall gradientCallOf(const Group &group, const ringc_attention_gradients *gradients);

DecodeInputs decodeInputsOf(const Group &group, const ringc_decode_inputs *inputs);
/// NULL is where all rows are.
DecodeKeys decodeKeysOf(const ringc_decode_keys *keys);

std::map<std::string, ArgumentValue> argumentsOf(const TensorReader &tensors,
                                                 const ringc_argument *arguments, size_t count);

Pass passOf(ringc_pass pass);

} // namespace ringc::c
