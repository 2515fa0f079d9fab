#include "ringc/c/Inputs.h"

#include "ringc/c/Structs.h"

#include <string>

namespace ringc::c {

namespace {

AttentionShape shapeOf(const Group &group, const ringc_attention_inputs &given,
                       const AttentionInputs &inputs) {
  AttentionShape shape{given.batch, given.query_length, given.key_length};
  if (shape.batch != 0 || shape.queryLength != 0 || shape.keyLength != 0)
    return shape;
  if (group.world() > 1)
    throw InputError("batch, query_length and key_length", "0",
                     "those of the unsharded tensors, with several ranks");
  if (inputs.q.rank() == 4 && inputs.k.rank() == 4)
    shape = {inputs.q.dim(0), inputs.q.dim(1), inputs.k.dim(1)};
  return shape; // else the runtime says which tensor is wrong
}

} // namespace

Pass passOf(ringc_pass pass) {
  switch (pass) {
  case RINGC_FORWARD:
    return Pass::Forward;
  case RINGC_BACKWARD:
    return Pass::Backward;
  }
  throw InputError("pass", std::to_string(int(pass)), "RINGC_FORWARD, RINGC_BACKWARD");
}

std::map<std::string, ArgumentValue> argumentsOf(const TensorReader &tensors,
                                                 const ringc_argument *arguments, size_t count) {
  std::map<std::string, ArgumentValue> made;
  if (count > 0)
    required("arguments", arguments);
  for (size_t i = 0; i < count; ++i) {
    const ringc_argument &each = arguments[i];
    std::string name = required("name of argument " + std::to_string(i), each.name);
    ArgumentValue value;
    switch (each.kind) {
    case RINGC_ARGUMENT_INTEGER:
      value = each.integer;
      break;
    case RINGC_ARGUMENT_REAL:
      value = each.real;
      break;
    case RINGC_ARGUMENT_BOOL:
      value = each.truth != 0;
      break;
    case RINGC_ARGUMENT_TENSOR:
      value = tensors.read("argument " + name, each.tensor);
      break;
    default:
      throw InputError("kind of argument " + name, std::to_string(each.kind),
                       "RINGC_ARGUMENT_INTEGER, _REAL, _BOOL, _TENSOR");
    }
    if (!made.emplace(name, value).second)
      throw InputError("argument " + name, "two values", "one");
  }
  return made;
}

AttentionCall attentionCallOf(const Group &group, const ringc_attention_inputs *inputs, Data data) {
  auto given = readStruct("inputs", inputs);
  TensorReader tensors = TensorReader::of(*group.context);
  auto read = [&](const char *name, const ringc_tensor *tensor) {
    return data == Data::Read ? tensors.read(name, tensor) : tensors.shape(name, tensor);
  };
  AttentionCall call;
  call.inputs = {.q = read("q", given.q), .k = read("k", given.k), .v = read("v", given.v)};
  call.inputs.keyMask = tensors.optional("key_mask", given.key_mask);
  call.inputs.bias = tensors.optional("bias", given.bias);
  call.inputs.cuSeqlens = TensorReader::ofHost().optional("cu_seqlens", given.cu_seqlens);
  call.inputs.arguments = argumentsOf(tensors, given.arguments, given.argument_count);
  call.shape = shapeOf(group, given, call.inputs);
  return call;
}

ForwardResults resultsOf(const Group &group, const ringc_attention_results *results, Pass pass) {
  auto given = readStruct("results", results);
  TensorReader tensors = TensorReader::of(*group.context);
  if (pass == Pass::Backward)
    return {.out = tensors.read("out", given.out),
            .lse = tensors.read("lse", given.lse),
            .rowMax = tensors.optional("row_max", given.row_max),
            .rowSum = tensors.optional("row_sum", given.row_sum)};
  return {.out = tensors.write("out", given.out),
          .lse = tensors.write("lse", given.lse),
          .rowMax = tensors.optionalWrite("row_max", given.row_max),
          .rowSum = tensors.optionalWrite("row_sum", given.row_sum)};
}

GradientCall gradientCallOf(const Group &group, const ringc_attention_gradients *gradients) {
  auto given = readStruct("gradients", gradients);
  TensorReader tensors = TensorReader::of(*group.context);
  return {.dout = tensors.read("dout", given.dout),
          .gradients = {.dq = tensors.write("dq", given.dq),
                        .dk = tensors.write("dk", given.dk),
                        .dv = tensors.write("dv", given.dv)}};
}

DecodeInputs decodeInputsOf(const Group &group, const ringc_decode_inputs *inputs) {
  auto given = readStruct("inputs", inputs);
  TensorReader tensors = TensorReader::of(*group.context);
  return {.q = tensors.read("q", given.q),
          .k = tensors.read("k", given.k),
          .v = tensors.read("v", given.v),
          .pageTable = tensors.optional("page_table", given.page_table),
          .lengths = tensors.optional("lengths", given.lengths),
          .arguments = argumentsOf(tensors, given.arguments, given.argument_count)};
}

DecodeKeys decodeKeysOf(const ringc_decode_keys *keys) {
  DecodeKeys made;
  if (!keys)
    return made;
  auto given = readStruct("keys", keys);
  const auto &[first, block, jump] = given.positions;
  if (first != 0 || block != 0 || jump != 0)
    made.positions = {first, block, jump};
  if (given.length >= 0)
    made.length = given.length;
  return made;
}

} // namespace ringc::c
