#include "tests/support/ReferenceAttention.h"

#include "ringc/Float16.h"
#include "ringc/driver/HostPool.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

// Clang's sanitizers instrument the resolvers that clones need.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_WIDE_VECTORS                                                                           \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_WIDE_VECTORS
#endif

namespace ringc::reference {

namespace {

/// y += a * x
FOR_WIDE_VECTORS void addScaled(double *y, double a, const double *x, int64_t count) {
  for (int64_t index = 0; index < count; ++index)
    y[index] += a * x[index];
}
FOR_WIDE_VECTORS void addScaled(float *y, float a, const float *x, int64_t count) {
  for (int64_t index = 0; index < count; ++index)
    y[index] += a * x[index];
}

enum class Rounding { None, F16, BF16 };

template <typename Real> Real rounded(Real value, Rounding rounding) {
  switch (rounding) {
  case Rounding::None:
    return value;
  case Rounding::F16:
    return Real(floatFromF16(f16FromFloat(float(value))));
  case Rounding::BF16:
    return Real(floatFromBF16(bf16FromFloat(float(value))));
  }
  return value;
}

template <typename Real> struct Matrix {
  Matrix(int64_t rowCount, int64_t columnCount)
      : rows(rowCount), columns(columnCount), data(size_t(rowCount * columnCount)) {}

  Real *row(int64_t index) { return data.data() + index * columns; }
  const Real *row(int64_t index) const { return data.data() + index * columns; }

  Matrix transposed() const {
    Matrix result(columns, rows);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c)
        result.row(c)[r] = row(r)[c];
    return result;
  }

  int64_t rows, columns;
  std::vector<Real> data;
};

/// One head of a [b, n, h, d] array.
template <typename Real> Matrix<Real> headOf(const Array &array, int b, int h, Rounding rounding) {
  Matrix<Real> result(array.shape[1], array.shape[3]);
  for (int64_t n = 0; n < result.rows; ++n)
    for (int64_t d = 0; d < result.columns; ++d)
      result.row(n)[d] = rounded(Real(array.at(b, n, h, d)), rounding);
  return result;
}

/// One row times every column in [begin, end) of `matrix`.
template <typename Real>
void rowTimes(std::vector<Real> &product, const Real *row, const Matrix<Real> &matrix,
              int64_t begin, int64_t end) {
  std::fill(product.begin() + begin, product.begin() + end, Real(0));
  for (int64_t r = 0; r < matrix.rows; ++r)
    addScaled(product.data() + begin, row[r], matrix.row(r) + begin, end - begin);
}

double derivativeOf(const Problem &problem, double s, int b, int h, int64_t i, int64_t j) {
  if (problem.scoreDerivative)
    return problem.scoreDerivative(s, b, h, i, j);
  double step = 6e-6 * std::max(1.0, std::abs(s)); // cube root of double's epsilon
  double above = problem.score(s + step, b, h, i, j), below = problem.score(s - step, b, h, i, j);
  return above == below ? 0 : (above - below) / (2 * step); // both may be -inf
}

/// A scaled dot product becomes the logit that the softmax sees.
double logitOf(const Problem &problem, double s, int b, int h, int64_t i, int64_t j) {
  if (problem.softcap)
    s = *problem.softcap * std::tanh(s / *problem.softcap);
  if (problem.score)
    s = problem.score(s, b, h, i, j);
  if (problem.alibi)
    s -= (problem.alibiSlopes.empty() ? std::exp2(-8.0 * (h + 1) / double(problem.q.shape[2]))
                                      : problem.alibiSlopes[size_t(h)]) *
         double(std::abs(i - j));
  if (problem.bias) {
    const Array &bias = *problem.bias;
    int64_t row = i - (problem.k.shape[1] - problem.q.shape[1]);
    s += bias.at(bias.shape[0] == 1 ? 0 : b, bias.shape[1] == 1 ? 0 : h, row, j);
  }
  return s;
}

/// Of logitOf, by s.
double slopeOf(const Problem &problem, double s, int b, int h, int64_t i, int64_t j) {
  double slope = 1;
  if (problem.softcap) {
    double t = std::tanh(s / *problem.softcap);
    slope = 1 - t * t;
    s = *problem.softcap * t;
  }
  if (problem.score)
    slope *= derivativeOf(problem, s, b, h, i, j);
  return slope;
}

/// One query head. Gradients of k and v are this head's own; the caller sums them over a group.
template <typename Real> class Head {
public:
  Head(const Problem &of, int batch, int head, int kvHead, Rounding to)
      : problem(of), b(batch), h(head), rounding(to), q(headOf<Real>(of.q, b, h, to)),
        k(headOf<Real>(of.k, b, kvHead, to)), v(headOf<Real>(of.v, b, kvHead, to)),
        kTransposed(k.transposed()),
        scale(Real(of.scale.value_or(1 / std::sqrt(double(q.columns))))), scores(size_t(k.rows)),
        probabilities(size_t(k.rows)), seen(size_t(k.rows)) {}

  void forward(Result &result) {
    std::vector<Real> sum(size_t(v.columns));
    for (int64_t row = 0; row < q.rows; ++row) {
      double lse = softmax(row);
      result.lse.at(b, h, row, 0) = lse;
      std::ranges::fill(sum, Real(0));
      for (int64_t j = begin; j < end; ++j)
        if (seen[size_t(j)])
          addScaled(sum.data(), rounded(probabilities[size_t(j)], rounding), v.row(j), v.columns);
      for (int64_t c = 0; c < v.columns; ++c)
        result.out.at(b, row, h, c) = double(rounded(sum[size_t(c)], rounding));
    }
  }

  void backward(Matrix<Real> &dk, Matrix<Real> &dv, Array &dq) {
    Matrix<Real> dout = headOf<Real>(*problem.dout, b, h, rounding);
    Matrix<Real> vTransposed = v.transposed();
    std::vector<Real> dp(size_t(k.rows)), sum(size_t(q.columns));
    for (int64_t row = 0; row < q.rows; ++row) {
      softmax(row);
      rowTimes(dp, dout.row(row), vTransposed, begin, end);
      Real delta = 0;
      for (int64_t j = begin; j < end; ++j)
        if (seen[size_t(j)])
          delta += rounded(probabilities[size_t(j)], rounding) * dp[size_t(j)];

      std::ranges::fill(sum, Real(0));
      for (int64_t j = begin; j < end; ++j) {
        if (!seen[size_t(j)])
          continue;
        Real p = rounded(probabilities[size_t(j)], rounding);
        Real slope = Real(slopeOf(problem, double(scores[size_t(j)]), b, h, positionOf(row), j));
        Real ds = rounded(p * (dp[size_t(j)] - delta) * slope, rounding);
        addScaled(sum.data(), ds, k.row(j), k.columns);
        addScaled(dk.row(j), scale * ds, q.row(row), q.columns);
        addScaled(dv.row(j), p, dout.row(row), v.columns);
      }
      for (int64_t c = 0; c < q.columns; ++c)
        dq.at(b, row, h, c) = double(rounded(scale * sum[size_t(c)], rounding));
    }
  }

private:
  int64_t positionOf(int64_t row) const { return row + k.rows - q.rows; }

  /// Fills `seen`, `scores` (scaled dot products) and `probabilities` for the keys in [begin, end),
  /// outside which this row sees none. Returns the row's lse.
  double softmax(int64_t row) {
    begin = k.rows, end = 0;
    for (int64_t j = 0; j < k.rows; ++j) {
      seen[size_t(j)] = visible(problem.mask, k.rows, b, h, positionOf(row), j);
      if (seen[size_t(j)]) {
        begin = std::min(begin, j);
        end = j + 1;
      }
    }
    begin = std::min(begin, end);

    rowTimes(scores, q.row(row), kTransposed, begin, end);
    constexpr Real infinity = std::numeric_limits<Real>::infinity();
    Real maximum = -infinity;
    bool hasNaN = false;
    for (int64_t j = begin; j < end; ++j) {
      if (!seen[size_t(j)])
        continue;
      scores[size_t(j)] *= scale;
      Real logit = Real(logitOf(problem, double(scores[size_t(j)]), b, h, positionOf(row), j));
      probabilities[size_t(j)] = logit;
      maximum = std::max(maximum, logit);
      hasNaN = hasNaN || std::isnan(logit);
    }
    if (maximum == -infinity && !hasNaN) { // no key, or none with a finite logit: as if masked
      end = begin;
      return -std::numeric_limits<double>::infinity();
    }

    Real total = 0;
    for (int64_t j = begin; j < end; ++j)
      if (seen[size_t(j)])
        total += probabilities[size_t(j)] = std::exp(probabilities[size_t(j)] - maximum);
    for (int64_t j = begin; j < end; ++j)
      probabilities[size_t(j)] /= total;
    return double(maximum + std::log(total));
  }

  const Problem &problem;
  int b, h;
  Rounding rounding;
  Matrix<Real> q, k, v, kTransposed;
  Real scale;
  std::vector<Real> scores, probabilities;
  std::vector<uint8_t> seen;
  int64_t begin = 0, end = 0;
};

void require(bool holds, const char *what) {
  if (!holds)
    throw std::invalid_argument(std::string("reference attention: ") + what);
}

void checkShapes(const Problem &problem) {
  const auto &q = problem.q.shape, &k = problem.k.shape, &v = problem.v.shape;
  require(k[0] == q[0] && v[0] == q[0], "q, k and v need one batch size");
  require(k[1] == v[1] && k[2] == v[2], "k and v need one length and one number of heads");
  require(q[3] == k[3], "q and k need one head dim");
  require(k[2] > 0 ? q[2] % k[2] == 0 : q[2] == 0, "h_q must be a multiple of h_kv");
  if (problem.dout)
    require(problem.dout->shape == std::array{q[0], q[1], q[2], v[3]}, "dout needs out's shape");
  if (problem.bias) {
    const auto &bias = problem.bias->shape;
    require(bias[0] == 1 || bias[0] == q[0], "bias needs a batch of 1 or b");
    require(bias[1] == 1 || bias[1] == q[2], "bias needs 1 or h_q heads");
    require(bias[2] == q[1] && bias[3] == k[1], "bias needs n_q rows and n_k columns");
  }
  const Mask &mask = problem.mask;
  require(mask.keyMask.empty() || int64_t(mask.keyMask.size()) == k[0] * k[1],
          "the key mask needs b * n_k values");
  require(mask.cuSeqlens.empty() || (mask.cuSeqlens.front() == 0 && mask.cuSeqlens.back() == k[1] &&
                                     std::ranges::is_sorted(mask.cuSeqlens) && q[1] <= k[1]),
          "cu_seqlens must rise from 0 to n_k, and n_q may not exceed n_k");
}

template <typename Real> Result compute(const Problem &problem, Rounding rounding) {
  checkShapes(problem);
  int batches = int(problem.q.shape[0]), heads = int(problem.q.shape[2]);
  int kvHeads = int(problem.k.shape[2]);
  int64_t queries = problem.q.shape[1], keys = problem.k.shape[1];
  int64_t d = problem.q.shape[3], dv = problem.v.shape[3];

  Result result{.out = Array({batches, queries, heads, dv}),
                .lse = Array({batches, heads, queries, 1}),
                .dq = {},
                .dk = {},
                .dv = {}};
  if (problem.dout) {
    result.dq = Array(problem.q.shape);
    result.dk = Array(problem.k.shape);
    result.dv = Array(problem.v.shape);
  }
  auto kvHeadOf = [&](int h) {
    return problem.headMap == HeadMap::Blocked ? h / (heads / kvHeads) : h % kvHeads;
  };

  HostPool pool;
  pool.forEach(int64_t(batches) * kvHeads, [&](int64_t item) {
    int b = int(item / kvHeads), hkv = int(item % kvHeads);
    Matrix<Real> dkSum(problem.dout ? keys : 0, d), dvSum(problem.dout ? keys : 0, dv);
    for (int h = 0; h < heads; ++h) {
      if (kvHeadOf(h) != hkv)
        continue;
      Head<Real> head(problem, b, h, hkv, rounding);
      head.forward(result);
      if (problem.dout)
        head.backward(dkSum, dvSum, result.dq);
    }
    for (int64_t j = 0; j < dkSum.rows; ++j) {
      for (int64_t c = 0; c < d; ++c)
        result.dk.at(b, j, hkv, c) = double(rounded(dkSum.row(j)[c], rounding));
      for (int64_t c = 0; c < dv; ++c)
        result.dv.at(b, j, hkv, c) = double(rounded(dvSum.row(j)[c], rounding));
    }
  });
  return result;
}

} // namespace

Result attention(const Problem &problem) { return compute<double>(problem, Rounding::None); }

Result plainAttention(const Problem &problem, DType dtype) {
  switch (dtype) {
  case DType::F32:
    return compute<float>(problem, Rounding::None);
  case DType::F16:
    return compute<float>(problem, Rounding::F16);
  case DType::BF16:
    return compute<float>(problem, Rounding::BF16);
  case DType::I32:
  case DType::I64:
  case DType::Bool:
    break;
  }
  throw std::invalid_argument("reference attention: not a float type");
}

} // namespace ringc::reference
