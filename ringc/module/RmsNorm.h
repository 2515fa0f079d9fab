#pragma once

#include "ringc/module/ModuleBackend.h"

namespace ringc {

/// RMSNorm of rows: y = x / max(|x|, 1e-12) * sqrt(dim) * gamma (rms_norm.tile).
class RmsNorm {
public:
  /// `backend` outlives it.
  explicit RmsNorm(ModuleBackend &of) : backend(of) {}

  struct Forward {
    SharedTensor y;      ///< as x
    SharedTensor factor; ///< f32 [rows], what the backward needs of x's lengths
  };
  struct Backward {
    SharedTensor dx;     ///< as x
    SharedTensor dgamma; ///< f32 [1, dim], of this rank's rows
  };

  /// x [rows, dim] without gaps, gamma [1, dim], both of one type.
  Forward forward(const Tensor &x, const Tensor &gamma);
  Backward backward(const Tensor &x, const Tensor &gamma, const Tensor &factor, const Tensor &dy);

private:
  ModuleBackend &backend;
};

} // namespace ringc
