// A kernel that is not attention: rows of ones, whose softmax is one over their number.

#include "ringc/kernel/Kernel.h"
#include "ringc/jit/HostCompiler.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

using namespace ringc;

int main() {
  HostTensor x(DType::F32, {3, 10}), y(DType::F32, {3, 10});
  std::fill_n(x.dataAs<float>(), x.elementCount(), 1.0f);
  AttentionContext context = hostContext();
  launch(Kernel(context, {.kernel = "row_softmax"}), {{"x", x}, {"y", y}}, {}, *context.pool);
  bool good = std::all_of(y.dataAs<float>(), y.dataAs<float>() + y.elementCount(),
                          [](float p) { return std::abs(p - 0.1f) < 1e-6f; });
  std::printf("the softmax of equal numbers is %s\n", good ? "one over their number" : "wrong");
  return good ? 0 : 1;
}
