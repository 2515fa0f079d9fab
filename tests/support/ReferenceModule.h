#pragma once

#include "tests/support/ReferenceAttention.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace ringc::reference {

/// The attention module on whole tensors: RMSNorm, q, k and v, rotary, attention, projection.
struct ModuleProblem {
  int64_t heads = 1, kvHeads = 1, dimHead = 1;
  std::optional<double> rotaryTheta;           ///< without it nothing turns
  std::vector<std::vector<int64_t>> positions; ///< of each entry's rows, for rotary
  std::optional<double> softcap;
  HeadMap headMap = HeadMap::Tiled;
  Mask mask;

  Array tokens;               ///< [b, n, dim, 1]
  std::optional<Array> gamma; ///< [dim, 1, 1, 1]; without it tokens are not normalised
  Array toQkv;                ///< [(heads + 2 kvHeads) * dimHead, dim, 1, 1]
  Array toOut;                ///< [dim, heads * dimHead, 1, 1]
  Array dout;                 ///< as tokens

  /// What an eager implementation of this type gives: each result between is rounded to it.
  std::optional<DType> rounded;
};

struct ModuleResult {
  Array out, dtokens; ///< as tokens
  Array dgamma, dtoQkv, dtoOut;
};

/// In double precision, or rounded.
ModuleResult attentionModule(const ModuleProblem &problem);

} // namespace ringc::reference
