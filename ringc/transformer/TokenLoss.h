#pragma once

#include "ringc/transformer/TransformerLayers.h"

#include <cstdint>
#include <span>
#include <vector>

namespace ringc {

/// Logits and their cross entropy (cross_entropy.tile), of so many rows at a time that no more
/// logits are there at once than the options allow. Where one piece is enough it is kept for the
/// backward; else they are computed once more.
class TokenLoss {
public:
  /// `layers` and `backend` outlive it.
  TokenLoss(const RingTransformerOptions &options, TransformerLayers &layers,
            ModuleBackend &backend);

  /// What a forward leaves for its backward.
  struct Saved {
    TransformerLayers::Head head;
    SharedTensor labels, lse; ///< i32, f32 [rows]
    SharedTensor dlogits;     ///< of all rows, or of none
  };

  /// The sum of the losses of this rank's rows, x [.., dim].
  double forward(const SharedTensor &x, std::span<const int32_t> labels, Saved &saved);
  /// Of that sum, which 16-bit numbers hold: gives the gradient of x, [rows, dim], and writes those
  /// of the weights.
  SharedTensor backward(const Saved &saved, const Tensor &gradients);

private:
  int64_t rowsAtOnce() const;
  void entropy(const Saved &saved, int64_t row, const Tensor &logits, const Tensor &losses);
  /// Where the logits are.
  void gradient(const Saved &saved, int64_t row, const Tensor &logits);

  RingTransformerOptions asked;
  TransformerLayers &layers;
  ModuleBackend &backend;
};

} // namespace ringc
