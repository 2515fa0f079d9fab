#include "ringc/compiler/passes/KernelInterface.h"

#include "ringc/compiler/dialect/Tile.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace ringc;
using tile::TileDialect;

func::FuncOp ringc::kernelOf(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    if (function->hasAttr(TileDialect::kernelAttr))
      return function;
  return {};
}

static ElementType elementTypeOf(Type type) {
  if (type.isF16())
    return ElementType::F16;
  if (type.isBF16())
    return ElementType::BF16;
  if (type.isInteger(32))
    return ElementType::I32;
  return type.isInteger(1) ? ElementType::Bool : ElementType::F32;
}

/// The axes of a view as its launch sees them: with the implicit ones of batch and head where its
/// rows are queries or keys of a program.
static std::vector<ArgumentAxis> axesOf(tile::ViewType view, bool ofProgram) {
  std::vector<ArgumentAxis> axes;
  auto has = [&](StringRef extent) {
    return llvm::is_contained(view.getExtents().getAsValueRange<StringAttr>(), extent);
  };
  if (ofProgram && has("Nq"))
    axes = {{"B"}, {"Hkv"}, {"G"}};
  else if (ofProgram && has("Nk"))
    axes = {{"B"}, {"Hkv"}};
  for (int64_t axis = 0; axis < view.getRank(); ++axis)
    axes.push_back({view.getExtentName(axis).str()});
  return axes;
}

/// Views that a kernel reads or writes itself belong to the program; those that only masks and
/// scores read are whole.
static bool isOfProgram(BlockArgument argument) {
  return llvm::any_of(argument.getUsers(), [](Operation *user) {
    return isa<tile::LoadOp, tile::StoreOp, tile::SliceOp, tile::ElementOp>(user);
  });
}

static bool isWritten(Value view) {
  return llvm::any_of(view.getUsers(), [](Operation *user) {
    auto slice = dyn_cast<tile::SliceOp>(user);
    return isa<tile::StoreOp>(user) || (slice && isWritten(slice.getResult()));
  });
}

/// Marks the axes B that `function`, which takes `parameters` last, indexes by something other than
/// b.
static void markAnyEntry(CompiledKernel &made, func::FuncOp function, ValueRange parameters) {
  function.walk([&](tile::ElementOp access) {
    auto view = dyn_cast<BlockArgument>(access.getView());
    unsigned leading = function.getNumArguments() - static_cast<unsigned>(parameters.size());
    if (!view || view.getOwner() != &function.front() || view.getArgNumber() < leading)
      return;
    auto argument = dyn_cast<BlockArgument>(parameters[view.getArgNumber() - leading]);
    for (int64_t axis = 0; argument && axis < access.getView().getType().getRank(); ++axis)
      if (access.getView().getType().getExtentName(axis) == "B" && !access.isInside(axis))
        made.arguments[argument.getArgNumber()].axes[static_cast<size_t>(axis)].anyEntry = true;
  });
}

CompiledKernel ringc::interfaceOf(func::FuncOp kernel) {
  CompiledKernel made;
  made.name = made.entry = kernel.getName().str();
  made.perHead = kernel->hasAttr(TileDialect::perHeadAttr);
  if (auto group = kernel->getAttrOfType<IntegerAttr>(TileDialect::groupAttr))
    made.groupSize = group.getInt();

  llvm::SetVector<StringRef> extents;
  if (made.perHead)
    for (StringRef known : {"B", "H", "Hkv"})
      extents.insert(known);
  auto add = [&](KernelArgument argument) {
    argument.slot = made.slotCount;
    made.slotCount += argument.slotCount();
    made.arguments.push_back(std::move(argument));
  };
  for (BlockArgument argument : kernel.getArguments()) {
    KernelArgument described;
    if (auto name =
            kernel.getArgAttrOfType<StringAttr>(argument.getArgNumber(), TileDialect::nameAttr))
      described.name = name.str();
    if (auto view = dyn_cast<tile::ViewType>(argument.getType())) {
      described.kind = KernelArgument::Kind::View;
      described.type = elementTypeOf(view.getElementType());
      described.axes = axesOf(view, isOfProgram(argument));
      described.written = isWritten(argument);
      described.sums = view.isOfSums();
      for (int64_t axis = 0; axis < view.getRank(); ++axis)
        if (view.getStaticExtent(axis) < 0)
          extents.insert(view.getExtentName(axis));
    } else if (auto positions = dyn_cast<tile::PositionsType>(argument.getType())) {
      described.kind = KernelArgument::Kind::Positions;
      described.type = ElementType::I32;
      described.axes = {{positions.getExtent().getValue().str()}};
      extents.insert(positions.getExtent().getValue());
    } else if (isa<tile::CarryType>(argument.getType())) {
      described.kind = KernelArgument::Kind::Carry;
    } else {
      described.type = elementTypeOf(argument.getType());
    }
    add(std::move(described));
  }

  kernel.walk([&](tile::ApplyOp apply) {
    if (auto function =
            SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(apply, apply.getFunctionAttr()))
      markAnyEntry(made, function, apply.getParameters());
  });

  if (auto grid = kernel->getAttrOfType<ArrayAttr>(TileDialect::gridAttr))
    for (Attribute axis : grid) {
      auto pair = cast<ArrayAttr>(axis);
      StringRef extent = cast<StringAttr>(pair[0]).getValue();
      made.grid.push_back({extent.str(), cast<IntegerAttr>(pair[1]).getInt()});
      extents.insert(extent);
    }
  kernel.walk([&](tile::ExtentOp op) { extents.insert(op.getName()); });
  for (StringRef extent : extents) {
    int64_t number;
    if (extent.getAsInteger(10, number))
      add({.name = extent.str(), .kind = KernelArgument::Kind::Extent, .type = ElementType::I32});
  }
  return made;
}
