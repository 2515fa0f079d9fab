// Where the rounds of a loop begin and end in which something is visible.

#include "ringc/compiler/passes/gpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

/// Each warp asks for 32 rounds at once, a lane one, and all warps find the same.
LogicalResult Lowering::lowerVisibleRounds(block::VisibleRoundsOp op) {
  Value lower = scalars.lookup(op.getLower()), upper = scalars.lookup(op.getUpper()),
        step = scalars.lookup(op.getStep());
  Block &body = op.getBody().front();
  LogicalResult asked = success();
  Value many = mul(step, 32);
  auto search = scf::ForOp::create(
      builder, loc, lower, upper, many, ValueRange{upper, lower},
      [&](OpBuilder &, Location, Value first, ValueRange found) {
        auto select = [&](Value condition, Value a, Value b) -> Value {
          return arith::SelectOp::create(builder, loc, condition, a, b);
        };
        Value round = add(first, arith::MulIOp::create(builder, loc, lane, step));
        scalars[body.getArgument(0)] = round;
        asked = lowerBlock(body);
        Value shown = scalars.lookup(body.getTerminator()->getOperand(0));
        Value seen = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, shown, i32(0));
        Value lanes =
            intrinsic(builder.getI32Type(), "llvm.nvvm.vote.ballot.sync", {i32(-1), seen});
        Value any = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, lanes, i32(0));
        Value before = math::CountTrailingZerosOp::create(builder, loc, lanes),
              after = math::CountLeadingZerosOp::create(builder, loc, lanes);
        Value begin = add(first, arith::MulIOp::create(builder, loc, before, step));
        Value last = arith::SubIOp::create(builder, loc, i32(32), after);
        Value end = add(first, arith::MulIOp::create(builder, loc, last, step));
        Value isFirst =
            arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, found[0], upper);
        Value begins = arith::AndIOp::create(builder, loc, any, isFirst);
        scf::YieldOp::create(
            builder, loc, ValueRange{select(begins, begin, found[0]), select(any, end, found[1])});
      });
  keepRolled(search);
  scalars[op.getBegin()] = search.getResult(0);
  scalars[op.getEnd()] = search.getResult(1);
  return asked;
}
