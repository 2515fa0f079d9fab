// One key: the output is its value, on every rank.

#include "ringc/ringc.h"

#include <algorithm>
#include <cstdio>

using namespace ringc;

int main() {
  HostTensor q(DType::F32, {1, 5, 2, 16}), k(DType::F32, {1, 1, 1, 16}),
      v(DType::F32, {1, 1, 1, 16});
  std::fill_n(v.dataAs<float>(), v.elementCount(), 3.0f);
  HostAttentionRing ring({.heads = 2, .kvHeads = 1, .headDim = 16}, 2, hostContext());
  auto forward = ring.forward({.q = q, .k = k, .v = v});
  const float *out = forward.out.dataAs<float>();
  bool good = std::all_of(out, out + forward.out.elementCount(), [](float x) { return x == 3.0f; });
  std::printf("attention to one key is %s\n", good ? "its value" : "wrong");
  return good ? 0 : 1;
}
