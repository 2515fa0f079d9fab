#include "tests/support/ReferenceTransformer.h"

#include "tests/support/ReferenceMatrix.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ringc::reference {

namespace {

Matrix sum(const Matrix &a, const Matrix &b) {
  Matrix made = a;
  for (size_t i = 0; i < made.data.size(); ++i)
    made.data[i] += b.data[i];
  return made;
}

std::vector<double> columnSums(const Matrix &a) {
  std::vector<double> sums(size_t(a.columns));
  for (int64_t r = 0; r < a.rows; ++r)
    for (int64_t c = 0; c < a.columns; ++c)
      sums[size_t(c)] += a.at(r, c);
  return sums;
}

double normalShare(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }
double geluSlope(double x) {
  return normalShare(x) + x * std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
}

class Transformer {
public:
  explicit Transformer(const TransformerProblem &given)
      : problem(given), batch(int64_t(given.tokens.size())),
        length(int64_t(given.tokens[0].size())) {}

  TransformerResult run() {
    for (const auto &[name, weight] : problem.weights)
      result.gradients[name] = Array(weight.shape);
    std::vector<Matrix> streams = {embedded()}, between; // before each layer, and within it
    for (int64_t layer = 0; layer < problem.depth; ++layer) {
      ModuleResult attention = attend(layer, streams.back(), Matrix(rows(), problem.dim));
      between.push_back(round(sum(streams.back(), matrixOf(attention.out))));
      streams.push_back(feedForward(layer, between.back()));
    }
    Matrix y = round(rmsNorm(streams.back(), vector("to_logits.0.gamma")));
    Matrix logits = round(product(y, transposed(matrix("to_logits.1.weight"))));
    result.logits = Array({batch, length, problem.numTokens, 1});
    result.logits.data = logits.data;

    Matrix dlogits = round(lossGradient(logits));
    add("to_logits.1.weight", product(transposed(dlogits), y));
    Matrix d = round(rmsNormGradient(streams.back(), vector("to_logits.0.gamma"),
                                     round(product(dlogits, matrix("to_logits.1.weight"))),
                                     gradient("to_logits.0.gamma")));
    for (int64_t layer = problem.depth - 1; layer >= 0; --layer) {
      d = feedForwardGradient(layer, between[size_t(layer)], d);
      ModuleResult attention = attend(layer, streams[size_t(layer)], d);
      add(name(layer, "0.to_qkv.0.gamma"), attention.dgamma);
      add(name(layer, "0.to_qkv.1.weight"), attention.dtoQkv);
      add(name(layer, "0.to_out.weight"), attention.dtoOut);
      d = round(sum(d, matrixOf(attention.dtokens)));
    }
    std::vector<double> &table = gradient("token_emb.weight");
    for (int64_t r = 0; r < rows(); ++r)
      for (int64_t c = 0; c < problem.dim; ++c)
        table[size_t(tokenOf(r) * problem.dim + c)] += d.at(r, c);
    for (auto &[name, each] : result.gradients)
      for (double &number : each.data)
        number = counted == 0 ? 0 : number / double(counted);
    return std::move(result);
  }

private:
  int64_t rows() const { return batch * length; }
  int64_t tokenOf(int64_t r) const {
    return problem.tokens[size_t(r / length)][size_t(r % length)];
  }
  Matrix round(Matrix matrix) const {
    return problem.rounded ? rounded(std::move(matrix), *problem.rounded) : matrix;
  }
  static std::string name(int64_t layer, const char *rest) {
    return "layers." + std::to_string(layer) + "." + rest;
  }
  const std::vector<double> &vector(const std::string &which) const {
    return problem.weights.at(which).data;
  }
  Matrix matrix(const std::string &which) const {
    const Array &of = problem.weights.at(which);
    return {of.shape[0], of.shape[1], of.data};
  }
  std::vector<double> &gradient(const std::string &which) {
    return result.gradients.at(which).data;
  }
  void add(const std::string &which, const Matrix &part) { add(which, part.data); }
  void add(const std::string &which, const Array &part) { add(which, part.data); }
  void add(const std::string &which, const std::vector<double> &part) {
    std::ranges::transform(gradient(which), part, gradient(which).begin(), std::plus());
  }
  Array arrayOf(const Matrix &stream) const {
    Array made({batch, length, problem.dim, 1});
    made.data = stream.data;
    return made;
  }
  Matrix matrixOf(const Array &stream) const { return {rows(), problem.dim, stream.data}; }

  Matrix embedded() const {
    Matrix table = matrix("token_emb.weight"), x(rows(), problem.dim);
    for (int64_t r = 0; r < rows(); ++r)
      for (int64_t c = 0; c < problem.dim; ++c)
        x.at(r, c) = table.at(tokenOf(r), c);
    return x;
  }

  ModuleResult attend(int64_t layer, const Matrix &x, const Matrix &dy) const {
    ModuleProblem module = problem.layers[size_t(layer)];
    module.tokens = arrayOf(x);
    module.gamma = problem.weights.at(name(layer, "0.to_qkv.0.gamma"));
    module.toQkv = problem.weights.at(name(layer, "0.to_qkv.1.weight"));
    module.toOut = problem.weights.at(name(layer, "0.to_out.weight"));
    module.dout = arrayOf(dy);
    module.rounded = problem.rounded;
    return attentionModule(module);
  }

  /// What a feed-forward has between its layers.
  struct Hidden {
    Matrix y, hidden, activated;
  };
  Hidden hiddenOf(int64_t layer, const Matrix &x) const {
    Hidden made;
    made.y = round(rmsNorm(x, vector(name(layer, "1.0.gamma"))));
    made.hidden = round(product(made.y, transposed(matrix(name(layer, "1.1.weight")))));
    const std::vector<double> &bias = vector(name(layer, "1.1.bias"));
    for (int64_t r = 0; r < rows(); ++r)
      for (int64_t c = 0; c < made.hidden.columns; ++c)
        made.hidden.at(r, c) += bias[size_t(c)];
    made.activated = made.hidden;
    for (double &number : made.activated.data)
      number *= normalShare(number);
    made.activated = round(made.activated);
    return made;
  }
  Matrix feedForward(int64_t layer, const Matrix &x) const {
    Matrix out =
        round(product(hiddenOf(layer, x).activated, transposed(matrix(name(layer, "1.3.weight")))));
    const std::vector<double> &bias = vector(name(layer, "1.3.bias"));
    for (int64_t r = 0; r < rows(); ++r)
      for (int64_t c = 0; c < problem.dim; ++c)
        out.at(r, c) += bias[size_t(c)];
    return round(sum(x, out));
  }
  Matrix feedForwardGradient(int64_t layer, const Matrix &x, const Matrix &dy) {
    Hidden of = hiddenOf(layer, x);
    add(name(layer, "1.3.bias"), columnSums(dy));
    add(name(layer, "1.3.weight"), product(transposed(dy), of.activated));
    Matrix dhidden = round(product(dy, matrix(name(layer, "1.3.weight"))));
    for (size_t i = 0; i < dhidden.data.size(); ++i)
      dhidden.data[i] *= geluSlope(of.hidden.data[i]);
    dhidden = round(dhidden);
    add(name(layer, "1.1.bias"), columnSums(dhidden));
    add(name(layer, "1.1.weight"), product(transposed(dhidden), of.y));
    Matrix dnormalised = round(product(dhidden, matrix(name(layer, "1.1.weight"))));
    return round(sum(dy, round(rmsNormGradient(x, vector(name(layer, "1.0.gamma")), dnormalised,
                                               gradient(name(layer, "1.0.gamma"))))));
  }

  /// Of the sum of losses.
  Matrix lossGradient(const Matrix &logits) {
    Matrix made(rows(), problem.numTokens);
    double losses = 0;
    for (int64_t r = 0; r < rows(); ++r) {
      int64_t label = problem.labels[size_t(r / length)][size_t(r % length)];
      if (label < 0)
        continue;
      double most = -INFINITY, total = 0;
      for (int64_t c = 0; c < problem.numTokens; ++c)
        most = std::max(most, logits.at(r, c));
      for (int64_t c = 0; c < problem.numTokens; ++c)
        total += std::exp(logits.at(r, c) - most);
      losses += most + std::log(total) - logits.at(r, label);
      for (int64_t c = 0; c < problem.numTokens; ++c)
        made.at(r, c) = std::exp(logits.at(r, c) - most) / total - (c == label);
      ++counted;
    }
    result.loss = counted == 0 ? 0 : losses / double(counted);
    return made;
  }

  const TransformerProblem &problem;
  int64_t batch, length, counted = 0;
  TransformerResult result;
};

} // namespace

TransformerResult transformer(const TransformerProblem &problem) {
  return Transformer(problem).run();
}

} // namespace ringc::reference
