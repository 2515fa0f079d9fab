#include "ringc/attention/shared/CallAgreement.h"

#include "ringc/compiler/spec/Sha256.h"

#include "ringc/attention/shared/Options.h"

#include <algorithm>
#include <iomanip>
#include <sstream>
#include <string>
#include <vector>

namespace ringc {

namespace {

std::string digestOf(std::string_view text) { return toHex(sha256(text)).substr(0, 16); }

std::string joined(const std::vector<std::string> &parts) {
  std::string text;
  for (const std::string &part : parts)
    text += (text.empty() ? "" : ", ") + part;
  return text;
}

void addOptional(Agreement &to, std::string_view name, const std::optional<double> &number) {
  if (number)
    to.add(name, *number);
  else
    to.add(name, "");
}

/// Axes that hold a rank's own rows, of which the others have others.
bool isDealt(const KernelArgument &argument) {
  return axisOf(argument, "Nq") || axisOf(argument, "Nk");
}

} // namespace

std::string buildText(std::string_view compilerBuild) {
  return std::string(RINGC_VERSION) + ", compiler " +
         (compilerBuild.empty() ? "none" : std::string(compilerBuild.substr(0, 16)));
}

void addOptions(Agreement &to, const AttentionOptions &given) {
  AttentionOptions complete = completed(given);
  complete.backward = given.backward;
  auto &[heads, kvHeads, headDim, valueHeadDim, headMap, dtype, f32Products, scale, causal, prefix,
         window, softcap, alibi, alibiSlopes, masks, scores, layout, ringSize, schedule, backward,
         tile, tune] = complete;
  (void)tune; // a rank's own: it changes no more than how fast it is
  std::vector<std::string> tiles;
  for (const auto &[dimension, size] : tile)
    tiles.push_back(dimension + "=" + std::to_string(size));
  auto namesOf = [](const std::vector<UserFunction> &functions) {
    std::vector<std::string> names;
    for (const UserFunction &function : functions)
      names.push_back(function.name);
    return joined(names);
  };
  to.add("heads", heads)
      .add("kv heads", kvHeads)
      .add("head dim", headDim)
      .add("value head dim", valueHeadDim)
      .add("kv head map", enumName(headMap))
      .add("dtype", nameOf(dtype))
      .add("f32", enumName(f32Products))
      .add("scale", *scale)
      .add("causal", causal)
      .add("prefix", prefix)
      .add("window", std::to_string(window.left) + "," + std::to_string(window.right));
  addOptional(to, "softcap", softcap);
  std::ostringstream slopes;
  slopes << std::setprecision(9);
  for (float slope : alibiSlopes)
    slopes << (slopes.tellp() > 0 ? ", " : "") << slope;
  to.add("alibi", alibi)
      .add("alibi slopes", slopes.str())
      .add("masks", namesOf(masks))
      .add("scores", namesOf(scores))
      .add("layout", nameOf(layout))
      .add("ring size", ringSize)
      .add("schedule", schedule ? nameOf(*schedule) : "auto")
      .add("backward", backward ? std::string(enumName(*backward)) : "auto")
      .add("tile", joined(tiles));
}

void addSources(Agreement &to, const AttentionOptions &options, const SourceSet &sources) {
  std::vector<std::string> own;
  for (const auto *functions : {&options.masks, &options.scores})
    for (const UserFunction &function : *functions) {
      auto text = std::ranges::find(sources.texts(), function.file, &SourceText::name);
      to.add((functions == &options.masks ? "source of mask " : "source of score ") + function.name,
             text == sources.texts().end() ? std::string() : "sha256 " + digestOf(text->text));
      own.push_back(function.file);
    }
  std::string library;
  for (const SourceText &text : sources.texts())
    if (std::ranges::find(own, text.name) == own.end())
      library += text.name + '\0' + text.text + '\0';
  to.add("library of masks and kernels", "sha256 " + digestOf(library));
}

void addTensor(Agreement &to, std::string_view name, const Tensor &tensor, Memory memory) {
  std::string text = describe(tensor);
  if (memory == Memory::Host) {
    HostTensor copied;
    Tensor dense = tensor;
    if (!tensor.isContiguous()) {
      copied = HostTensor::copyOf(tensor);
      dense = copied;
    }
    std::ostringstream digits;
    digits << std::hex << std::setfill('0') << std::setw(16)
           << checksum({dense.dataAs<std::byte>(), size_t(dense.byteCount())});
    text += " with checksum " + digits.str();
  }
  to.add(name, text);
}

void addArguments(Agreement &to, std::span<const KernelArgument> arguments,
                  const NamedValues &values, const NamedValues &ofOptions,
                  const predicate::ParameterValues &scalars, Memory memory) {
  std::vector<const KernelArgument *> given;
  std::vector<std::string> names;
  for (const KernelArgument &argument : arguments)
    if (values.contains(argument.name) && !ofOptions.contains(argument.name)) {
      given.push_back(&argument);
      names.push_back(argument.name);
    }
  to.add("arguments", joined(names));
  for (const KernelArgument *argument : given) {
    std::string name = "argument " + argument->name;
    auto *tensor = std::get_if<Tensor>(&values.find(argument->name)->second);
    if (!tensor)
      std::visit([&](auto number) { to.add(name, number); }, scalars.at(argument->name));
    else if (isDealt(*argument))
      to.add(name, "rows");
    else
      addTensor(to, name, *tensor, memory);
  }
}

Agreement agreementOf(const CallDescription &what) {
  const RankProblem &problem = what.call.problem;
  const AttentionInputs &inputs = what.inputs;
  Agreement made;
  made.add("ringc", buildText(what.compilerBuild))
      .add("pass", nameOf(what.pass))
      .add("ranks of the world", problem.rings.world)
      .add("ranks of a ring", problem.rings.ringSize)
      .add("entries in the batch", problem.global.batch)
      .add("queries", problem.global.queryLength)
      .add("keys", problem.global.keyLength);
  addOptions(made, what.given);
  addSources(made, what.call.options, what.sources);
  made.add("key mask", inputs.keyMask.has_value());
  made.add("bias", inputs.bias
                       ? (inputs.bias->dim(0) == 1 ? "[1, " : "[b, ") +
                             std::string(inputs.bias->dim(1) == 1 ? "1" : "h") + ", n_q, n_k]"
                       : std::string());
  if (inputs.cuSeqlens)
    addTensor(made, "cu_seqlens", *inputs.cuSeqlens, Memory::Host);
  else
    made.add("cu_seqlens", "");
  std::span<const KernelArgument> arguments = what.kernel.arguments;
  addArguments(made, arguments, namedValues(arguments, what.call.options, inputs),
               optionValues(what.call.options, inputs), what.call.parameters->scalars, what.memory);
  return made.add("chosen schedule", nameOf(what.schedule));
}

} // namespace ringc
