#include "ringc/kernel/Parameters.h"

#include "ringc/compiler/spec/Spec.h"
#include "ringc/support/ClosestName.h"
#include "ringc/support/Error.h"

#include <variant>

namespace ringc {

namespace {

using Kind = KernelArgument::Kind;

/// "left" of "window.left"; empty for the kernel's own.
std::string_view parameterOf(std::string_view argument) {
  size_t dot = argument.rfind('.');
  return dot == argument.npos ? std::string_view() : argument.substr(dot + 1);
}

} // namespace

bool KernelParameters::isOwn(const KernelArgument &argument) {
  return parameterOf(argument.name).empty();
}

size_t KernelParameters::find(std::string_view name) const {
  const std::vector<KernelArgument> &arguments = kernel->arguments;
  std::optional<size_t> found;
  size_t meant = 0;
  std::string all;
  std::vector<std::string_view> names;
  for (size_t index = 0; index < arguments.size(); ++index) {
    const std::string &full = arguments[index].name;
    if (full == name)
      return index;
    if (parameterOf(full) == name) {
      found = index;
      ++meant;
    }
    if (arguments[index].kind == Kind::Extent)
      continue;
    names.push_back(full);
    if (!isOwn(arguments[index]))
      names.push_back(parameterOf(full));
    all += (all.empty() ? "" : ", ") + full;
  }
  if (meant != 1)
    throw InputError("argument " + std::string(name),
                     meant ? "a name of several" : "an unknown name",
                     "those of kernel " + kernel->name + ": " + all +
                         (meant ? std::string() : didYouMean(name, names)));
  return *found;
}

bool KernelParameters::isOfProgram(const KernelArgument &argument) const {
  if (argument.kind != Kind::View || !kernel->perHead || !isOwn(argument))
    return false;
  // One that nobody reads has the axes that it is written with.
  std::string_view first = argument.axes.front().name;
  bool isRead = argument.axes.size() > 2 && first == "B" && argument.axes[1].name == "Hkv";
  return isRead || first == "Nq" || first == "Nk";
}

std::vector<std::string> KernelParameters::axesOf(const KernelArgument &argument) const {
  std::vector<std::string> axes;
  for (const ArgumentAxis &axis : argument.axes)
    axes.push_back(axis.name);
  if (!isOfProgram(argument))
    return axes;
  if (axes.front() == "B")
    axes.erase(axes.begin(), axes.begin() + (axes[2] == "G" ? 3 : 2));
  const std::string rows = axes.front(), heads = rows == "Nq" ? "H" : "Hkv";
  if (axes.size() == 1)
    return {"B", heads, rows};
  if (argument.sums)
    return {"B", "Hkv", rows, axes[1]};
  return {"B", rows, heads, axes[1]};
}

std::string KernelParameters::describe(const KernelArgument &argument) const {
  switch (argument.kind) {
  case Kind::View: {
    std::string text = "a view, " + std::string(enumName(argument.type)) + " [";
    std::vector<std::string> axes = axesOf(argument);
    for (size_t axis = 0; axis < axes.size(); ++axis)
      text += (axis ? ", " : "") + axes[axis] +
              (argument.sums && axes[axis] == "Nq" ? " * H / Hkv" : "");
    return text + "]";
  }
  case Kind::Positions:
    return "Positions, first, block and jump, of the rows " + argument.axes.front().name;
  case Kind::Carry:
    return "a CarryStep, begins and ends";
  case Kind::Scalar:
    return "a value, " + std::string(enumName(argument.type));
  case Kind::Extent:
    return "a length";
  }
  return {};
}

void KernelParameters::refuse(const KernelArgument &argument, const std::string &value) const {
  throw InputError("argument " + argument.name, value, describe(argument));
}

std::string textOf(const KernelValue &value) {
  struct Text {
    std::string operator()(int64_t number) const { return std::to_string(number); }
    std::string operator()(double number) const { return std::to_string(number); }
    std::string operator()(bool truth) const { return truth ? "true" : "false"; }
    std::string operator()(const Positions &at) const {
      return "positions {" + std::to_string(at.first) + ", " + std::to_string(at.block) + ", " +
             std::to_string(at.jump) + "}";
    }
    std::string operator()(const CarryStep &step) const {
      return std::string("a running state that ") + (step.begins ? "begins" : "goes on") + " and " +
             (step.ends ? "ends" : "stays");
    }
  };
  return std::visit(Text(), value);
}

std::optional<ArgumentValue> numberOf(const KernelValue &value) {
  if (auto *whole = std::get_if<int64_t>(&value))
    return ArgumentValue(*whole);
  if (auto *real = std::get_if<double>(&value))
    return ArgumentValue(*real);
  if (auto *truth = std::get_if<bool>(&value))
    return ArgumentValue(*truth);
  return std::nullopt;
}

} // namespace ringc
