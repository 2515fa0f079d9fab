#include "ringc/attention/shared/Options.h"
#include "ringc/attention/shared/Parameters.h"
#include "ringc/kernel/Binding.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace ringc {

using Kind = KernelArgument::Kind;

void KernelBinding::checkKind(const KernelArgument &argument, const KernelValue &value) const {
  switch (argument.kind) {
  case Kind::Scalar:
    if (auto number = numberOf(value)) {
      (void)scalarOf(argument, *number);
      return;
    }
    parameters.refuse(argument, textOf(value));
  case Kind::Positions:
    if (auto *positions = std::get_if<Positions>(&value))
      return checkPositions(argument, *positions);
    parameters.refuse(argument, textOf(value));
  case Kind::Carry:
    if (!std::holds_alternative<CarryStep>(value))
      parameters.refuse(argument, textOf(value));
    return;
  case Kind::View:
  case Kind::Extent:
    return;
  }
}

void KernelBinding::checkPositions(const KernelArgument &argument,
                                   const Positions &positions) const {
  const std::string &extent = argument.axes.front().name;
  int64_t rows = bound.at(extent);
  LayoutKind layout = extent == "Nq" ? spec.queryLayout : spec.keyLayout;
  auto require = [&](bool holds, const std::string &allowed) {
    if (!holds)
      throw InputError("argument " + argument.name, textOf(positions), allowed);
  };
  require(positions.block >= 1 && std::in_range<int32_t>(positions.block) &&
              std::in_range<int32_t>(positions.jump) && std::in_range<int32_t>(positions.first),
          "a block of 1 or more, all of them i32");
  std::string as = "as the spec's layout " + std::string(enumName(layout)) + " has it: ";
  if (layout == LayoutKind::Contiguous)
    require(positions.block == positions.jump || rows <= positions.block,
            as + "a jump as long as the block");
  if (layout == LayoutKind::Striped)
    require(positions.block == 1, as + "a block of 1");
  if (layout == LayoutKind::Zigzag)
    require(rows <= 2 * positions.block,
            as + "at most two blocks for the " + std::to_string(rows) + " rows");
  // Positions rise or fall from block to block: the ends are the extremes.
  for (int64_t row : {int64_t{0}, std::min(rows, positions.block) - 1,
                      (rows - 1) / positions.block * positions.block, rows - 1})
    if (row >= 0)
      require(std::in_range<int32_t>(positions(row)),
              "i32 for each of the " + std::to_string(rows) + " rows");
}

void KernelBinding::checkMemory(const KernelArgument &argument, const Tensor &tensor) const {
  std::string what = "argument " + argument.name;
  if (!KernelParameters::isOwn(argument))
    checkElements(argument, tensor);
  if (tensor.empty())
    return;
  auto address = std::bit_cast<uintptr_t>(tensor.data());
  if (address == 0)
    throw InputError(what, ringc::describe(tensor) + " without memory", "an address");
  if (address % sizeOf(tensor.dtype()))
    throw InputError(what,
                     "an address that is no multiple of " + std::to_string(sizeOf(tensor.dtype())),
                     "one that is, as " + std::string(nameOf(tensor.dtype())) + " wants it");
  if (KernelParameters::isOwn(argument) && parameters.hasColumns(argument))
    checkUnitStride(what, tensor);
  for (int axis = 0; axis < tensor.rank() && argument.written; ++axis)
    if (tensor.dim(axis) > 1 && tensor.stride(axis) == 0)
      throw InputError(what + ": stride of axis " + std::to_string(axis), "0",
                       "another: the kernel writes it");
  if (argument.sums && where == Where::Device)
    checkSumsMemory(argument, tensor);
}

void KernelBinding::checkSumsMemory(const KernelArgument &argument, const Tensor &tensor) const {
  constexpr int64_t together = 16; // bytes that are moved at once
  int rows = tensor.rank() - 2;
  bool isGapless = tensor.dim(rows) == 1 || tensor.stride(rows) == tensor.dim(rows + 1);
  bool isAligned = std::bit_cast<uintptr_t>(tensor.data()) % size_t(together) == 0;
  for (int axis = 0; axis < rows; ++axis)
    isAligned &= tensor.stride(axis) * int64_t(sizeOf(tensor.dtype())) % together == 0;
  if (!isGapless || !isAligned)
    throw InputError("argument " + argument.name,
                     isGapless ? "memory that is not aligned" : "rows with gaps between them",
                     "rows without gaps, aligned to " + std::to_string(together) + " bytes");
}

} // namespace ringc
