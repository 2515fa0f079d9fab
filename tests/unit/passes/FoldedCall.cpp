#include "tests/unit/passes/FoldedCall.h"

#include "ringc/compiler/passes/Passes.h"
#include "ringc/compiler/passes/Pipeline.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"

#include <doctest/doctest.h>

using namespace mlir;

namespace ringc {

ScalarModule::ScalarModule(const std::string &text, const std::string &pipeline)
    : context(std::make_unique<MLIRContext>(MLIRContext::Threading::DISABLED)) {
  context->loadDialect<tile::TileDialect, arith::ArithDialect, func::FuncDialect, math::MathDialect,
                       scf::SCFDialect>();
  owned = parseSourceString<ModuleOp>(text, context.get());
  REQUIRE(owned);
  static const bool registered = [] {
    registerDeriveScoreGradient();
    registerSpecialise();
    registerSplitLoops();
    registerStages(tileStages());
    return true;
  }();
  REQUIRE(registered);
  PassManager passes(context.get());
  REQUIRE(succeeded(parsePassPipeline(pipeline, passes)));
  REQUIRE(succeeded(passes.run(*owned)));
}

ScalarModule::~ScalarModule() = default;

static Attribute attributeOf(const Scalar &value, Type type, Builder &builder) {
  if (auto integer = std::get_if<int64_t>(&value))
    return builder.getIntegerAttr(type, *integer);
  if (auto real = std::get_if<double>(&value))
    return builder.getFloatAttr(type, *real);
  return builder.getBoolAttr(std::get<bool>(value));
}

static Scalar scalarOf(Attribute attribute) {
  if (auto real = dyn_cast<FloatAttr>(attribute))
    return real.getValueAsDouble();
  auto integer = cast<IntegerAttr>(attribute);
  if (integer.getType().isInteger(1))
    return integer.getValue().getBoolValue();
  return integer.getInt();
}

Scalar ScalarModule::call(const std::string &name, const std::vector<Scalar> &arguments) const {
  auto original = module().lookupSymbol<func::FuncOp>(name);
  REQUIRE_MESSAGE(original, name);
  OwningOpRef<func::FuncOp> function(original.clone()); // folding may exchange operands in place
  REQUIRE(function->getNumArguments() == arguments.size());
  Builder builder(context.get());
  llvm::DenseMap<Value, Attribute> values;
  for (auto [argument, value] : llvm::zip(function->getArguments(), arguments))
    values[argument] = attributeOf(value, argument.getType(), builder);

  for (Operation &op : function->getBody().front()) {
    if (isa<func::ReturnOp>(op))
      return scalarOf(values.lookup(op.getOperand(0)));
    Attribute result;
    for (int attempt = 0; attempt < 4 && !result; ++attempt) {
      SmallVector<Attribute> operands;
      for (Value operand : op.getOperands())
        operands.push_back(values.lookup(operand));
      SmallVector<OpFoldResult> folded;
      if (succeeded(op.fold(operands, folded)) && !folded.empty())
        result = isa<Attribute>(folded[0]) ? cast<Attribute>(folded[0])
                                           : values.lookup(cast<Value>(folded[0]));
    }
    REQUIRE_MESSAGE(result, "cannot fold " << op.getName().getStringRef().str());
    values[op.getResult(0)] = result;
  }
  return {};
}

} // namespace ringc
