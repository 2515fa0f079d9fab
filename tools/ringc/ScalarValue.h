#pragma once

#include "ringc/attention/Attention.h"
#include "ringc/compiler/frontend/Ast.h"

#include <cstdint>
#include <span>

namespace ringc::cli {

// What the tile language does with scalars: i32 and bool exactly, f32 in double precision, before
// it is rounded. An i32 is an int64_t in its range; a view is a Tensor.

double realOf(const ArgumentValue &value); ///< of an i32, too
int64_t integerOf(const ArgumentValue &value);
bool truthOf(const ArgumentValue &value);

/// Of two i32, two f32 or two bool.
ArgumentValue binary(frontend::BinaryOp op, const ArgumentValue &a, const ArgumentValue &b);
ArgumentValue negated(const ArgumentValue &value);

/// A builtin that scalars have; `isReal` says that its result is an f32.
ArgumentValue builtin(frontend::Builtin which, std::span<const ArgumentValue> arguments,
                      bool isReal);

/// The element at `index`.
ArgumentValue load(const Tensor &tensor, std::span<const int64_t> index);

} // namespace ringc::cli
