#pragma once

#include "tests/support/ReferenceModule.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ringc::reference {

/// A transformer on whole sequences, with weights by the names of ring-attention-pytorch.
struct TransformerProblem {
  int64_t depth = 1, dim = 1, numTokens = 1;
  /// Heads, positions, head map, softcap and mask of each layer; tokens and weights are not read.
  std::vector<ModuleProblem> layers;

  std::vector<std::vector<int64_t>> tokens; ///< of each entry
  std::vector<std::vector<int64_t>> labels; ///< below 0: does not count

  std::map<std::string, Array, std::less<>> weights; ///< matrices [m, n, 1, 1], others [n, 1, 1, 1]

  /// What an eager implementation of this type gives: each result between is rounded to it.
  std::optional<DType> rounded;
};

struct TransformerResult {
  Array logits;                                        ///< [b, n, num_tokens, 1]
  double loss = 0;                                     ///< the mean over labels that count
  std::map<std::string, Array, std::less<>> gradients; ///< of the loss, as the weights
};

TransformerResult transformer(const TransformerProblem &problem);

} // namespace ringc::reference
