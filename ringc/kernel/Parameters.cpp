#include "ringc/kernel/Parameters.h"

#include "ringc/compiler/spec/Spec.h"
#include "ringc/support/ClosestName.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>
#include <variant>

namespace ringc {

namespace {

using Kind = KernelArgument::Kind;

/// "left" of "window.left"; empty for the kernel's own.
std::string_view parameterOf(std::string_view argument) {
  size_t dot = argument.rfind('.');
  return dot == argument.npos ? std::string_view() : argument.substr(dot + 1);
}

bool isOfRows(std::string_view axis) { return axis == "Nq" || axis == "Nk"; }

std::vector<std::string>::const_iterator rowsOf(const std::vector<std::string> &axes) {
  return std::ranges::find_if(axes, isOfRows);
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
  return std::ranges::any_of(argument.axes,
                             [](const ArgumentAxis &axis) { return isOfRows(axis.name); });
}

std::vector<std::string> KernelParameters::axesOf(const KernelArgument &argument) const {
  std::vector<std::string> axes;
  for (const ArgumentAxis &axis : argument.axes)
    axes.push_back(axis.name);
  if (!isOfProgram(argument))
    return axes;
  if (axes.front() == "B") // one that nobody reads has the axes that it is written with
    axes.erase(axes.begin(), axes.begin() + (axes[2] == "G" ? 3 : 2));
  auto at = rowsOf(axes);
  std::vector<std::string> made(axes.cbegin(), at);
  const std::string rows = *at, heads = rows == "Nq" ? "H" : "Hkv";
  auto add = [&](std::initializer_list<std::string> more) { made.insert(made.end(), more); };
  if (at + 1 == axes.cend())
    add({"B", heads, rows});
  else if (argument.sums)
    add({"B", "Hkv", rows, at[1]});
  else
    add({"B", rows, heads, at[1]});
  return made;
}

ProgramTensor KernelParameters::programOf(const KernelArgument &argument,
                                          const Tensor &tensor) const {
  std::vector<std::string> axes = axesOf(argument);
  auto leading = int(rowsOf(axes) - axes.begin());
  return hasColumns(argument) ? ProgramTensor::rows(tensor).behind(leading - 1)
                              : ProgramTensor::numbers(tensor).behind(leading - 2);
}

bool KernelParameters::hasColumns(const KernelArgument &argument) const {
  std::vector<std::string> axes = axesOf(argument);
  if (isOfProgram(argument)) // rows, heads, columns
    return axes.end() - rowsOf(axes) > 2 || argument.sums;
  return std::ranges::count_if(axes, [&](const std::string &axis) {
           return !kernel->perHead || (axis != "B" && axis != "Hkv");
         }) > 1;
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
    std::string operator()(double number) const {
      std::array<char, 32> digits{};
      return {digits.data(),
              std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr};
    }
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
