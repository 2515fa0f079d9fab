#include "tools/ringc/Accuracy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace ringc::cli {

using reference::Array;

namespace {

constexpr size_t lseTensor = 1, dqTensor = 2, dkTensor = 3;

double rootMeanSquare(const std::vector<double> &values) {
  double sum = 0;
  for (double value : values)
    if (std::isfinite(value))
      sum += value * value;
  return values.empty() ? 0 : std::sqrt(sum / double(values.size()));
}

/// Of delta_i = sum over e of dout_ie * out_ie, as it is where its terms do not happen to cancel.
double deltaSize(const Array &out, const Array &dout) {
  std::vector<double> deltas, terms;
  int64_t width = out.shape[3];
  for (size_t row = 0; row * size_t(width) < out.data.size(); ++row) {
    auto at = [&](const Array &array) { return array.data.begin() + int64_t(row) * width; };
    deltas.push_back(std::inner_product(at(out), at(out) + width, at(dout), 0.0));
  }
  for (size_t i = 0; i < out.data.size(); ++i)
    terms.push_back(out.data[i] * dout.data[i]);
  return std::max(rootMeanSquare(deltas), rootMeanSquare(terms) * std::sqrt(double(width)));
}

Array arrayOr(const HostTensor &tensor) {
  return tensor.rank() ? reference::arrayOf(tensor) : Array();
}

} // namespace

Results::Results(const reference::Result &reference)
    : out(reference.out), lse(reference.lse), dq(reference.dq), dk(reference.dk), dv(reference.dv) {
}

Results::Results(const HostAttentionRing::Forward &forward,
                 const HostAttentionRing::Gradients &gradients)
    : out(arrayOr(forward.out)), lse(arrayOr(forward.lse)), dq(arrayOr(gradients.dq)),
      dk(arrayOr(gradients.dk)), dv(arrayOr(gradients.dv)) {}

const Array &Results::operator[](size_t tensor) const {
  return *std::array{&out, &lse, &dq, &dk, &dv}[tensor];
}

/// Batch entries and rows of an axis.
struct ErrorMeasure::Part {
  BatchRange batch;
  int axis;
  Positions at;
  int64_t rows;
};

ErrorMeasure::ErrorMeasure(const reference::Problem &problem, const reference::Result &result)
    : expected(result), perElement{} {
  double scale = std::abs(problem.scale.value_or(1 / std::sqrt(double(problem.q.shape[3]))));
  double delta = problem.dout ? deltaSize(expected.out, *problem.dout) : 0;
  perElement[lseTensor] = 1;
  perElement[dqTensor] = scale * delta * rootMeanSquare(problem.k.data);
  // A key's p add up to the queries that there are for it, and their squares to no more.
  double queries = double(problem.q.shape[1] * problem.q.shape[2]) /
                   double(std::max<int64_t>(1, problem.k.shape[1] * problem.k.shape[2]));
  perElement[dkTensor] =
      scale * delta * rootMeanSquare(problem.q.data) * std::sqrt(std::max(1.0, queries));
}

double ErrorMeasure::measure(const Array &actual, size_t tensor, const Part &part) const {
  const Array &right = expected[tensor];
  if (actual.shape != right.shape)
    return std::numeric_limits<double>::infinity();
  double difference = 0, norm = 0, count = 0;
  std::array<int64_t, 4> begin{}, end = right.shape;
  begin[0] = part.batch.begin;
  end[0] = part.batch.begin + part.batch.count;
  end[size_t(part.axis)] = part.rows;
  for (int64_t i0 = begin[0]; i0 < end[0]; ++i0)
    for (int64_t i1 = 0; i1 < end[1]; ++i1)
      for (int64_t i2 = 0; i2 < end[2]; ++i2)
        for (int64_t i3 = 0; i3 < end[3]; ++i3) {
          int64_t row1 = part.axis == 1 ? part.at(i1) : i1,
                  row2 = part.axis == 2 ? part.at(i2) : i2;
          double x = actual.at(i0, row1, row2, i3), y = right.at(i0, row1, row2, i3);
          if (x == y || (std::isnan(x) && std::isnan(y))) {
            if (std::isfinite(y)) {
              norm += y * y;
              ++count;
            }
            continue;
          }
          if (!std::isfinite(x) || !std::isfinite(y))
            return std::numeric_limits<double>::infinity();
          difference += (x - y) * (x - y);
          norm += y * y;
          ++count;
        }
  if (difference == 0)
    return 0;
  double size = std::max(std::sqrt(norm), perElement[tensor] * std::sqrt(count));
  return size == 0 ? std::numeric_limits<double>::infinity() : std::sqrt(difference) / size;
}

double ErrorMeasure::whole(const Results &actual, size_t tensor) const {
  const Array &right = expected[tensor];
  int axis = tensor == lseTensor ? 2 : 1;
  return measure(actual[tensor], tensor,
                 {{0, right.shape[0]}, axis, Positions{}, right.shape[size_t(axis)]});
}

double ErrorMeasure::ofRank(const Results &actual, size_t tensor, const RankProblem &rank) const {
  bool ofKeys = tensor >= dkTensor;
  int64_t length = ofKeys ? rank.global.keyLength : rank.global.queryLength;
  Positions at = positions(rank.layout, rank.place(), rank.rings.ringSize, length);
  return measure(
      actual[tensor], tensor,
      {rank.batch(), tensor == lseTensor ? 2 : 1, at, ofKeys ? rank.keyRows() : rank.queryRows()});
}

} // namespace ringc::cli
