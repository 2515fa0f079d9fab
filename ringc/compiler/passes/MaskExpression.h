#pragma once

#include "ringc/compiler/predicate/Expression.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/ArrayRef.h"

#include <optional>
#include <string>
#include <vector>

namespace ringc {

/// A mask takes b, h, i, j, queryRow and keyRow before its own parameters.
inline constexpr unsigned maskParametersBegin = 6;

/// The mask as a pure expression, its parameters called `parameterNames` (one for each argument
/// after the sixth). Nothing where the body holds an operation or a type that expressions lack:
/// such a mask is never known to be empty or full.
std::optional<predicate::Expression> expressionOf(mlir::func::FuncOp mask,
                                                  llvm::ArrayRef<std::string> parameterNames);

/// What the source calls these kernel arguments (`tile.name`); `#n` for the nth value where it is
/// no argument or has no name.
std::vector<std::string> sourceNames(mlir::ValueRange values);

/// The mask of the kernel's masked loop, before and after split-loops; of the first loop where
/// there are several. Nothing where there is no such loop, or no such expression.
std::optional<predicate::Expression> maskOf(mlir::func::FuncOp kernel);

} // namespace ringc
