#include "tests/ring/semantics/Errors.h"

#include "ringc/attention/shared/Extents.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace ringc::test {

using reference::Array;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
enum { Out, Lse, Dq, Dk, Dv };

const Array &tensorOf(const reference::Result &result, size_t which) {
  return *std::array{&result.out, &result.lse, &result.dq, &result.dk, &result.dv}[which];
}

/// Of what is finite.
double rootMeanSquare(const Array &array) {
  double sum = 0;
  for (double value : array.data)
    sum += std::isfinite(value) ? value * value : 0;
  return array.data.empty() ? 0 : std::sqrt(sum / double(array.data.size()));
}

/// The rank that holds each row of [b, n], as [b * n + row].
std::vector<int> ranksOf(const Case &given, int64_t length, bool ofKeys) {
  std::vector<int> ranks(size_t(given.shape.batch * length));
  for (int rank = 0; rank < given.world; ++rank) {
    RankProblem part(given.options, given.world, rank, given.shape);
    Positions at = positions(part.layout, part.place(), part.rings.ringSize, length);
    BatchRange batch = part.batch();
    int64_t rows = ofKeys ? part.keyRows() : part.queryRows();
    for (int64_t b = batch.begin; b < batch.begin + batch.count; ++b)
      for (int64_t row = 0; row < rows; ++row)
        ranks[size_t(b * length + at(row))] = rank;
  }
  return ranks;
}

/// Sums over one rank's numbers.
struct Sums {
  double difference = 0, norm = 0, count = 0;
  bool broken = false;

  void add(double actual, double expected) {
    if (std::isfinite(actual) && std::isfinite(expected)) {
      difference += (actual - expected) * (actual - expected);
      norm += expected * expected;
      ++count;
    } else if (actual != expected && !(std::isnan(actual) && std::isnan(expected))) {
      broken = true;
    }
  }
  double error(double smallest) const {
    if (broken)
      return infinity;
    if (difference == 0)
      return 0;
    return std::sqrt(difference) / std::max(std::sqrt(norm), std::sqrt(count) * smallest);
  }
};

} // namespace

Judge::Judge(const Case &ofCase, const Data &data)
    : given(ofCase), problem(problemOf(ofCase, data)), right(reference::attention(problem)),
      seen(keysSeen(ofCase)) {
  auto [batch, queries, keys] = given.shape;
  double scale =
      std::abs(given.options.scale.value_or(1 / std::sqrt(double(given.options.headDim))));
  double dp = rootMeanSquare(*problem.dout) * rootMeanSquare(problem.v) *
              std::sqrt(double(given.valueDim()));
  double n = double(std::max<int64_t>(keys, 1));
  double group = double(given.options.heads / given.kvHeads());
  smallest[Lse] = 1;
  smallest[Dq] = scale * dp * rootMeanSquare(problem.k) / std::sqrt(n);
  smallest[Dk] = scale * dp * rootMeanSquare(problem.q) * std::sqrt(double(queries) * group) / n;
}

reference::Result Judge::plain() const {
  return reference::plainAttention(problem, given.options.dtype);
}

Errors Judge::whole(const reference::Result &actual) const {
  Errors errors{};
  for (size_t which = 0; which < errors.size(); ++which) {
    const Array &expect = tensorOf(right, which), &got = tensorOf(actual, which);
    Sums sums;
    for (size_t at = 0; at < expect.data.size(); ++at)
      sums.add(got.data[at], expect.data[at]);
    errors[which] = got.shape == expect.shape ? sums.error(smallest[which]) : infinity;
  }
  return errors;
}

Errors Judge::worstRank(const reference::Result &actual) const {
  Errors errors{};
  for (size_t which = 0; which < errors.size(); ++which) {
    const Array &expect = tensorOf(right, which), &got = tensorOf(actual, which);
    if (got.shape != expect.shape) {
      errors[which] = infinity;
      continue;
    }
    bool ofKeys = which == Dk || which == Dv;
    size_t rowAxis = which == Lse ? 2 : 1, headAxis = which == Lse ? 1 : 2;
    int64_t rows = expect.shape[rowAxis], heads = expect.shape[headAxis];
    std::vector<int> ranks = ranksOf(given, rows, ofKeys);
    std::vector<Sums> sums{size_t(given.world)};
    for (int64_t b = 0; b < expect.shape[0]; ++b)
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t head = 0; head < heads; ++head) {
          Sums &sum = sums[size_t(ranks[size_t(b * rows + row)])];
          bool blind = ofKeys ? !seen[size_t((b * heads + head) * rows + row)]
                              : right.lse.at(b, head, row, 0) == -infinity;
          for (int64_t c = 0; c < expect.shape[3]; ++c) {
            double x = which == Lse ? got.at(b, head, row, c) : got.at(b, row, head, c);
            double y = which == Lse ? expect.at(b, head, row, c) : expect.at(b, row, head, c);
            sum.add(x, y);
            if (blind && which != Lse && x != 0)
              sum.broken = true;
          }
        }
    double share = std::max(smallest[which], rootMeanSquare(expect));
    for (const Sums &sum : sums)
      errors[which] = std::max(errors[which], sum.error(share));
  }
  return errors;
}

void checkResult(const Case &given, const Data &data, const reference::Result &actual) {
  // As Attention.h has it: beyond logits of 100 the error is that of a logit in f32, 2^-24 of it.
  constexpr double f32Bar = 2e-5, usualLogits = 100;
  double logits = given.logitSpread * given.logitSpread; // their deviation, scaled as usual
  if (given.options.softcap)
    logits = std::min(logits, *given.options.softcap);
  Judge judge(given, data);
  Errors errors = judge.worstRank(actual), bars;
  bars.fill(f32Bar * std::max(1.0, logits / usualLogits));
  if (given.options.dtype != DType::F32) {
    Errors plain = judge.worstRank(judge.plain());
    // What is rounded once for a row moves all of its elements together: of few rows, one
    // implementation is luckier than another by chance.
    double unit = given.options.dtype == DType::F16 ? 0x1p-11 : 0x1p-8;
    auto luck = [&](int64_t length, int64_t heads) {
      double rows = double(given.shape.batch * length * heads) / given.world;
      return 2 * unit / std::sqrt(std::max(rows, 1.0));
    };
    for (size_t which = 0; which < bars.size(); ++which) {
      bool ofKeys = which == Dk || which == Dv;
      bars[which] = 2 * plain[which] + 1e-5 +
                    (ofKeys ? luck(given.shape.keyLength, given.kvHeads())
                            : luck(given.shape.queryLength, given.options.heads));
    }
  }
  for (size_t which = 0; which < errors.size(); ++which) {
    INFO(resultNames[which], ": ", errors[which], ", bar ", bars[which]);
    CHECK(errors[which] <= bars[which]);
  }
}

void checkCase(const Case &given, const Data &data) {
  INFO(given.name());
  reference::Result actual;
  REQUIRE_NOTHROW(actual = compute(given, data));
  checkResult(given, data, actual);
}

void checkCase(const Case &given) {
  uint64_t seed = freshSeed();
  INFO("RINGC_TEST_SEED=", seed);
  checkCase(given, randomData(given, seed));
}

} // namespace ringc::test
