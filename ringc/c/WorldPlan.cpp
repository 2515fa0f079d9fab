#include "ringc/attention/HostAttentionRing.h"
#include "ringc/c/Inputs.h"
#include "ringc/c/Options.h"
#include "ringc/c/Structs.h"
#include "ringc/ring/PlanText.h"

#include <string>
#include <utility>

namespace ringc::c {

namespace {

/// Of the lengths alone, where there are no tensors.
struct Shapes {
  Shapes(const AttentionOptions &options, const ringc_attention_inputs &given) {
    int64_t kvHeads = options.kvHeads ? options.kvHeads : options.heads,
            valueDim = options.valueHeadDim ? options.valueHeadDim : options.headDim;
    q = {given.batch, given.query_length, options.heads, options.headDim};
    k = {given.batch, given.key_length, kvHeads, options.headDim};
    v = {given.batch, given.key_length, kvHeads, valueDim};
  }

  std::array<int64_t, 4> q, k, v;
};

std::string planOf(const Context &context, const AttentionOptions &options, int world, Pass pass,
                   const ringc_attention_inputs *inputs) {
  auto given = readStruct("inputs", inputs);
  TensorReader tensors = TensorReader::ofHost();
  Shapes shapes(options, given);
  auto shape = [&](const char *name, const ringc_tensor *tensor, std::span<const int64_t> axes) {
    return tensor ? tensors.shape(name, tensor) : Tensor(nullptr, options.dtype, axes);
  };
  AttentionInputs all{.q = shape("q", given.q, shapes.q),
                      .k = shape("k", given.k, shapes.k),
                      .v = shape("v", given.v, shapes.v),
                      .keyMask = tensors.optional("key_mask", given.key_mask),
                      .bias = tensors.optional("bias", given.bias),
                      .cuSeqlens = tensors.optional("cu_seqlens", given.cu_seqlens),
                      .arguments = argumentsOf(tensors, given.arguments, given.argument_count)};
  HostAttentionRing ring(options, world, context.ofHost("ringc_plan"));
  return planJson(ring.plans(pass, all));
}

} // namespace

} // namespace ringc::c

ringc_status ringc_plan(ringc_context *context, const char *options_json, int world,
                        ringc_pass pass, const ringc_attention_inputs *inputs, char **json) {
  using namespace ringc::c;
  return call([&] {
    required("json", json);
    if (world < 1)
      throw ringc::InputError("world", std::to_string(world), "1 or more ranks");
    ringc::AttentionOptions options = parseAttentionOptions(optionsText(options_json));
    const Context &of = *required("context", context)->self;
    if (!options.tune)
      options.tune = of.table();
    *json = givenText(planOf(of, options, world, passOf(pass), inputs));
  });
}
