#pragma once

#include "tests/unit/compiler/KernelRun.h"

#include <doctest/doctest.h>

#include <functional>
#include <random>
#include <string>

namespace ringc::testing {

struct Shape {
  int64_t rows, columns;
};
constexpr Shape shapes[] = {{37, 130}, {1, 1}, {16, 256}, {5, 1000}};
constexpr ElementType types[] = {ElementType::F32, ElementType::BF16, ElementType::F16};

inline unsigned fresh() { return std::random_device{}(); }

/// Runs `test` for hosts, types and shapes.
inline void everywhere(const std::function<void(const Target &, ElementType, Shape)> &test) {
  for (const Target &target : hostVariants())
    for (ElementType type : types)
      for (Shape shape : shapes) {
        CAPTURE(describe(target));
        CAPTURE(shape.rows);
        CAPTURE(shape.columns);
        test(target, type, shape);
      }
}

/// What one rounding to the type and the f32 sums before it may cost.
inline double allowed(ElementType type) { return roundingOf(type) + 4e-6; }

inline Spec specOf(const std::string &kernel, ElementType type) {
  Spec spec;
  spec.kernel = kernel;
  spec.dtype = type;
  return spec;
}

} // namespace ringc::testing
