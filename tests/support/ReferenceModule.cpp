#include "tests/support/ReferenceModule.h"

#include "tests/support/ReferenceMatrix.h"

#include <cmath>

namespace ringc::reference {

namespace {

class Module {
public:
  explicit Module(const ModuleProblem &given)
      : problem(given), batch(given.tokens.shape[0]), length(given.tokens.shape[1]),
        dim(given.tokens.shape[2]), inner(given.heads * given.dimHead),
        x(batch * length, dim, given.tokens.data),
        toQkv(given.toQkv.shape[0], dim, given.toQkv.data), toOut(dim, inner, given.toOut.data) {}

  ModuleResult run() {
    Matrix y = normalised();
    Problem attention = attentionOf(round(product(y, transposed(toQkv))));
    Result first = attend(attention);
    Matrix mixed(batch * length, inner, first.out.data);
    Matrix out = round(product(mixed, transposed(toOut)));

    Matrix dy(batch * length, dim, problem.dout.data);
    attention.dout = Array({batch, length, problem.heads, problem.dimHead});
    attention.dout->data = round(product(dy, toOut)).data;
    Result second = attend(attention);
    Matrix dqkv = gradientOfHeads(second);
    Matrix dnormalised = round(product(dqkv, toQkv));
    ModuleResult result;
    result.out = arrayOf(out);
    result.dtoOut = weight(product(transposed(dy), mixed));
    result.dtoQkv = weight(product(transposed(dqkv), y));
    result.dtokens = arrayOf(gradientOfNorm(dnormalised, result.dgamma));
    return result;
  }

private:
  Matrix round(Matrix matrix) const {
    return problem.rounded ? rounded(std::move(matrix), *problem.rounded) : matrix;
  }
  Array round(const Array &array) const {
    return problem.rounded ? reference::arrayOf(tensorOf(array, *problem.rounded).view()) : array;
  }
  Array arrayOf(const Matrix &tokens) const {
    Array made({batch, length, dim, 1});
    made.data = tokens.data;
    return made;
  }
  static Array weight(const Matrix &matrix) {
    Array made({matrix.rows, matrix.columns, 1, 1});
    made.data = matrix.data;
    return made;
  }
  Result attend(const Problem &attention) const {
    return problem.rounded ? plainAttention(attention, *problem.rounded)
                           : reference::attention(attention);
  }

  Matrix normalised() const { return problem.gamma ? round(rmsNorm(x, problem.gamma->data)) : x; }

  Matrix gradientOfNorm(const Matrix &dy, Array &dgamma) const {
    if (!problem.gamma)
      return dy;
    dgamma = Array({dim, 1, 1, 1});
    return round(rmsNormGradient(x, problem.gamma->data, dy, dgamma.data));
  }

  /// Turns rows of heads by their positions, or back.
  void turn(Array &heads, double direction) const {
    if (!problem.rotaryTheta)
      return;
    int64_t pairs = problem.dimHead / 2;
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t i = 0; i < length; ++i)
        for (int64_t h = 0; h < heads.shape[2]; ++h)
          for (int64_t p = 0; p < pairs; ++p) {
            double angle = direction * double(problem.positions[size_t(b)][size_t(i)]) *
                           std::pow(*problem.rotaryTheta, -2 * double(p) / double(problem.dimHead));
            double first = heads.at(b, i, h, p), second = heads.at(b, i, h, p + pairs);
            heads.at(b, i, h, p) = first * std::cos(angle) - second * std::sin(angle);
            heads.at(b, i, h, p + pairs) = second * std::cos(angle) + first * std::sin(angle);
          }
    heads = round(heads);
  }

  Array headsOf(const Matrix &qkv, int64_t first, int64_t count) const {
    Array made({batch, length, count, problem.dimHead});
    for (int64_t r = 0; r < qkv.rows; ++r)
      for (int64_t c = 0; c < count * problem.dimHead; ++c)
        made.data[size_t(r * count * problem.dimHead + c)] = qkv.at(r, first * problem.dimHead + c);
    return made;
  }

  Problem attentionOf(const Matrix &qkv) const {
    Problem made;
    made.q = headsOf(qkv, 0, problem.heads);
    made.k = headsOf(qkv, problem.heads, problem.kvHeads);
    made.v = headsOf(qkv, problem.heads + problem.kvHeads, problem.kvHeads);
    turn(made.q, 1);
    turn(made.k, 1);
    made.headMap = problem.headMap;
    made.softcap = problem.softcap;
    made.mask = problem.mask;
    return made;
  }

  Matrix gradientOfHeads(Result &result) const {
    turn(result.dq, -1);
    turn(result.dk, -1);
    Matrix made(batch * length, toQkv.rows);
    int64_t first = 0;
    for (const Array *part : {&result.dq, &result.dk, &result.dv}) {
      int64_t columns = part->shape[2] * problem.dimHead;
      for (int64_t r = 0; r < made.rows; ++r)
        for (int64_t c = 0; c < columns; ++c)
          made.at(r, first + c) = part->data[size_t(r * columns + c)];
      first += columns;
    }
    return made;
  }

  const ModuleProblem &problem;
  int64_t batch, length, dim, inner;
  Matrix x, toQkv, toOut;
};

} // namespace

ModuleResult attentionModule(const ModuleProblem &problem) { return Module(problem).run(); }

} // namespace ringc::reference
