#pragma once

#include "ringc/transformer/RingTransformer.h"

#include <cstdint>
#include <string>

namespace ringc {

/// As PyTorch's AdamW has them.
struct AdamWOptions {
  double rate = 1e-3;                ///< `lr`: 0 or more
  double beta1 = 0.9, beta2 = 0.999; ///< of 0 to below 1
  double eps = 1e-8;                 ///< above 0
  double decay = 0.01;               ///< `weight_decay`, of all weights: 0 or more
};

/// AdamW (arXiv 1711.05101) of a model's weights (adamw.tile), which are f32 whatever the products
/// take. Ranks that step with the same gradients have the same weights.
class AdamW {
public:
  /// `model` outlives it. Throws InputError for options that cannot be.
  explicit AdamW(RingTransformer &model, const AdamWOptions &options = {});

  void step(const RingTransformerGradients &gradients);

  int64_t steps() const { return done; }
  /// From the next step on, 0 or more.
  void setRate(double rate);

  /// Writes weights, by their names, and the optimiser's state to a .safetensors file that appears,
  /// or replaces another, when it is complete; one rank does so. RingTransformerWeights::load
  /// reads it, too. Throws InputError, and then what was there is as it was.
  void save(const std::string &path) const;
  /// Goes on from there: model and optimiser, on every rank. Throws InputError naming the file and
  /// the tensor that is missing or has another shape, with both shapes; then nothing has changed.
  void load(const std::string &path);

private:
  RingTransformer &model;
  AdamWOptions options;
  SharedTensor mean, square; ///< as the weights lie
  int64_t done = 0;
};

} // namespace ringc
