#pragma once

#include "ringc/compiler/predicate/Builder.h"

#include <random>

namespace ringc::predicate::testing {

/// Draws expressions over the variables, the parameters `p` (i32), `x` (f32), `flag` (bool) and the
/// views `table` (i32 [H, Nk]), `slope` (f32 [H]), `keep` (bool [Nk]).
class RandomExpression {
public:
  explicit RandomExpression(std::mt19937 &generator) : random(generator) {}

  Expression mask(int depth) { return builder.build(draw(ScalarType::Bool, depth)); }

private:
  int below(int bound) { return std::uniform_int_distribution<int>(0, bound - 1)(random); }
  NodeId draw(ScalarType type, int depth);
  NodeId leaf(ScalarType type);

  std::mt19937 &random;
  Builder builder;
};

} // namespace ringc::predicate::testing
