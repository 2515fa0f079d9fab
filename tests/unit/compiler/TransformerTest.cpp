// What a transformer adds to the module's kernels: embedding, residuals, biases.

#include "tests/unit/compiler/KernelRun.h"
#include "tests/unit/compiler/ModuleKernels.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>
#include <random>
#include <vector>

using namespace ringc;
using namespace ringc::testing;

TEST_CASE("gelu of what a bias is added to") {
  everywhere([](const Target &target, ElementType type, Shape shape) {
    auto [rows, columns] = shape;
    unsigned seed = fresh();
    CAPTURE(seed);
    Matrix x = Matrix::random(type, rows, columns, seed),
           bias = Matrix::random(type, 1, columns, seed + 1),
           dy = Matrix::random(type, rows, columns, seed + 2);
    Matrix y(type, rows, columns), dx(type, rows, columns);
    auto at = [&](int64_t r, int64_t c) { return x.at(r, c) + bias.at(0, c); };
    auto share = [](double t) { return 0.5 * std::erfc(-t / std::numbers::sqrt2); };
    KernelRun forward(specOf("bias_gelu", type), "", target);
    forward.bind("x", x).bind("bias", bias).bind("y", y).run();
    CHECK(largestError(y, [&](int64_t r, int64_t c) { return at(r, c) * share(at(r, c)); }) <
          allowed(type));
    KernelRun backward(specOf("bias_gelu_backward", type), "", target);
    backward.bind("x", x).bind("bias", bias).bind("dy", dy).bind("dx", dx).run();
    CHECK(largestError(dx, [&](int64_t r, int64_t c) {
            double t = at(r, c), density = std::exp(-t * t / 2) / std::sqrt(2 * std::numbers::pi);
            return dy.at(r, c) * (share(t) + t * density);
          }) < allowed(type));
  });
}

TEST_CASE("residuals, with a bias and without, where they lie") {
  everywhere([](const Target &target, ElementType type, Shape shape) {
    auto [rows, columns] = shape;
    unsigned seed = fresh();
    CAPTURE(seed);
    Matrix x = Matrix::random(type, rows, columns, seed),
           old = Matrix::random(type, rows, columns, seed),
           branch = Matrix::random(type, rows, columns, seed + 1),
           bias = Matrix::random(type, 1, columns, seed + 2), sum(type, rows, columns);
    KernelRun biased(specOf("add_bias", type), "", target);
    biased.bind("x", x).bind("branch", branch).bind("bias", bias).bind("sum", sum).run();
    CHECK(largestError(sum, [&](int64_t r, int64_t c) {
            return x.at(r, c) + branch.at(r, c) + bias.at(0, c);
          }) < 2 * allowed(type));
    KernelRun plain(specOf("add", type), "", target);
    plain.bind("x", x).bind("branch", branch).bind("sum", x).run();
    CHECK(largestError(x, [&](int64_t r, int64_t c) { return old.at(r, c) + branch.at(r, c); }) <
          2 * allowed(type));
    KernelRun scaled(specOf("multiply_by", type), "", target);
    scaled.bind("x", branch).bind("factor", 0.0F).run();
    CHECK(largestError(branch, [](int64_t, int64_t) { return 0; }) == 0);
  });
}

TEST_CASE("embedding, of ids that are there and not, and the gradient of its table") {
  constexpr int64_t ids = 11;
  everywhere([](const Target &target, ElementType type, Shape shape) {
    auto [rows, columns] = shape;
    unsigned seed = fresh();
    CAPTURE(seed);
    std::mt19937 generator(seed);
    Matrix table = Matrix::random(type, ids, columns, seed), x(type, rows, columns);
    Matrix id = Matrix::from(ElementType::I32, rows, 1, [&](int64_t r, int64_t) {
      return r % 7 == 5 ? double(r) + ids : r % 7 == 6 ? -1.0 : double(generator() % ids);
    });
    KernelRun forward(specOf("embedding", type), "", target);
    forward.bind("table", table).bind("ids", id).bind("x", x).run();
    CHECK(largestError(x, [&](int64_t r, int64_t c) {
            auto row = static_cast<int64_t>(id.at(r, 0));
            return row < 0 || row >= ids ? 0 : table.at(row, c);
          }) == 0);

    std::vector<double> order, first = {0}; // the rows of each id, one behind the other
    for (int64_t each = 0; each < ids; ++each) {
      for (int64_t r = 0; r < rows; ++r)
        if (id.at(r, 0) == double(each))
          order.push_back(double(r));
      first.push_back(double(order.size()));
    }
    auto listOf = [](const std::vector<double> &list) {
      return Matrix::from(ElementType::I32, int64_t(list.size()), 1,
                          [&](int64_t r, int64_t) { return list[size_t(r)]; });
    };
    if (order.empty())
      order.push_back(0);
    Matrix gradient(ElementType::F32, ids, columns), orders = listOf(order), firsts = listOf(first);
    KernelRun backward(specOf("sums_of_rows", type), "", target);
    backward.bind("x", x).bind("order", orders).bind("first", firsts).bind("sums", gradient).run();
    CHECK(largestError(gradient, [&](int64_t row, int64_t c) {
            double sum = 0;
            for (int64_t r = 0; r < rows; ++r)
              sum += id.at(r, 0) == double(row) ? x.at(r, c) : 0;
            return sum;
          }) < 1e-6);
  });
}
