// A mask and a score of one's own, as text: as fast and as complete as the library's, with the
// score's derivative made by the compiler. What goes wrong in the text is shown at its place.

#include "ringc/ringc.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>

using namespace ringc;

static const char *const text = R"(
// Every step-th of the keys before the query, and the query itself.
mask dilated(b: index, h: index, i: index, j: index, step: i32) {
  return j <= i and (i - j) % step == 0
}

score soft(s: f32, b: index, h: index, i: index, j: index, limit: view<f32>[H]) {
  return s / (1 + abs(s) / limit[h])
}
)";

int main() {
  constexpr int64_t n = 300, heads = 4, dim = 32, step = 3;
  HostTensor q(DType::F32, {1, n, heads, dim}), k(DType::F32, {1, n, heads, dim}),
      v(DType::F32, {1, n, heads, dim}), limit(DType::F32, {heads});
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (const HostTensor *tensor : {&q, &k, &v})
    std::generate_n(tensor->dataAs<float>(), tensor->elementCount(),
                    [&] { return normal(random); });
  std::fill_n(limit.dataAs<float>(), heads, 5.0f);

  AttentionContext context = hostContext();
  HostAttentionRing ring({.heads = heads,
                          .headDim = dim,
                          .masks = {{.file = "mine.tile", .name = "dilated", .text = text}},
                          .scores = {{.file = "mine.tile", .name = "soft", .text = text}},
                          .layout = SequenceLayout::zigzag()},
                         3, context);
  AttentionInputs inputs{.q = q, .k = k, .v = v};
  inputs.arguments = {{"dilated.step", step}, {"soft.limit", limit.view()}};
  auto forward = ring.forward(inputs);
  auto gradients = ring.backward(inputs, forward, forward.out);

  // Queries 0, 1 and 2 see nothing but themselves: their output is their own value row.
  bool same = std::equal(v.dataAs<float>(), v.dataAs<float>() + step * heads * dim,
                         forward.out.dataAs<float>(),
                         [](float a, float b) { return std::abs(a - b) < 1e-5f; });
  std::printf("the first %lld rows see themselves alone: %s\n", static_cast<long long>(step),
              same ? "yes" : "no");

  // A mistake comes back as a message with the place of it.
  try {
    HostAttentionRing wrong(
        {.heads = heads,
         .headDim = dim,
         .masks = {{.file = "wrong.tile",
                    .name = "odd",
                    .text = "mask odd(b: index, h: index, i: index, j: index) {\n"
                            "  return (i - k) % 2 == 1\n}\n"}}},
        1, context);
    (void)wrong.forward({.q = q, .k = k, .v = v});
    return 1;
  } catch (const InputError &error) {
    std::printf("%s\n", error.what());
  }
  return same ? 0 : 1;
}
