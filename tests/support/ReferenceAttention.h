#pragma once

#include "ringc/Tensor.h"
#include "tests/support/ReferenceMask.h"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace ringc::reference {

/// Dense, row-major, four axes.
struct Array {
  Array() = default;
  explicit Array(std::array<int64_t, 4> extents)
      : shape(extents), data(size_t(extents[0] * extents[1] * extents[2] * extents[3])) {}

  double &at(int64_t i0, int64_t i1, int64_t i2, int64_t i3) {
    return data[size_t(((i0 * shape[1] + i1) * shape[2] + i2) * shape[3] + i3)];
  }
  double at(int64_t i0, int64_t i1, int64_t i2, int64_t i3) const {
    return const_cast<Array *>(this)->at(i0, i1, i2, i3);
  }

  std::array<int64_t, 4> shape{};
  std::vector<double> data;
};

/// The values of a float tensor of up to four axes, any strides; missing axes are added last.
Array arrayOf(const Tensor &tensor);

/// Row-major, each value rounded to the nearest of `dtype`, ties to even. The last 4 - rank axes
/// must have extent one and are dropped.
HostTensor tensorOf(const Array &array, DType dtype, int rank = 4);

enum class HeadMap {
  Blocked, ///< kv head = q head / (h_q / h_kv)
  Tiled,   ///< kv head = q head % h_kv
};

using ScoreFunction = std::function<double(double s, int b, int h, int64_t i, int64_t j)>;

/// The attention of a global sequence. Per pair, in this order: dot, scale, softcap, score, ALiBi,
/// bias, mask.
struct Problem {
  Array q; ///< [b, n_q, h_q, d]
  Array k; ///< [b, n_k, h_kv, d]
  Array v; ///< [b, n_k, h_kv, d_v]

  std::optional<Array> dout; ///< [b, n_q, h_q, d_v]; without it no gradients are computed

  std::optional<double> scale; ///< without it d^-1/2
  HeadMap headMap = HeadMap::Blocked;
  std::optional<double> softcap;
  ScoreFunction score;
  ScoreFunction scoreDerivative; ///< of `score` by s; without it central differences
  bool alibi = false;
  std::vector<double> alibiSlopes; ///< one a head; empty: 2^(-8 (h + 1) / h_q)
  std::optional<Array> bias;       ///< [b or 1, h_q or 1, n_q, n_k]
  Mask mask;
};

struct Result {
  Array out; ///< [b, n_q, h_q, d_v]
  Array lse; ///< [b, h_q, n_q, 1], natural logarithm
  Array dq;  ///< as q; empty without dout, as dk and dv
  Array dk;  ///< as k
  Array dv;  ///< as v
};

/// In double precision, O(n^2) time and O(n) memory, on a HostPool over batch and kv head, from
/// which the problem's functions are called; those must not throw.
/// Throws std::invalid_argument where shapes disagree.
Result attention(const Problem &problem);

/// What an eager implementation in `dtype` would give: inputs, P, dS and all results but lse are
/// rounded to it, everything else is f32. The bar for 16-bit kernels: err <= 2 * err of this.
Result plainAttention(const Problem &problem, DType dtype);

/// |actual - expected| / |expected|, Frobenius norms; just |actual| where expected is all zero.
/// NaN agrees with NaN and an infinity with itself; any other non-finite pair makes it infinite,
/// and so does a difference in shape.
double relativeError(const Array &actual, const Array &expected);

} // namespace ringc::reference
