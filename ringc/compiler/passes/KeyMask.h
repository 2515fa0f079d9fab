#pragma once

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ringc {

/// Which keys of a partial tile may hold anything, NaN too, because no query at all sees them.
///
/// A mask is a conjunction of terms. A term without i, h and queryRow speaks of the key alone. `j
/// <= i`, alone or in a disjunction, holds for the last query of the sequence, whatever the key.
/// Every other term may hide a key from all queries.
struct KeyMask {
  enum class Kind {
    None, ///< every key is seen: nothing is left out (all, causal, prefix)
    Keys, ///< what the terms of the key alone say: `function` (key padding, with causal or without)
    Window, ///< and other terms: a key that no query of this tile sees is left out of it (window,
            ///< documents)
  };
  Kind kind = Kind::None;
  /// The terms of the key alone, @<mask>.keys, with the mask's arguments; null where there are
  /// none.
  mlir::func::FuncOp function;
};

/// Looks at a scalar function whose calls are inlined; makes its function where the module does not
/// have it yet.
KeyMask keyMaskOf(mlir::func::FuncOp mask);

} // namespace ringc
