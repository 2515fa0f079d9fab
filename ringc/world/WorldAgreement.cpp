#include "ringc/world/WorldAgreement.h"

#include "ringc/attention/shared/CallAgreement.h"

#include <string>

namespace ringc {

namespace {

void addOptional(Agreement &to, const char *name, const std::optional<Tensor> &tensor) {
  if (tensor)
    addTensor(to, name, *tensor, Memory::Host);
  else
    to.add(name, "");
}

} // namespace

void addArguments(Agreement &to, const std::map<std::string, ArgumentValue> &arguments) {
  std::string names;
  for (const auto &[name, value] : arguments)
    names += (names.empty() ? "" : ", ") + name;
  to.add("arguments", names);
  for (const auto &[name, value] : arguments) {
    if (auto *tensor = std::get_if<Tensor>(&value))
      addTensor(to, "argument " + name, *tensor, Memory::Host);
    else if (auto *integer = std::get_if<int64_t>(&value))
      to.add("argument " + name, *integer);
    else if (auto *truth = std::get_if<bool>(&value))
      to.add("argument " + name, *truth);
    else
      to.add("argument " + name, std::get<double>(value));
  }
}

Agreement agreementOf(const AttentionOptions &options, const SourceSet &sources,
                      const AttentionInputs &inputs, const Tensor &dout) {
  Agreement made;
  for (auto [name, tensor] : {std::pair("q", &inputs.q), {"k", &inputs.k}, {"v", &inputs.v}})
    made.add("shape of " + std::string(name), describe(*tensor));
  made.add("dout", dout.rank() == 0 ? std::string() : describe(dout));
  addOptions(made, options);
  addSources(made, options, sources);
  addArguments(made, inputs.arguments);
  addOptional(made, "key mask", inputs.keyMask);
  addOptional(made, "bias", inputs.bias);
  addOptional(made, "cu_seqlens", inputs.cuSeqlens);
  addTensor(made, "q", inputs.q, Memory::Host);
  addTensor(made, "k", inputs.k, Memory::Host);
  addTensor(made, "v", inputs.v, Memory::Host);
  if (dout.rank() != 0)
    addTensor(made, "dout's content", dout, Memory::Host);
  return made;
}

} // namespace ringc
