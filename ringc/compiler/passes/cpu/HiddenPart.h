#pragma once

#include "ringc/compiler/dialect/Tile.h"
#include "ringc/compiler/passes/cpu/LaneAnalysis.h"

#include <optional>

namespace ringc::cpu {

/// A part of a partial tile that the mask makes worthless. Of a product: elements of the result
/// that are selected away by `seen`, or terms of the sum that are 0 wherever `seen` is false. Of
/// what is computed element by element: what only such products, and reductions to which it is the
/// identity, would read.
///
///     s = dot(q, k^T)       ... select(seen, ... s ..., -inf)        Result
///     t = select(seen, s, -inf), max(t); p = exp2(t - shift), sum(p) Result
///     acc += dot(p, v)      p = exp2(fma(select(seen, t, -inf) - shift, 1.44, base))
///                                                                    Contracted: p is 0 where
///                                                                    hidden
///     dv += dot(p^T, dout)  p = select(seen, exp2(t), 0)             Contracted
///
/// On a causal diagonal that is nearly half of the tile. Where `shift` or `base` is NaN so is the
/// row of the result, whatever part of it is summed.
struct HiddenPart {
  enum class Where : uint8_t { Result, Contracted };
  Where where;
  /// Asks what the mask shows of a window.
  tile::VisibilityOp visibility;

  /// Whether another part is hidden for each row (axis 0), each column (axis 1) of the result.
  bool changesAlong(int resultAxis) const {
    return where == Where::Result || resultAxis == operand;
  }
  /// The axis of `seen` (0 queries, 1 keys) that an axis of the result is.
  int seenAxis(int resultAxis) const { return crossed ? 1 - resultAxis : resultAxis; }

  int operand = 0;         ///< Contracted: which one is 0 where hidden
  bool crossed = false;    ///< that one is `seen` transposed
  bool readAsZero = false; ///< Result of an elementwise operation: a product sums other terms
};

/// Nothing outside the partial case of a loop that split-loops made, and nothing where somebody
/// looks at what is hidden.
std::optional<HiddenPart> hiddenPartOf(tile::DotOp dot);

/// Of the elementwise operations and the reductions of a block those that may leave out the rows
/// that are hidden from a range of lanes. Such a tile is unknown there: who reads it element by
/// element leaves out the same, and so does a product whose ranges are of the same lanes; another
/// product finds zeros, where that is what they are.
llvm::DenseMap<mlir::Operation *, HiddenPart> hiddenRowsOf(mlir::Block &block,
                                                           const LaneAnalysis &lanes);

} // namespace ringc::cpu
