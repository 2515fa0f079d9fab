#include "ringc/compiler/passes/VisibilityFunction.h"

#include "ringc/compiler/passes/MaskExpression.h"
#include "ringc/compiler/passes/ScalarFunction.h"
#include "ringc/compiler/predicate/Interval.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace ringc {

namespace {

constexpr StringLiteral maskAttr = "tile.mask";

/// Where the ranges stand among the arguments: b, then first and last of h, i, j, queryRow and
/// keyRow.
constexpr unsigned visibilityParametersBegin = 11;

/// The domain of Interval.h whose scalars are SSA values: i64, f32 and i1. What folds is not
/// emitted.
class EmittingDomain {
public:
  using Scalar = Value;
  using Range = predicate::Interval<EmittingDomain>;

  EmittingDomain(OpBuilder &opBuilder, func::FuncOp visibility,
                 const predicate::Expression &expression, ArrayRef<std::string> parameterNames)
      : builder(opBuilder), loc(visibility.getLoc()), function(visibility),
        nodes(expression.nodes()), names(parameterNames) {}

  Value constantInt(int64_t value) { return constant(builder.getI64IntegerAttr(value)); }
  Value constantFloat(float value) { return constant(builder.getF32FloatAttr(value)); }
  Value constantBool(bool value) { return constant(builder.getBoolAttr(value)); }

  Value add(Value a, Value b) { return emit<arith::AddIOp>(a, b); }
  Value sub(Value a, Value b) { return emit<arith::SubIOp>(a, b); }
  Value mul(Value a, Value b) { return emit<arith::MulIOp>(a, b); }
  Value min(Value a, Value b) { return emit<arith::MinSIOp>(a, b); }
  Value max(Value a, Value b) { return emit<arith::MaxSIOp>(a, b); }
  Value floorDiv(Value a, Value b) { return emit<arith::FloorDivSIOp>(a, b); }
  Value lessInt(Value a, Value b) { return emit<arith::CmpIOp>(arith::CmpIPredicate::slt, a, b); }
  Value lessEqualInt(Value a, Value b) {
    return emit<arith::CmpIOp>(arith::CmpIPredicate::sle, a, b);
  }
  Value select(Value condition, Value a, Value b) { return emit<arith::SelectOp>(condition, a, b); }
  Value conjunction(Value a, Value b) { return emit<arith::AndIOp>(a, b); }
  Value disjunction(Value a, Value b) { return emit<arith::OrIOp>(a, b); }
  Value negation(Value a) { return emit<arith::XOrIOp>(a, constantBool(true)); }

  Value addFloat(Value a, Value b) { return emit<arith::AddFOp>(a, b); }
  Value subFloat(Value a, Value b) { return emit<arith::SubFOp>(a, b); }
  Value mulFloat(Value a, Value b) { return emit<arith::MulFOp>(a, b); }
  Value divFloat(Value a, Value b) { return emit<arith::DivFOp>(a, b); }
  Value minFloat(Value a, Value b) { return emit<arith::MinimumFOp>(a, b); }
  Value maxFloat(Value a, Value b) { return emit<arith::MaximumFOp>(a, b); }
  Value absFloat(Value a) { return emit<math::AbsFOp>(a); }
  Value exp2(Value a) { return emit<math::Exp2Op>(a); }
  Value exp(Value a) { return emit<math::ExpOp>(a); }
  Value log(Value a) { return emit<math::LogOp>(a); }
  Value log2(Value a) { return emit<math::Log2Op>(a); }
  Value tanh(Value a) { return emit<math::TanhOp>(a); }
  Value sqrt(Value a) { return emit<math::SqrtOp>(a); }
  Value lessFloat(Value a, Value b) { return emit<arith::CmpFOp>(arith::CmpFPredicate::OLT, a, b); }
  Value lessEqualFloat(Value a, Value b) {
    return emit<arith::CmpFOp>(arith::CmpFPredicate::OLE, a, b);
  }
  Value intToFloat(Value a) { return emit<arith::SIToFPOp>(builder.getF32Type(), a); }
  Value floatToInt(Value a) { return emit<arith::FPToSIOp>(builder.getI64Type(), a); }

  Value widen(Value i32) { return emit<arith::ExtSIOp>(builder.getI64Type(), i32); }

  Value parameter(StringRef name) {
    size_t number = llvm::find(names, name) - names.begin();
    return function.getArgument(visibilityParametersBegin + number);
  }

  /// One value of an index, or a loop over i32 from first to last.
  struct Axis {
    Value first, last;
  };

  Range elementRange(const predicate::Node &element, std::span<const Range>) {
    SmallVector<Axis> axes;
    for (predicate::NodeId operand : element.operands) {
      std::optional<Axis> axis = axisOf(nodes[operand]);
      if (!axis)
        return {};
      axes.push_back(*axis);
    }
    Value low, high;
    switch (element.type) {
    case predicate::ScalarType::Int:
      low = constantInt(INT32_MAX), high = constantInt(INT32_MIN);
      break;
    case predicate::ScalarType::Float:
      low = constantFloat(INFINITY), high = constantFloat(-INFINITY);
      break;
    case predicate::ScalarType::Bool:
      low = constantBool(true), high = constantBool(false);
      break;
    }
    SmallVector<Value> indices;
    return bounds(element, axes, indices, {low, high, true});
  }

private:
  template <class OpTy, class... Operands> Value emit(Operands... operands) {
    return builder.createOrFold<OpTy>(loc, operands...);
  }
  Value constant(TypedAttr value) { return arith::ConstantOp::create(builder, loc, value); }
  Value constantI32(int64_t value) { return constant(builder.getI32IntegerAttr(value)); }

  std::optional<Axis> axisOf(const predicate::Node &index) {
    if (index.op == predicate::Op::Constant) {
      Value value = constantI32(index.integer);
      return Axis{value, value};
    }
    if (index.op != predicate::Op::Variable)
      return std::nullopt;
    switch (index.variable) {
    case predicate::Variable::Batch:
      return Axis{function.getArgument(0), function.getArgument(0)};
    case predicate::Variable::Head:
      return Axis{function.getArgument(1), function.getArgument(2)};
    case predicate::Variable::QueryRow:
      return Axis{function.getArgument(7), function.getArgument(8)};
    case predicate::Variable::KeyRow:
      return Axis{function.getArgument(9), function.getArgument(10)};
    case predicate::Variable::QueryPosition: // may be any number of elements
    case predicate::Variable::KeyPosition:
      return std::nullopt;
    }
    return std::nullopt;
  }

  /// As irgen marks them; the ranges of a window lie within the views.
  static bool isOwnIndex(const predicate::Node &index, StringRef axis) {
    if (index.op != predicate::Op::Variable)
      return false;
    switch (index.variable) {
    case predicate::Variable::Batch:
      return axis == "B";
    case predicate::Variable::Head:
      return axis == "H";
    case predicate::Variable::QueryRow:
      return axis == "Nq";
    case predicate::Variable::KeyRow:
      return axis == "Nk";
    case predicate::Variable::QueryPosition:
    case predicate::Variable::KeyPosition:
      return false;
    }
    return false;
  }

  /// `range` widened by the elements over the axes that `indices` does not have yet.
  Range bounds(const predicate::Node &element, ArrayRef<Axis> axes, SmallVectorImpl<Value> &indices,
               Range range) {
    if (indices.size() == axes.size())
      return include(range, load(element, indices), element.type);
    Axis axis = axes[indices.size()];
    if (axis.first == axis.last) {
      indices.push_back(axis.first);
      Range inner = bounds(element, axes, indices, range);
      indices.pop_back();
      return inner;
    }
    Value one = constantI32(1);
    Value end = emit<arith::AddIOp>(axis.last, one);
    auto loop =
        scf::ForOp::create(builder, loc, axis.first, end, one, ValueRange{range.low, range.high});
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    indices.push_back(loop.getInductionVar());
    Range inner =
        bounds(element, axes, indices, {loop.getRegionIterArg(0), loop.getRegionIterArg(1), true});
    indices.pop_back();
    scf::YieldOp::create(builder, loc, ValueRange{inner.low, inner.high});
    return {loop.getResult(0), loop.getResult(1), true};
  }

  Value load(const predicate::Node &element, ValueRange indices) {
    Value view = parameter(element.name);
    Type type = cast<tile::ViewType>(view.getType()).getElementType();
    SmallVector<int64_t> inside;
    for (auto [axis, operand] : llvm::enumerate(element.operands))
      if (isOwnIndex(nodes[operand], element.axes[axis]))
        inside.push_back(static_cast<int64_t>(axis));
    Value value = tile::ElementOp::create(builder, loc, type, view, indices, Value(), inside);
    return element.type == predicate::ScalarType::Int ? widen(value) : value;
  }

  Range include(const Range &range, Value value, predicate::ScalarType type) {
    switch (type) {
    case predicate::ScalarType::Int:
      return {min(range.low, value), max(range.high, value), true};
    case predicate::ScalarType::Float:
      return {minFloat(range.low, value), maxFloat(range.high, value), true};
    case predicate::ScalarType::Bool:
      return {conjunction(range.low, value), disjunction(range.high, value), true};
    }
    return {};
  }

  OpBuilder &builder;
  Location loc;
  func::FuncOp function;
  std::span<const predicate::Node> nodes;
  ArrayRef<std::string> names;
};

func::FuncOp declare(OpBuilder &builder, func::FuncOp mask, StringRef name) {
  SmallVector<Type> inputs(visibilityParametersBegin, builder.getI32Type());
  llvm::append_range(inputs, mask.getArgumentTypes().drop_front(maskParametersBegin));
  auto function = func::FuncOp::create(builder, mask.getLoc(), name,
                                       builder.getFunctionType(inputs, builder.getI32Type()));
  function.setPrivate();
  function->setAttr(maskAttr, FlatSymbolRefAttr::get(mask.getSymNameAttr()));
  return function;
}

/// What the interval of a mask says: 0 nothing, 1 a part, 2 everything, as an i32.
Value emitVisibility(OpBuilder &builder, func::FuncOp function,
                     const predicate::Expression &expression, ArrayRef<std::string> names) {
  Location loc = function.getLoc();
  EmittingDomain domain(builder, function, expression, names);
  predicate::Environment<EmittingDomain> environment;
  auto range = [&](unsigned first, unsigned last) {
    return EmittingDomain::Range{domain.widen(function.getArgument(first)),
                                 domain.widen(function.getArgument(last)), true};
  };
  environment.variables = {range(0, 0), range(1, 2), range(3, 4),
                           range(5, 6), range(7, 8), range(9, 10)};
  environment.parameter = [&](const predicate::Node &parameter) {
    Value value = domain.parameter(parameter.name);
    if (parameter.type == predicate::ScalarType::Int)
      value = domain.widen(value);
    return EmittingDomain::Range{value, value, true};
  };
  EmittingDomain::Range visible = predicate::evaluate(expression, domain, environment);
  Value always = builder.createOrFold<arith::ExtUIOp>(loc, builder.getI32Type(), visible.low);
  Value ever = builder.createOrFold<arith::ExtUIOp>(loc, builder.getI32Type(), visible.high);
  return builder.createOrFold<arith::AddIOp>(loc, always, ever);
}

} // namespace

func::FuncOp visibilityFunctionOf(func::FuncOp mask) {
  auto module = mask->getParentOfType<ModuleOp>();
  std::string name = (mask.getName() + ".visibility").str();
  if (auto existing = module.lookupSymbol<func::FuncOp>(name))
    return existing;

  OpBuilder builder(mask->getContext());
  builder.setInsertionPointAfter(mask);
  func::FuncOp function = declare(builder, mask, name);
  builder.setInsertionPointToStart(function.addEntryBlock());
  // Within the function a parameter is called by its number.
  std::vector<std::string> names;
  for (unsigned number = maskParametersBegin; number < mask.getNumArguments(); ++number)
    names.push_back("#" + std::to_string(number));
  Value result;
  if (std::optional<predicate::Expression> expression = expressionOf(mask, names))
    result = emitVisibility(builder, function, *expression, names);
  else
    result = arith::ConstantOp::create(builder, mask.getLoc(), builder.getI32IntegerAttr(1));
  func::ReturnOp::create(builder, mask.getLoc(), result);
  eraseUnused(function);
  return function;
}

FlatSymbolRefAttr maskSeenBy(tile::VisibilityOp visibility) {
  auto function =
      SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(visibility, visibility.getFunctionAttr());
  return function ? function->getAttrOfType<FlatSymbolRefAttr>(maskAttr) : FlatSymbolRefAttr();
}

} // namespace ringc
