// The rounds of a loop before the first tile in which something is visible, and after the last, are
// not entered: under a causal mask that is half of them, and each would wait for the others at a
// barrier to find out that there is nothing to do.

#include "ringc/compiler/passes/gpu/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace ringc;
using namespace ringc::gpu;

/// Bounds of the rounds between the first and the last visible one. Each warp asks for 32 rounds at
/// once, a lane one, and all warps find the same.
std::pair<Value, Value> Lowering::visibleRounds(const Pipeline &pipeline, scf::ForOp loop,
                                                Value lower, Value upper, Value step) {
  Value many = mul(step, 32);
  auto search = scf::ForOp::create(
      builder, loc, lower, upper, many, ValueRange{upper, lower},
      [&](OpBuilder &, Location, Value first, ValueRange found) {
        auto select = [&](Value condition, Value a, Value b) -> Value {
          return arith::SelectOp::create(builder, loc, condition, a, b);
        };
        Value round = add(first, arith::MulIOp::create(builder, loc, lane, step));
        Value seen = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne,
                                           visibleAt(pipeline, loop, round), i32(0));
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
  return {search.getResult(0), search.getResult(1)};
}
