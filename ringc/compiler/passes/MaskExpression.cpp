#include "ringc/compiler/passes/MaskExpression.h"

#include "ringc/compiler/passes/VisibilityFunction.h"
#include "ringc/compiler/predicate/Builder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "ringc/compiler/dialect/Tile.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ringc {

namespace {

using predicate::Builder;
using predicate::NodeId;
using predicate::Op;
using predicate::ScalarType;

std::optional<ScalarType> scalarType(Type type) {
  if (type.isInteger(32))
    return ScalarType::Int;
  if (type.isF32())
    return ScalarType::Float;
  if (type.isInteger(1))
    return ScalarType::Bool;
  return std::nullopt;
}

/// Reads a body from top to bottom; an operation that has no counterpart ends the reading.
class BodyReader {
public:
  std::optional<predicate::Expression> read(func::FuncOp mask, ArrayRef<std::string> names) {
    if (mask.isExternal() || !mask.getBody().hasOneBlock() || mask.getNumResults() != 1 ||
        mask.getNumArguments() != maskParametersBegin + names.size())
      return std::nullopt;
    for (BlockArgument argument : mask.getArguments())
      if (!readArgument(argument, names))
        return std::nullopt;
    std::optional<NodeId> root = readBody(mask, 0);
    if (!root)
      return std::nullopt;
    return builder.build(*root);
  }

private:
  bool readArgument(BlockArgument argument, ArrayRef<std::string> names) {
    unsigned number = argument.getArgNumber();
    if (number < maskParametersBegin) {
      nodes[argument] = builder.variable(static_cast<predicate::Variable>(number));
      return argument.getType().isInteger(32);
    }
    const std::string &name = names[number - maskParametersBegin];
    if (isa<tile::ViewType>(argument.getType())) {
      views[argument] = name;
      return true;
    }
    std::optional<ScalarType> type = scalarType(argument.getType());
    if (type)
      nodes[argument] = builder.parameter(name, *type);
    return type.has_value();
  }

  std::optional<NodeId> readBody(func::FuncOp function, int depth) {
    for (Operation &op : function.getBody().front()) {
      if (auto end = dyn_cast<func::ReturnOp>(op))
        return nodeOf(end.getOperand(0));
      if (++count > predicate::Expression::maxNodes / 4)
        return std::nullopt;
      std::optional<NodeId> node;
      if (auto call = dyn_cast<func::CallOp>(op))
        node = readCall(call, depth);
      else
        node = readOp(&op);
      if (!node)
        return std::nullopt;
      nodes[op.getResult(0)] = *node;
    }
    return std::nullopt;
  }

  std::optional<NodeId> readCall(func::CallOp call, int depth) {
    constexpr int maxDepth = 64;
    auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
    if (depth == maxDepth || !callee || callee.isExternal() || !callee.getBody().hasOneBlock() ||
        callee.getNumResults() != 1)
      return std::nullopt;
    for (auto [argument, operand] : llvm::zip(callee.getArguments(), call.getOperands())) {
      if (auto view = views.find(operand); view != views.end())
        views[argument] = std::string(view->second);
      else if (std::optional<NodeId> node = nodeOf(operand))
        nodes[argument] = *node;
      else
        return std::nullopt;
    }
    return readBody(callee, depth + 1);
  }

  std::optional<NodeId> nodeOf(Value value) const {
    auto found = nodes.find(value);
    return found == nodes.end() ? std::nullopt : std::optional(found->second);
  }

  std::optional<NodeId> readOp(Operation *op) {
    if (op->getNumResults() != 1 || !scalarType(op->getResult(0).getType()))
      return std::nullopt;
    if (auto constant = dyn_cast<arith::ConstantOp>(op))
      return readConstant(constant);
    if (auto element = dyn_cast<tile::ElementOp>(op))
      return readElement(element);

    SmallVector<NodeId> in;
    for (Value operand : op->getOperands()) {
      std::optional<NodeId> node = nodeOf(operand);
      if (!node)
        return std::nullopt;
      in.push_back(*node);
    }
    auto apply = [&](Op kind) {
      return std::optional(builder.apply(kind, std::vector<NodeId>(in.begin(), in.end())));
    };
    auto select = [&](int64_t then) {
      return std::optional(
          builder.apply(Op::Select, {in[0], builder.constant(then), builder.constant(int64_t(0))}));
    };
    return llvm::TypeSwitch<Operation *, std::optional<NodeId>>(op)
        .Case<arith::SubIOp>([&](arith::SubIOp sub) { return readSub(sub, in); })
        .Case<arith::XOrIOp>([&](arith::XOrIOp either) { return readXor(either, in); })
        .Case<arith::CmpIOp>([&](arith::CmpIOp compare) { return readCompare(compare, in); })
        .Case<arith::CmpFOp>([&](arith::CmpFOp compare) { return readCompare(compare, in); })
        .Case<arith::AddIOp>([&](arith::AddIOp add) -> std::optional<NodeId> {
          return add.getType().isInteger(32) ? apply(Op::Add) : std::nullopt;
        })
        .Case<arith::MulIOp>([&](arith::MulIOp mul) -> std::optional<NodeId> {
          return mul.getType().isInteger(32) ? apply(Op::Mul) : std::nullopt;
        })
        .Case<arith::AndIOp>([&](arith::AndIOp both) -> std::optional<NodeId> {
          return both.getType().isInteger(1) ? apply(Op::And) : std::nullopt;
        })
        .Case<arith::OrIOp>([&](arith::OrIOp either) -> std::optional<NodeId> {
          return either.getType().isInteger(1) ? apply(Op::Or) : std::nullopt;
        })
        // Canonical forms of `condition ? 1 : 0` and `condition ? -1 : 0`.
        .Case<arith::ExtUIOp>([&](arith::ExtUIOp) { return select(1); })
        .Case<arith::ExtSIOp>([&](arith::ExtSIOp) { return select(-1); })
        .Case<arith::FloorDivSIOp>([&](auto) { return apply(Op::FloorDiv); })
        .Case<arith::MinSIOp, arith::MinNumFOp, arith::MinimumFOp>(
            [&](auto) { return apply(Op::Min); })
        .Case<arith::MaxSIOp, arith::MaxNumFOp, arith::MaximumFOp>(
            [&](auto) { return apply(Op::Max); })
        .Case<math::AbsIOp, math::AbsFOp>([&](auto) { return apply(Op::Abs); })
        .Case<arith::AddFOp>([&](auto) { return apply(Op::Add); })
        .Case<arith::SubFOp>([&](auto) { return apply(Op::Sub); })
        .Case<arith::MulFOp>([&](auto) { return apply(Op::Mul); })
        .Case<arith::DivFOp>([&](auto) { return apply(Op::Div); })
        .Case<arith::NegFOp>([&](auto) { return apply(Op::Neg); })
        .Case<arith::SelectOp>([&](auto) { return apply(Op::Select); })
        .Case<arith::SIToFPOp>([&](arith::SIToFPOp convert) -> std::optional<NodeId> {
          return convert.getIn().getType().isInteger(32) ? apply(Op::IntToFloat) : std::nullopt;
        })
        .Case<arith::FPToSIOp>([&](arith::FPToSIOp convert) -> std::optional<NodeId> {
          return convert.getType().isInteger(32) ? apply(Op::FloatToInt) : std::nullopt;
        })
        .Case<math::Exp2Op>([&](auto) { return apply(Op::Exp2); })
        .Case<math::Log2Op>([&](auto) { return apply(Op::Log2); })
        .Case<math::TanhOp>([&](auto) { return apply(Op::Tanh); })
        .Case<math::SqrtOp>([&](auto) { return apply(Op::Sqrt); })
        .Case<math::ExpOp>([&](auto) { return apply(Op::Exp); })
        .Case<math::LogOp>([&](auto) { return apply(Op::Log); })
        .Case<math::SinOp>([&](auto) { return apply(Op::Sin); })
        .Case<math::CosOp>([&](auto) { return apply(Op::Cos); })
        .Case<math::ErfOp>([&](auto) { return apply(Op::Erf); })
        .Case<tile::RandomOp>([&](auto) { return apply(Op::Random); })
        .Default([](Operation *) { return std::nullopt; });
  }

  std::optional<NodeId> readConstant(arith::ConstantOp constant) {
    if (auto real = dyn_cast<FloatAttr>(constant.getValue()))
      return builder.constant(real.getValueAsDouble());
    auto integer = dyn_cast<IntegerAttr>(constant.getValue());
    if (!integer)
      return std::nullopt;
    if (constant.getType().isInteger(1))
      return builder.constant(integer.getValue().getBoolValue());
    return builder.constant(integer.getInt());
  }

  std::optional<NodeId> readElement(tile::ElementOp element) {
    auto view = views.find(element.getView());
    if (view == views.end())
      return std::nullopt;
    std::vector<std::string> axes;
    std::vector<NodeId> indices;
    for (auto [axis, index] : llvm::enumerate(element.getIndices())) {
      std::optional<NodeId> node = nodeOf(index);
      if (!node)
        return std::nullopt;
      axes.push_back(element.getView().getType().getExtentName(axis).str());
      indices.push_back(*node);
    }
    return builder.element(view->second, *scalarType(element.getType()), axes, indices);
  }

  /// a - (a / b) * b is how the language's a % b arrives.
  std::optional<NodeId> readSub(arith::SubIOp sub, ArrayRef<NodeId> in) {
    if (!sub.getType().isInteger(32))
      return std::nullopt;
    if (auto product = sub.getRhs().getDefiningOp<arith::MulIOp>())
      for (auto [quotient, divisor] : {std::pair(product.getLhs(), product.getRhs()),
                                       std::pair(product.getRhs(), product.getLhs())}) {
        auto division = quotient.getDefiningOp<arith::FloorDivSIOp>();
        if (division && division.getLhs() == sub.getLhs() && division.getRhs() == divisor)
          return builder.apply(Op::FloorMod, {in[0], *nodeOf(divisor)});
      }
    return builder.apply(Op::Sub, {in[0], in[1]});
  }

  std::optional<NodeId> readXor(arith::XOrIOp op, ArrayRef<NodeId> in) {
    if (!op.getType().isInteger(1))
      return std::nullopt;
    if (matchPattern(op.getRhs(), m_One()))
      return builder.apply(Op::Not, {in[0]});
    return builder.apply(Op::Ne, {in[0], in[1]});
  }

  std::optional<NodeId> readCompare(arith::CmpIOp compare, ArrayRef<NodeId> in) {
    auto apply = [&](Op kind) { return std::optional(builder.apply(kind, {in[0], in[1]})); };
    bool isBool = !compare.getLhs().getType().isInteger(32);
    switch (compare.getPredicate()) {
    case arith::CmpIPredicate::eq:
      return apply(Op::Eq);
    case arith::CmpIPredicate::ne:
      return apply(Op::Ne);
    case arith::CmpIPredicate::slt:
      return isBool ? std::nullopt : apply(Op::Lt);
    case arith::CmpIPredicate::sle:
      return isBool ? std::nullopt : apply(Op::Le);
    case arith::CmpIPredicate::sgt:
      return isBool ? std::nullopt : apply(Op::Gt);
    case arith::CmpIPredicate::sge:
      return isBool ? std::nullopt : apply(Op::Ge);
    case arith::CmpIPredicate::ult:
    case arith::CmpIPredicate::ule:
    case arith::CmpIPredicate::ugt:
    case arith::CmpIPredicate::uge:
      return std::nullopt;
    }
    return std::nullopt;
  }

  std::optional<NodeId> readCompare(arith::CmpFOp compare, ArrayRef<NodeId> in) {
    auto apply = [&](Op kind) { return std::optional(builder.apply(kind, {in[0], in[1]})); };
    auto negate = [&](Op kind) {
      return std::optional(builder.apply(Op::Not, {builder.apply(kind, {in[0], in[1]})}));
    };
    switch (compare.getPredicate()) {
    case arith::CmpFPredicate::AlwaysFalse:
      return builder.constant(false);
    case arith::CmpFPredicate::AlwaysTrue:
      return builder.constant(true);
    case arith::CmpFPredicate::OEQ:
      return apply(Op::Eq);
    case arith::CmpFPredicate::UNE:
      return apply(Op::Ne);
    case arith::CmpFPredicate::OLT:
      return apply(Op::Lt);
    case arith::CmpFPredicate::OLE:
      return apply(Op::Le);
    case arith::CmpFPredicate::OGT:
      return apply(Op::Gt);
    case arith::CmpFPredicate::OGE:
      return apply(Op::Ge);
    case arith::CmpFPredicate::UGE:
      return negate(Op::Lt);
    case arith::CmpFPredicate::UGT:
      return negate(Op::Le);
    case arith::CmpFPredicate::ULE:
      return negate(Op::Gt);
    case arith::CmpFPredicate::ULT:
      return negate(Op::Ge);
    case arith::CmpFPredicate::ONE:
    case arith::CmpFPredicate::UEQ:
    case arith::CmpFPredicate::ORD:
    case arith::CmpFPredicate::UNO:
      return std::nullopt;
    }
    return std::nullopt;
  }

  Builder builder;
  llvm::DenseMap<Value, NodeId> nodes;
  llvm::DenseMap<Value, std::string> views;
  size_t count = 0;
};

} // namespace

std::optional<predicate::Expression> expressionOf(func::FuncOp mask,
                                                  ArrayRef<std::string> parameterNames) {
  return BodyReader().read(mask, parameterNames);
}

std::vector<std::string> sourceNames(ValueRange values) {
  std::vector<std::string> names;
  for (auto [position, value] : llvm::enumerate(values)) {
    std::string name = "#" + std::to_string(position);
    auto argument = dyn_cast<BlockArgument>(value);
    auto function = argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : nullptr;
    if (function)
      if (auto given = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                             tile::TileDialect::nameAttr))
        name = given.str();
    names.push_back(name);
  }
  return names;
}

std::optional<predicate::Expression> maskOf(func::FuncOp kernel) {
  FlatSymbolRefAttr name;
  ValueRange parameters;
  kernel.walk([&](Operation *op) {
    if (auto loop = dyn_cast<tile::MaskedForOp>(op)) {
      name = loop.getFunctionAttr();
      parameters = loop.getParameters();
    } else if (auto visibility = dyn_cast<tile::VisibilityOp>(op)) {
      name = maskSeenBy(visibility);
      parameters = visibility.getParameters();
    }
    return name ? WalkResult::interrupt() : WalkResult::advance();
  });
  if (!name)
    return std::nullopt;
  auto mask = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(kernel, name);
  return mask ? expressionOf(mask, sourceNames(parameters)) : std::nullopt;
}

} // namespace ringc
