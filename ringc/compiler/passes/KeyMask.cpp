#include "ringc/compiler/passes/KeyMask.h"

#include "ringc/compiler/passes/ScalarFunction.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;

namespace ringc {

namespace {

enum Argument : unsigned { Batch, Head, QueryPosition, KeyPosition, QueryRow, KeyRow };

struct Dependence {
  bool query = false;
  bool key = false;
};

/// What each value of a straight-line body depends on.
class Dependences {
public:
  explicit Dependences(func::FuncOp mask) {
    for (unsigned number : {Head, QueryPosition, QueryRow})
      of[mask.getArgument(number)].query = true;
    for (unsigned number : {KeyPosition, KeyRow})
      of[mask.getArgument(number)].key = true;
    for (Operation &op : mask.getBody().front()) {
      Dependence sum;
      for (Value operand : op.getOperands()) {
        Dependence one = of.lookup(operand);
        sum.query |= one.query;
        sum.key |= one.key;
      }
      for (Value result : op.getResults())
        of[result] = sum;
    }
  }
  Dependence operator[](Value value) const { return of.lookup(value); }

private:
  llvm::DenseMap<Value, Dependence> of;
};

/// What operations of this kind join `value` from, from left to right, each once.
template <class OpTy> SmallVector<Value> termsOf(Value value) {
  SmallVector<Value> open{value}, terms;
  llvm::DenseSet<Value> met;
  while (!open.empty()) {
    Value each = open.pop_back_val();
    if (!met.insert(each).second)
      continue;
    if (auto joined = each.getDefiningOp<OpTy>())
      open.append({joined.getRhs(), joined.getLhs()});
    else
      terms.push_back(each);
  }
  return terms;
}

/// j <= i
bool isCausal(Value term, func::FuncOp mask) {
  auto compare = term.getDefiningOp<arith::CmpIOp>();
  if (!compare)
    return false;
  Value i = mask.getArgument(QueryPosition), j = mask.getArgument(KeyPosition);
  switch (compare.getPredicate()) {
  case arith::CmpIPredicate::sle:
    return compare.getLhs() == j && compare.getRhs() == i;
  case arith::CmpIPredicate::sge:
    return compare.getLhs() == i && compare.getRhs() == j;
  default: // MLIR's predicates
    return false;
  }
}

/// A copy of `mask` that returns the conjunction of `terms`.
func::FuncOp conjunctionOf(func::FuncOp mask, ArrayRef<Value> terms, const Twine &name) {
  auto module = mask->getParentOfType<ModuleOp>();
  if (auto existing = module.lookupSymbol<func::FuncOp>(name.str()))
    return existing;
  OpBuilder builder(mask->getContext());
  builder.setInsertionPointAfter(mask);
  IRMapping mapping;
  auto function = cast<func::FuncOp>(builder.clone(*mask, mapping));
  function.setName(name.str());
  Operation *end = function.getBody().front().getTerminator();
  builder.setInsertionPoint(end);
  Value result = mapping.lookup(terms.front());
  for (Value term : terms.drop_front())
    result = arith::AndIOp::create(builder, end->getLoc(), result, mapping.lookup(term));
  end->setOperand(0, result);
  eraseUnused(function);
  return function;
}

/// j <= i or anything.
bool holdsForLastQuery(Value term, func::FuncOp mask) {
  return llvm::any_of(termsOf<arith::OrIOp>(term),
                      [&](Value each) { return isCausal(each, mask); });
}

} // namespace

KeyMask keyMaskOf(func::FuncOp mask) {
  Dependences dependences(mask);
  SmallVector<Value> ofKeys;
  SmallVector<Value> terms =
      termsOf<arith::AndIOp>(mask.getBody().front().getTerminator()->getOperand(0));
  KeyMask result;
  for (Value term : terms) {
    Dependence dependence = dependences[term];
    if (!dependence.query && dependence.key)
      ofKeys.push_back(term);
    else if (dependence.key && !holdsForLastQuery(term, mask))
      result.kind = KeyMask::Kind::Window;
  }
  if (!ofKeys.empty()) {
    result.function = conjunctionOf(mask, ofKeys, mask.getName() + ".keys");
    if (result.kind == KeyMask::Kind::None)
      result.kind = KeyMask::Kind::Keys;
  }
  return result;
}

} // namespace ringc
