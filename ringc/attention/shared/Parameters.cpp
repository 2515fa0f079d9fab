#include "ringc/attention/shared/Parameters.h"

#include "ringc/attention/shared/AlibiSlopes.h"
#include "ringc/attention/shared/Options.h"
#include "ringc/support/ClosestName.h"
#include "ringc/support/EnumNames.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace ringc {

namespace {

/// "left" of "window.left" and of "FILE.tile:window.left"; empty for the kernel's own arguments.
std::string_view parameterName(std::string_view argument) {
  size_t dot = argument.rfind('.'); // FILE.tile:mask.left has another
  return dot == argument.npos ? std::string_view() : argument.substr(dot + 1);
}

/// Made from the options for each rank, never given.
bool isMade(const KernelArgument &argument, const AttentionOptions &options,
            const AttentionInputs &inputs) {
  return (options.alibi && argument.name == "alibi.slope") ||
         (inputs.cuSeqlens && argument.name.starts_with("documents."));
}

std::string print(const ArgumentValue &value) {
  if (auto *tensor = std::get_if<Tensor>(&value))
    return describe(*tensor);
  if (auto *integer = std::get_if<int64_t>(&value))
    return std::to_string(*integer);
  if (auto *truth = std::get_if<bool>(&value))
    return *truth ? "true" : "false";
  return std::to_string(std::get<double>(value));
}

[[noreturn]] void refuse(const KernelArgument &argument, const ArgumentValue &value) {
  throw InputError("argument " + argument.name, print(value), describeParameter(argument));
}

} // namespace

std::string describeParameter(const KernelArgument &argument) {
  std::string text(enumName(argument.type));
  if (argument.kind == KernelArgument::Kind::View) {
    text += " [";
    for (size_t axis = 0; axis < argument.axes.size(); ++axis)
      text += (axis ? ", " : "") + argument.axes[axis].name;
    text += "]";
  }
  return text;
}

/// An index that lies outside reads the nearest element, so there must be one; kernels count them
/// in a signed i32. The extents of the problem itself may be 0: then nothing reads.
void checkElements(const KernelArgument &argument, const Tensor &tensor) {
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  for (int axis = 0; axis < tensor.rank(); ++axis) {
    const std::string &name = argument.axes[size_t(axis)].name;
    bool ofProblem = name == "B" || name == "Nq" || name == "Nk";
    if (tensor.dim(axis) > most || (tensor.dim(axis) == 0 && !ofProblem))
      throw InputError("argument " + argument.name, describe(tensor),
                       describeParameter(argument) + " with " + (ofProblem ? "0" : "1") + " to " +
                           std::to_string(most) + " elements along axis " + std::to_string(axis));
  }
}

predicate::ScalarValue scalarOf(const KernelArgument &argument, const ArgumentValue &value) {
  auto *integer = std::get_if<int64_t>(&value);
  auto *real = std::get_if<double>(&value);
  switch (argument.type) {
  case ElementType::I32:
    if (!integer || !std::in_range<int32_t>(*integer))
      refuse(argument, value);
    return *integer;
  case ElementType::Bool:
    if (auto *truth = std::get_if<bool>(&value))
      return *truth;
    refuse(argument, value);
  case ElementType::F32:
  case ElementType::F16:
  case ElementType::BF16: {
    if (!integer && !real)
      refuse(argument, value);
    double exact = integer ? double(*integer) : *real;
    auto rounded = double(float(exact));
    if (std::isinf(rounded) && !std::isinf(exact))
      refuse(argument, value);
    return rounded;
  }
  }
  refuse(argument, value);
}

NamedValues optionValues(const AttentionOptions &options, const AttentionInputs &inputs) {
  NamedValues values;
  if (options.causal && options.prefix > 0)
    values["prefix.prefix"] = options.prefix;
  if (options.window.left >= 0 || options.window.right >= 0) {
    values["window.left"] = options.window.left;
    values["window.right"] = options.window.right;
  }
  if (options.softcap)
    values[softcapScore(*options.softcap) + ".cap"] = *options.softcap;
  if (inputs.keyMask)
    values["key_padding.key_mask"] = *inputs.keyMask;
  if (inputs.bias)
    values["bias.bias"] = *inputs.bias;
  return values;
}

NamedValues namedValues(std::span<const KernelArgument> arguments, const AttentionOptions &options,
                        const AttentionInputs &inputs) {
  NamedValues values = optionValues(options, inputs);
  std::vector<const KernelArgument *> open; // the user's
  for (const KernelArgument &argument : arguments)
    if (!parameterName(argument.name).empty() && !values.contains(argument.name) &&
        !isMade(argument, options, inputs))
      open.push_back(&argument);

  std::string all;
  std::vector<std::string_view> names;
  for (const KernelArgument *argument : open) {
    names.insert(names.end(), {argument->name, parameterName(argument->name)});
    all += (all.empty() ? "" : ", ") + argument->name;
  }
  for (const auto &[name, value] : inputs.arguments) {
    std::vector<const KernelArgument *> meant;
    for (const KernelArgument *argument : open)
      if (argument->name == name || parameterName(argument->name) == name)
        meant.push_back(argument);
    if (meant.size() != 1)
      throw InputError("argument " + name, meant.empty() ? "an unknown name" : "a name of several",
                       (all.empty() ? std::string("none here") : all) +
                           (meant.empty() ? didYouMean(name, names) : std::string()));
    if (!values.emplace(meant[0]->name, value).second)
      throw InputError("argument " + name, "two values", "one for " + meant[0]->name);
  }
  for (const KernelArgument *argument : open)
    if (!values.contains(argument->name))
      throw InputError("argument " + argument->name, "nothing", describeParameter(*argument));
  return values;
}

std::optional<int> axisOf(const KernelArgument &argument, std::string_view extent) {
  for (size_t axis = 0; axis < argument.axes.size(); ++axis)
    if (argument.axes[axis].name == extent)
      return int(axis);
  return std::nullopt;
}

void checkTypes(std::span<const KernelArgument> arguments, const NamedValues &values) {
  for (const auto &[name, value] : values)
    for (const KernelArgument &argument : arguments)
      if (auto *tensor = std::get_if<Tensor>(&value);
          tensor && argument.name == name && tensor->dtype() != dtypeOf(argument.type))
        throw InputError("argument " + name, describe(*tensor),
                         std::string(nameOf(dtypeOf(argument.type))) + ", on a device");
}

std::optional<int> travellingAxis(const KernelArgument &argument) {
  return axisOf(argument, "Nq") ? std::nullopt : axisOf(argument, "Nk");
}

Parameters::Parameters(std::span<const KernelArgument> arguments, const NamedValues &values,
                       const AttentionOptions &options, const Extents &known) {
  for (const KernelArgument &argument : arguments) {
    if (options.alibi && argument.name == "alibi.slope") {
      HostTensor slopes(DType::F32, {options.heads});
      std::ranges::copy(options.alibiSlopes.empty() ? alibiSlopes(options.heads)
                                                    : options.alibiSlopes,
                        slopes.dataAs<float>());
      addView(argument, own(std::move(slopes)), options, known);
      views.back().made = true;
    }
    auto value = values.find(argument.name);
    if (value == values.end())
      continue;
    if (argument.kind == KernelArgument::Kind::Scalar)
      scalars[argument.name] = scalarOf(argument, value->second);
    else if (auto *tensor = std::get_if<Tensor>(&value->second))
      addView(argument, *tensor, options, known);
    else
      refuse(argument, value->second);
  }
}

void Parameters::checkEntries(std::span<const KernelArgument> arguments, const SubRings &rings) {
  if (rings.rings() == 1)
    return;
  for (const KernelArgument &argument : arguments)
    for (const ArgumentAxis &axis : argument.axes)
      if (axis.anyEntry)
        throw InputError("argument " + argument.name,
                         "an axis B that is indexed by something other than b, in " +
                             std::to_string(rings.rings()) + " rings that share the batch",
                         "b alone, an axis of another name, or one ring of all " +
                             std::to_string(rings.world) + " ranks");
}

void Parameters::addView(const KernelArgument &argument, const Tensor &tensor,
                         const AttentionOptions &options, const Extents &known) {
  if (tensor.rank() != int(argument.axes.size()))
    refuse(argument, tensor);
  checkElements(argument, tensor);
  bool ofQueries = axisOf(argument, "Nq").has_value();
  for (int axis = 0; axis < tensor.rank(); ++axis) {
    const std::string &name = argument.axes[size_t(axis)].name;
    int64_t extent = tensor.dim(axis), wanted = extent;
    bool broadcasts = true;
    if (name == "B")
      wanted = known.batch;
    else if (name == "H")
      wanted = options.heads;
    else if (name == "Hkv")
      wanted = options.kvHeads;
    else
      broadcasts = false;
    if (name == "Nq")
      wanted = known.queryRows;
    else if (name == "Nk")
      wanted = ofQueries ? known.keyLength : known.keyRows;
    else if (!broadcasts && std::isdigit(static_cast<unsigned char>(name[0])))
      std::from_chars(name.data(), name.data() + name.size(), wanted);
    else if (!broadcasts) // a free extent: the first view binds it
      wanted = extents.emplace(name, extent).first->second;
    if (extent != wanted && !(broadcasts && extent == 1))
      throw InputError("argument " + argument.name, describe(tensor),
                       describeParameter(argument) + " with " + name + " = " +
                           std::to_string(wanted));
  }
  Tensor typed = tensor;
  DType dtype = dtypeOf(argument.type);
  bool converts = tensor.dtype() != dtype;
  if (converts) {
    if (!isFloat(tensor.dtype()) || !isFloat(dtype))
      refuse(argument, tensor);
    HostTensor converted(dtype, tensor.shape());
    convert(tensor, converted);
    typed = own(std::move(converted));
  }
  views.push_back({argument.name, typed, travellingAxis(argument), converts});
}

void Parameters::addDocuments(const Tensor &cuSeqlens, const RankProblem &problem) {
  std::vector<int32_t> ids = documentIds(cuSeqlens, problem.global.keyLength);
  auto gather = [&](const Positions &at, int64_t rows) {
    HostTensor local(DType::I32, {rows});
    for (int64_t row = 0; row < rows; ++row)
      local.dataAs<int32_t>()[row] = ids[size_t(at(row))];
    return own(std::move(local));
  };
  views.push_back({"documents.query_document",
                   gather(problem.queryPositions(), problem.queryRows()), std::nullopt, true});
  views.push_back({"documents.key_document",
                   gather(problem.keyPositions(problem.rank), problem.keyRows()), 0, true});
}

Tensor Parameters::own(HostTensor tensor) { return owned.emplace_back(std::move(tensor)).view(); }

std::vector<int32_t> documentIds(const Tensor &cuSeqlens, int64_t keyLength) {
  std::vector<int32_t> ids;
  ids.reserve(size_t(keyLength));
  for (int64_t document = 1; document < cuSeqlens.dim(0); ++document) {
    int32_t end = *(cuSeqlens.dataAs<int32_t>() + document * cuSeqlens.stride(0));
    ids.resize(size_t(end), int32_t(document - 1));
  }
  return ids;
}

uint64_t slotOf(const predicate::ScalarValue &value) {
  if (auto *integer = std::get_if<int64_t>(&value))
    return uint64_t(*integer);
  if (auto *truth = std::get_if<bool>(&value))
    return *truth ? 1 : 0;
  return std::bit_cast<uint32_t>(float(std::get<double>(value)));
}

} // namespace ringc
