// The kernels of attention on one rank, against double precision: head dims, tile sizes, types,
// kinds of host. Masks, layouts and rings have tests of their own.

#include "tests/support/ReferenceAttention.h"
#include "tests/unit/compiler/KernelRun.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace ringc;
using namespace ringc::testing;

namespace {

struct Case {
  int64_t nq = 70, nk = 90, d = 64, dv = 64, group = 1;
  ElementType dtype = ElementType::F32;
  int64_t q = 64, kv = 64; ///< tile sizes
  bool causal = false;
  std::vector<std::string> score = {};
  int64_t depth = 0; ///< of 16-bit products; 32: in tiles, which loops make where there is no AMX
};

reference::Array arrayOf(const Matrix &matrix, int64_t heads) {
  int64_t width = matrix.columns() / heads;
  reference::Array array({1, matrix.rows(), heads, width});
  for (int64_t r = 0; r < matrix.rows(); ++r)
    for (int64_t c = 0; c < matrix.columns(); ++c)
      array.at(0, r, c / width, c % width) = matrix.at(r, c);
  return array;
}

double error(const Matrix &actual, const reference::Array &expected, int64_t heads) {
  return reference::relativeError(arrayOf(actual, heads), expected);
}

/// lse is [b, h, n] there, and a column for each head here.
double lseError(const Matrix &actual, const reference::Array &expected) {
  return largestError(actual, [&](int64_t r, int64_t h) { return expected.at(0, h, r, 0); });
}

DType dtypeOf(ElementType type) {
  return type == ElementType::BF16  ? DType::BF16
         : type == ElementType::F16 ? DType::F16
                                    : DType::F32;
}

void check(const Case &c, const Target &target = hostTarget()) {
  CAPTURE(describe(target));
  CAPTURE(c.nq);
  CAPTURE(c.nk);
  CAPTURE(c.d);
  CAPTURE(c.dv);
  CAPTURE(c.group);
  CAPTURE(enumName(c.dtype));
  CAPTURE(c.q);
  CAPTURE(c.kv);
  CAPTURE(c.depth);
  Matrix q = Matrix::random(c.dtype, c.nq, c.d * c.group, 1);
  Matrix k = Matrix::random(c.dtype, c.nk, c.d, 2), v = Matrix::random(c.dtype, c.nk, c.dv, 3);
  Matrix dout = Matrix::random(c.dtype, c.nq, c.dv * c.group, 4);
  Matrix out(c.dtype, c.nq, c.dv * c.group), lse(ElementType::F32, c.nq, c.group),
      rowMax(ElementType::F32, c.nq, c.group), rowSum(ElementType::F32, c.nq, c.group),
      delta(ElementType::F32, c.nq, c.group), base(ElementType::F32, c.nq, c.group),
      shift(ElementType::F32, c.nq, c.group), dq(c.dtype, c.nq, c.d * c.group);
  auto zeros = [&](int64_t columns) {
    return Matrix::from(ElementType::F32, c.nk, columns, [](int64_t, int64_t) { return 0; });
  };
  Matrix dk = zeros(c.d), dv = zeros(c.dv);
  float scale = 1 / std::sqrt(static_cast<float>(c.d));

  auto run = [&](const std::string &kernel) {
    Spec spec{.kernel = kernel,
              .headDim = c.d,
              .valueHeadDim = c.dv,
              .groupSize = c.group,
              .dtype = c.dtype,
              .tile = {{"q", c.q}, {"kv", c.kv}}};
    if (kernel == "attention_delta") {
      spec.tile.erase("kv");
    } else {
      if (c.causal)
        spec.mask = {"causal"};
      spec.score = c.score;
    }
    if (c.depth)
      spec.tile["micro_depth"] = c.depth;
    KernelRun made(spec, "", target);
    const std::pair<const char *, const Matrix *> tensors[] = {{"q", &q},
                                                               {"k", &k},
                                                               {"v", &v},
                                                               {"dout", &dout},
                                                               {"out", &out},
                                                               {"lse", &lse},
                                                               {"row_max", &rowMax},
                                                               {"row_sum", &rowSum},
                                                               {"delta", &delta},
                                                               {"base", &base},
                                                               {"shift", &shift},
                                                               {"dq", &dq},
                                                               {"dk", &dk},
                                                               {"dv", &dv}};
    int64_t offset = c.nk - c.nq;
    for (const KernelArgument &argument : made.kernel().arguments) {
      for (auto [name, matrix] : tensors)
        if (argument.name == name)
          made.bind(name, *matrix);
      if (argument.name == "qpos")
        made.bind("qpos", Positions{.first = offset, .block = c.nq, .jump = 0});
      if (argument.name == "kpos")
        made.bind("kpos", Positions{.first = 0, .block = c.nk, .jump = 0});
      if (argument.name == "scale")
        made.bind("scale", scale);
      if (argument.name == "exact")
        made.bind("exact", int32_t{1});
      if (argument.name == "softcap.cap")
        made.bind("softcap.cap", 1.5f);
    }
    made.extent("Nq", c.nq).extent("Nk", c.nk);
    for (const KernelArgument &argument : made.kernel().arguments)
      if (argument.kind == KernelArgument::Kind::Carry)
        made.bindCarry(argument.name, true, true);
    made.run();
  };
  for (const char *kernel :
       {"attention_forward", "attention_delta", "attention_backward_dkdv", "attention_backward_dq"})
    run(kernel);

  reference::Problem problem;
  problem.q = arrayOf(q, c.group);
  problem.k = arrayOf(k, 1);
  problem.v = arrayOf(v, 1);
  problem.dout = arrayOf(dout, c.group);
  problem.scale = scale;
  problem.mask.causal = c.causal;
  if (!c.score.empty())
    problem.softcap = 1.5;
  reference::Result exact = reference::attention(problem);
  reference::Result plain;
  if (c.dtype != ElementType::F32)
    plain = reference::plainAttention(problem, dtypeOf(c.dtype));
  auto close = [&](const Matrix &actual, reference::Array reference::Result::*which,
                   int64_t heads) {
    double bar = 2e-5;
    if (c.dtype != ElementType::F32)
      bar = 2 * reference::relativeError(plain.*which, exact.*which) + 1e-5;
    CHECK(error(actual, exact.*which, heads) < bar);
    CHECK(actual.gapsAreUntouched());
  };
  CHECK(lseError(lse, exact.lse) < (c.dtype == ElementType::F32 ? 1e-5 : 1e-4));
  close(out, &reference::Result::out, c.group);
  close(dq, &reference::Result::dq, c.group);
  close(dk, &reference::Result::dk, 1);
  close(dv, &reference::Result::dv, 1);
}

} // namespace

TEST_CASE("attention of every head dimension") {
  check({.d = 1, .dv = 1});
  check({.d = 3, .dv = 3, .dtype = ElementType::BF16});
  check({.d = 40, .dv = 40, .dtype = ElementType::F16, .causal = true});
  check({.d = 64, .dv = 64, .dtype = ElementType::BF16, .causal = true});
  check({.d = 80, .dv = 80, .causal = true});
  check({.d = 192, .dv = 128, .dtype = ElementType::BF16});
  check({.d = 256, .dv = 256});
  check({.d = 5, .dv = 19, .score = {"softcap"}});
}

TEST_CASE("attention in tiles of every size") {
  for (auto [q, kv] : {std::pair<int64_t, int64_t>{40, 24}, {1, 1}, {256, 16}, {33, 65}, {16, 256}})
    for (ElementType dtype : {ElementType::F32, ElementType::BF16})
      check({.nq = 67,
             .nk = 83,
             .d = 24,
             .dv = 17,
             .dtype = dtype,
             .q = q,
             .kv = kv,
             .causal = true});
}

TEST_CASE("attention of one query, of one key, of a group of heads, of more queries than keys") {
  check({.nq = 1, .nk = 1, .d = 16, .dv = 16});
  check({.nq = 1, .nk = 200, .d = 16, .dv = 16, .causal = true});
  check({.nq = 33, .nk = 65, .d = 16, .dv = 16, .group = 3, .q = 40, .kv = 24, .causal = true});
  check({.nq = 90, .nk = 30, .d = 16, .dv = 16, .group = 2, .causal = true});
}

TEST_CASE("attention on every kind of host") {
  for (const Target &target : hostVariants())
    for (ElementType dtype : {ElementType::F32, ElementType::BF16})
      check({.d = 40, .dv = 24, .group = 2, .dtype = dtype, .q = 48, .kv = 40, .causal = true},
            target);
}

TEST_CASE("attention whose products are in tiles") {
  constexpr ElementType bf16 = ElementType::BF16, f16 = ElementType::F16;
  check({.dtype = bf16, .causal = true, .depth = 32});
  check({.d = 40, .dv = 24, .group = 2, .dtype = f16, .causal = true, .depth = 32});
  check({.d = 128, .dv = 80, .dtype = bf16, .q = 32, .kv = 128, .depth = 32});
  check({.d = 256, .dv = 192, .dtype = f16, .q = 96, .kv = 32, .causal = true, .depth = 32});
  check({.d = 17, .dv = 33, .dtype = bf16, .causal = true, .score = {"softcap"}, .depth = 32});
  // Some of the products, and none: 24 keys are no whole tile, nor is a head dim of 9 one of rows.
  check({.d = 9, .dv = 64, .dtype = bf16, .causal = true, .depth = 32});
  check({.d = 9, .dv = 64, .dtype = f16, .causal = true, .depth = 32});
  check({.dtype = bf16, .q = 40, .kv = 24, .causal = true, .depth = 32});
}

TEST_CASE("attention whose products are in each form, on every kind of host") {
  for (const Target &target : hostVariants())
    for (int64_t depth : {1, 2, 32})
      for (ElementType dtype : {ElementType::BF16, ElementType::F16})
        check({.d = 40, .dv = 32, .group = 2, .dtype = dtype, .causal = true, .depth = depth},
              target);
}
