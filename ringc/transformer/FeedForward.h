#pragma once

#include "ringc/module/ModuleBackend.h"
#include "ringc/module/RmsNorm.h"

#include <memory>

namespace ringc {

/// Of a feed-forward, in the backend's memory: weights in the module's type, or their gradients in
/// f32.
struct FeedForwardWeights {
  Tensor gamma;   ///< [1, dim]
  Tensor in;      ///< [inner, dim]
  Tensor inBias;  ///< [1, inner]
  Tensor out;     ///< [dim, inner]
  Tensor outBias; ///< [1, dim]
};

/// x + W2 gelu(W1 norm(x) + b1) + b2: RMSNorm, two linear layers with biases and the exact GELU
/// between them, on a residual stream. Each row is by itself, so that ranks need nothing of each
/// other.
class FeedForward {
public:
  /// `backend` outlives it.
  FeedForward(F32Products f32, ModuleBackend &backend);

  /// What a forward leaves for its backward.
  struct Saved {
    SharedTensor x, normalised, factor; ///< [rows, dim]; f32 [rows]
    SharedTensor hidden, activated;     ///< [rows, inner], hidden without its bias
  };
  struct Forward {
    SharedTensor out; ///< as x
    Saved saved;
  };

  /// x [rows, dim] without gaps.
  Forward forward(const FeedForwardWeights &weights, const SharedTensor &x);
  /// Writes the gradients of the weights, of this rank's rows; gives that of x.
  SharedTensor backward(const Saved &saved, const FeedForwardWeights &weights, const Tensor &dy,
                        const FeedForwardWeights &gradients);

private:
  ModuleBackend &backend;
  RmsNorm norm;
  std::unique_ptr<Products> products;
};

/// sum = x + branch, of one shape and type without gaps; `sum` may be either.
void addResidual(ModuleBackend &backend, const Tensor &x, const Tensor &branch, const Tensor &sum);

} // namespace ringc
