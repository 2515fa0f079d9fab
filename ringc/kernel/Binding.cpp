#include "ringc/kernel/Binding.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/attention/shared/Parameters.h"
#include "ringc/compiler/spec/TileSpace.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace ringc {

namespace {

using Kind = KernelArgument::Kind;

/// Kernels count rows in a signed i32, the packed ones of a group too; a tile, and the next ones
/// that are fetched ahead, may reach beyond the last.
constexpr int64_t mostRows = (int64_t{1} << 31) - (int64_t{1} << 16) - 1;

bool isHeadOrBatch(std::string_view axis) { return axis == "B" || axis == "H" || axis == "Hkv"; }

std::optional<int64_t> numberOf(const std::string &axis) {
  int64_t number = 0;
  auto [stop, error] = std::from_chars(axis.data(), axis.data() + axis.size(), number);
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

int64_t roundedUp(int64_t length, int64_t block) { return (length + block - 1) / block * block; }

} // namespace

KernelWork workOf(const std::string &kernel, std::map<std::string, int64_t> extents) {
  if (TileSpace::knows(kernel)) {
    auto keys = extents.find("Nk");
    return {.length = keys == extents.end() ? 0 : keys->second};
  }
  if (extents.contains("Hkv"))
    extents.erase("H");
  return {.extents = std::move(extents)};
}

KernelBinding::KernelBinding(std::shared_ptr<const CompiledKernel> kernel, const Spec &asked,
                             Where runsOn, const KernelViews &views, const KernelValues &values)
    : parameters(std::move(kernel)), spec(asked), where(runsOn), given(parameters.size()) {
  give(views, values);
  requireAll();
  auto eachView = [&](auto &&body) {
    for (size_t index = 0; index < given.size(); ++index)
      if (given[index].view)
        body(parameters[index], *given[index].view);
  };
  eachView([&](const KernelArgument &argument, const Tensor &tensor) {
    checkType(argument, tensor);
    bindView(argument, tensor);
  });
  for (size_t index = 0; index < given.size(); ++index)
    if (const KernelArgument &argument = parameters[index];
        argument.kind == Kind::Extent && given[index].value)
      bind(argument.name, std::get<int64_t>(*given[index].value), "the value given for it");
  bindHeads();
  eachView([&](const KernelArgument &argument, const Tensor &tensor) {
    if (argument.sums)
      bindSums(argument, tensor);
  });
  for (const KernelArgument &argument : parameters.of().arguments) {
    if (argument.kind != Kind::Extent)
      continue;
    if (!bound.contains(argument.name))
      throw InputError("extent " + argument.name, "nothing",
                       "a view that has it, or a value of this name");
    int64_t most = argument.name == "Nq" ? mostRows / sharing.groupSize : mostRows;
    if (int64_t length = bound.at(argument.name); length < 0 || length > most)
      throw InputError("extent " + argument.name, std::to_string(length),
                       "0 to " + std::to_string(most));
  }
  eachView(
      [&](const KernelArgument &argument, const Tensor &tensor) { checkMemory(argument, tensor); });
  for (size_t index = 0; index < given.size(); ++index)
    if (given[index].value)
      checkKind(parameters[index], *given[index].value);
}

void KernelBinding::give(const KernelViews &views, const KernelValues &values) {
  auto slotOf = [&](const std::string &name) -> Given & {
    Given &slot = given[parameters.find(name)];
    if (slot.view || slot.value)
      throw InputError("argument " + name, "two values",
                       "one for " + parameters[parameters.find(name)].name);
    return slot;
  };
  for (const auto &[name, tensor] : views) {
    Given &slot = slotOf(name);
    if (const KernelArgument &argument = parameters[parameters.find(name)];
        argument.kind != Kind::View)
      parameters.refuse(argument, ringc::describe(tensor));
    slot.view = tensor;
  }
  for (const auto &[name, value] : values) {
    Given &slot = slotOf(name);
    const KernelArgument &argument = parameters[parameters.find(name)];
    bool isExtent = argument.kind == Kind::Extent;
    if (argument.kind == Kind::View || (isExtent && !std::holds_alternative<int64_t>(value)))
      parameters.refuse(argument, textOf(value));
    slot.value = value;
  }
}

void KernelBinding::requireAll() const {
  for (size_t index = 0; index < given.size(); ++index) {
    const KernelArgument &argument = parameters[index];
    bool mayLack = argument.kind == Kind::Extent || argument.kind == Kind::Carry;
    if (!mayLack && !given[index].view && !given[index].value)
      parameters.refuse(argument, "nothing");
  }
}

void KernelBinding::checkType(const KernelArgument &argument, const Tensor &tensor) const {
  if (tensor.dtype() != dtypeOf(argument.type) ||
      tensor.rank() != int(parameters.axesOf(argument).size()))
    parameters.refuse(argument, ringc::describe(tensor));
}

void KernelBinding::bind(const std::string &extent, int64_t length, const std::string &of) {
  auto [known, isNew] = bound.emplace(extent, length);
  if (isNew)
    boundBy[extent] = of;
  else if (known->second != length)
    throw InputError("extent " + extent, std::to_string(length) + " of " + of,
                     std::to_string(known->second) + ", that of " + boundBy.at(extent));
}

void KernelBinding::bindView(const KernelArgument &argument, const Tensor &tensor) {
  std::vector<std::string> axes = parameters.axesOf(argument);
  std::string of = "view " + argument.name + ", " + ringc::describe(tensor);
  for (int axis = 0; axis < tensor.rank(); ++axis) {
    const std::string &name = axes[size_t(axis)];
    int64_t length = tensor.dim(axis);
    if (argument.sums && axis >= tensor.rank() - 2)
      continue; // bindSums
    if (std::optional<int64_t> number = numberOf(name)) {
      if (length != *number)
        parameters.refuse(argument, ringc::describe(tensor));
    } else if (KernelParameters::isOwn(argument) || !parameters.of().perHead ||
               !isHeadOrBatch(name) || length != 1) {
      bind(name, length, of);
    }
  }
}

void KernelBinding::bindSums(const KernelArgument &argument, const Tensor &tensor) {
  int rows = tensor.rank() - 2, columns = tensor.rank() - 1;
  std::vector<std::string> axes = parameters.axesOf(argument);
  const std::string &name = axes[size_t(rows)];
  int64_t packed = parameters.of().perHead && name == "Nq" ? sharing.groupSize : 1;
  if (!bound.contains(name)) {
    bound[name] = tensor.dim(rows) / packed;
    boundBy[name] = "view " + argument.name + ", " + ringc::describe(tensor);
  }
  int64_t rowsOfAll = bound.at(name) * packed,
          columnsOfAll = numberOf(axes[size_t(columns)]).value_or(tensor.dim(columns));
  int64_t wholeRows = roundedUp(rowsOfAll, SumsBlock::rows),
          wholeColumns = roundedUp(columnsOfAll, SumsBlock::columns);
  bool isWhole = tensor.dim(rows) == wholeRows && tensor.dim(columns) == wholeColumns;
  bool isExact = tensor.dim(rows) == rowsOfAll && tensor.dim(columns) == columnsOfAll;
  if (!isWhole && (where == Where::Device || !isExact))
    throw InputError("argument " + argument.name, ringc::describe(tensor),
                     std::to_string(wholeRows) + " rows and " + std::to_string(wholeColumns) +
                         " columns, whole blocks of " + std::to_string(SumsBlock::rows) + " x " +
                         std::to_string(SumsBlock::columns) + " for " + std::to_string(rowsOfAll) +
                         " x " + std::to_string(columnsOfAll));
}

void KernelBinding::bindHeads() {
  if (!parameters.of().perHead)
    return;
  // Without rows of queries, or of keys, the other's heads and the spec's group give theirs.
  int64_t group = spec.groupSize;
  if (bound.contains("H") && bound.contains("Hkv")) {
    int64_t heads = bound.at("H"), kvHeads = bound.at("Hkv");
    if (kvHeads == 0 ? heads != 0 : heads % kvHeads != 0)
      throw InputError("extent H", std::to_string(heads) + " of " + boundBy.at("H"),
                       "a multiple of Hkv, " + std::to_string(kvHeads) + " of " +
                           boundBy.at("Hkv"));
    int64_t ofViews = kvHeads == 0 || heads == 0 ? group : heads / kvHeads;
    constexpr int64_t mostOfGroup = 1024;
    if ((group != 1 && ofViews != group) || ofViews > mostOfGroup)
      throw InputError(
          "extent H", std::to_string(heads) + " of " + boundBy.at("H"),
          std::to_string(group == 1 ? kvHeads * mostOfGroup : kvHeads * group) +
              (group == 1 ? " at most" : "") + ": Hkv is " + std::to_string(kvHeads) + " of " +
              boundBy.at("Hkv") +
              (group == 1 ? "" : ", and the spec's group_size " + std::to_string(group)));
    group = ofViews;
  } else if (bound.contains("H")) {
    int64_t heads = bound.at("H");
    if (heads % group)
      throw InputError("extent H", std::to_string(heads) + " of " + boundBy.at("H"),
                       "a multiple of the spec's group_size, " + std::to_string(group));
    bind("Hkv", heads / group, boundBy.at("H"));
  } else if (bound.contains("Hkv")) {
    bind("H", bound.at("Hkv") * group, boundBy.at("Hkv"));
  }
  sharing = {.kvHeads = bound.contains("Hkv") ? bound.at("Hkv") : 0,
             .groupSize = group,
             .headMap = spec.headMap,
             .firstBatch = 0,
             .batch = bound.contains("B") ? bound.at("B") : 0};
}

void KernelBinding::apply(LaunchSlots &slots, size_t index) const {
  const KernelArgument &argument = parameters[index];
  const Given &from = given[index];
  switch (argument.kind) {
  case Kind::View:
    if (!parameters.isOfProgram(argument))
      slots.set(argument.name, *from.view);
    else if (argument.sums)
      slots.set(argument.name, ProgramTensor::sums(*from.view));
    else
      slots.set(argument.name, parameters.programOf(argument, *from.view));
    return;
  case Kind::Positions:
    slots.set(argument.name, std::get<Positions>(*from.value));
    return;
  case Kind::Scalar:
    slots.setScalar(argument.name, slotOf(scalarOf(argument, *numberOf(*from.value))));
    return;
  case Kind::Extent:
    slots.setExtent(argument.name, bound.at(argument.name));
    return;
  case Kind::Carry:
    return;
  }
}

void KernelBinding::fill(LaunchSlots &slots) const {
  for (size_t index = 0; index < given.size(); ++index)
    apply(slots, index);
}

void KernelBinding::set(LaunchSlots &slots, std::string_view name, const Tensor &view) {
  size_t index = parameters.find(name);
  const KernelArgument &argument = parameters[index];
  if (argument.kind != Kind::View)
    parameters.refuse(argument, ringc::describe(view));
  Tensor &known = *given[index].view;
  if (view.dtype() != known.dtype() || !std::ranges::equal(view.shape(), known.shape()))
    throw InputError("argument " + argument.name, ringc::describe(view),
                     ringc::describe(known) + ", as it was bound");
  checkMemory(argument, view);
  known = view;
  apply(slots, index);
}

void KernelBinding::set(LaunchSlots &slots, std::string_view name, const KernelValue &value) {
  size_t index = parameters.find(name);
  const KernelArgument &argument = parameters[index];
  if (argument.kind == Kind::View || argument.kind == Kind::Extent)
    parameters.refuse(argument,
                      textOf(value) + (argument.kind == Kind::Extent ? " for what is bound" : ""));
  checkKind(argument, value);
  given[index].value = value;
  apply(slots, index);
}

Spec KernelBinding::specOfLaunch() const {
  Spec exact = spec;
  if (parameters.of().perHead)
    exact.groupSize = sharing.groupSize;
  return exact;
}

KernelWork KernelBinding::work(const std::optional<std::string> &table) const {
  KernelWork asked = workOf(spec.kernel, bound);
  asked.table = table;
  return asked;
}

std::optional<KernelBinding::Carry> KernelBinding::carry() const {
  for (size_t index = 0; index < given.size(); ++index)
    if (parameters[index].kind == Kind::Carry)
      return Carry{parameters[index].name,
                   given[index].value ? std::get<CarryStep>(*given[index].value) : CarryStep()};
  return std::nullopt;
}

void requireWholeState(const KernelValues &values) {
  for (const auto &[name, value] : values)
    if (auto *step = std::get_if<CarryStep>(&value); step && !(step->begins && step->ends))
      throw InputError("argument " + name, textOf(value),
                       "one that begins and ends; a bound launch keeps others (Kernel::bind)");
}

} // namespace ringc
