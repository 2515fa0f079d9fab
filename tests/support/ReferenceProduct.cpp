#include "tests/support/ReferenceProduct.h"

#include <cstring>
#include <limits>
#include <random>

namespace ringc::reference {

Array product(const Factor &a, const Factor &b) {
  auto at = [](const Factor &factor) {
    return [array = arrayOf(factor.matrix), turned = factor.transposed](int64_t i, int64_t j) {
      return turned ? array.at(j, i, 0, 0) : array.at(i, j, 0, 0);
    };
  };
  auto left = at(a), right = at(b);
  Array c({a.rows(), b.columns(), 1, 1});
  for (int64_t i = 0; i < a.rows(); ++i)
    for (int64_t k = 0; k < a.columns(); ++k)
      for (int64_t j = 0; j < b.columns(); ++j)
        c.at(i, j, 0, 0) += left(i, k) * right(k, j);
  return c;
}

std::string ProductCase::name() const {
  const char *forms[] = {"a b", "a^T b", "a b^T"};
  return std::string(forms[int(form)]) + ", " + std::string(nameOf(dtype)) + " to " +
         std::string(nameOf(result)) + ", m " + std::to_string(m) + ", n " + std::to_string(n) +
         ", k " + std::to_string(k) + ", gap " + std::to_string(gap) + ", offset " +
         std::to_string(offset);
}

double ProductCase::bar() const {
  return result == DType::BF16 ? 0x1p-8 : result == DType::F16 ? 0x1p-11 : 2e-6;
}

std::vector<ProductCase> productCases(const std::vector<std::array<int64_t, 3>> &extents) {
  std::vector<ProductCase> made;
  using enum ProductCase::Form;
  for (auto [dtype, result] : {std::pair(DType::F32, DType::F32),
                               {DType::BF16, DType::F32},
                               {DType::BF16, DType::BF16},
                               {DType::F16, DType::F32},
                               {DType::F16, DType::F16}})
    for (auto [m, n, k] : extents)
      for (ProductCase::Form form : {Plain, LeftTransposed, RightTransposed})
        for (auto [gap, offset] : {std::pair(0, 0), {8, 16}, {3, 1}})
          made.push_back({dtype, result, m, n, k, form, gap, offset});
  return made;
}

namespace {

struct Extents {
  int64_t rows, columns;
};
Extents leftOf(const ProductCase &of) {
  return of.form == ProductCase::Form::LeftTransposed ? Extents{of.k, of.m} : Extents{of.m, of.k};
}
Extents rightOf(const ProductCase &of) {
  return of.form == ProductCase::Form::RightTransposed ? Extents{of.n, of.k} : Extents{of.k, of.n};
}

HostTensor memoryFor(const ProductCase &of, Extents extents, DType dtype, std::mt19937 &random) {
  HostTensor wide(DType::F32, {of.offset + extents.rows * (extents.columns + of.gap)}),
      memory(dtype, wide.shape());
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < wide.elementCount(); ++i)
    wide.dataAs<float>()[i] = normal(random);
  convert(wide, memory);
  return memory;
}

Tensor viewOf(const ProductCase &of, Extents extents, DType dtype, void *memory) {
  return {static_cast<std::byte *>(memory) + of.offset * int64_t(sizeOf(dtype)), dtype,
          std::array{extents.rows, extents.columns},
          std::array{extents.columns + of.gap, int64_t(1)}};
}

} // namespace

ProductMatrices::ProductMatrices(const ProductCase &of, unsigned seed) : made(of) {
  std::mt19937 random(seed);
  a = memoryFor(of, leftOf(of), of.dtype, random);
  b = memoryFor(of, rightOf(of), of.dtype, random);
  c = memoryFor(of, {of.m, of.n}, of.result, random);
}

Factor ProductMatrices::left(void *memory) const {
  return {viewOf(made, leftOf(made), made.dtype, memory),
          made.form == ProductCase::Form::LeftTransposed};
}
Factor ProductMatrices::right(void *memory) const {
  return {viewOf(made, rightOf(made), made.dtype, memory),
          made.form == ProductCase::Form::RightTransposed};
}
Tensor ProductMatrices::result(void *memory) const {
  return viewOf(made, {made.m, made.n}, made.result, memory);
}

double ProductMatrices::error(void *memory) const {
  double own = relativeError(arrayOf(result(memory)), product(left(a.data()), right(b.data())));
  HostTensor rest = HostTensor::copyOf(c);
  copy(result(memory), result(rest.data()));
  bool untouched =
      c.byteCount() == 0 || std::memcmp(rest.data(), memory, size_t(c.byteCount())) == 0;
  return untouched ? own : std::numeric_limits<double>::infinity();
}

} // namespace ringc::reference
