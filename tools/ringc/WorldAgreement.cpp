#include "tools/ringc/WorldAgreement.h"

#include "runtime/attention/CallAgreement.h"

#include <algorithm>
#include <array>
#include <string>

namespace ringc::cli {

namespace {

/// As they are added: "F", "FILE", "FILE.tile:NAME", "NAME=VALUE|FILE".
bool namesFile(const CLI::Option &option) {
  const std::string type = option.get_type_name();
  return type == "F" || type.find("FILE") != type.npos;
}

bool mayDiffer(const std::string &name) {
  constexpr std::array<std::string_view, 7> own = {
      "--threads", "--devices", "--deadline", "--quiet", "--verbose", "--color", "--help"};
  return std::ranges::find(own, name) != own.end();
}

void addOptional(Agreement &to, const char *name, const std::optional<Tensor> &tensor) {
  if (tensor)
    addTensor(to, name, *tensor, Memory::Host);
  else
    to.add(name, "");
}

} // namespace

Agreement agreementOf(const CLI::App &command, std::string_view compilerBuild) {
  Agreement made;
  made.add("ringc", buildText(compilerBuild)).add("command", command.get_name());
  for (const CLI::Option *option : command.get_options()) {
    std::string name = option->get_name();
    // A trace is gathered from all.
    bool isTrace = name == "--trace";
    if (mayDiffer(name) || (namesFile(*option) && !isTrace))
      continue;
    std::string value;
    for (const std::string &each : option->results())
      value += (value.empty() ? "" : " ") + each;
    made.add(name, option->count() == 0 ? "not given" : isTrace ? "given" : std::move(value));
  }
  return made;
}

Agreement agreementOf(const AttentionOptions &options, const SourceSet &sources,
                      const AttentionInputs &inputs, const Tensor &dout) {
  Agreement made;
  for (auto [name, tensor] : {std::pair("q", &inputs.q), {"k", &inputs.k}, {"v", &inputs.v}})
    made.add("shape of " + std::string(name), describe(*tensor));
  made.add("dout", dout.rank() == 0 ? std::string() : describe(dout));
  addOptions(made, options);
  addSources(made, options, sources);
  std::string names;
  for (const auto &[name, value] : inputs.arguments)
    names += (names.empty() ? "" : ", ") + name;
  made.add("arguments", names);
  for (const auto &[name, value] : inputs.arguments) {
    if (auto *tensor = std::get_if<Tensor>(&value))
      addTensor(made, "argument " + name, *tensor, Memory::Host);
    else if (auto *integer = std::get_if<int64_t>(&value))
      made.add("argument " + name, *integer);
    else if (auto *truth = std::get_if<bool>(&value))
      made.add("argument " + name, *truth);
    else
      made.add("argument " + name, std::get<double>(value));
  }
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

} // namespace ringc::cli
