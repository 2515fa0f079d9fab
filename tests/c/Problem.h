#pragma once

#include <ringc/ringc_c.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ringc::test {

/// A tensor with memory of its own, row-major.
template <typename Element> class Owned {
public:
  Owned(ringc_dtype dtype, std::vector<int64_t> shape) : axes(std::move(shape)) {
    int64_t count = 1;
    for (int64_t extent : axes)
      count *= extent;
    numbers.resize(size_t(count));
    view = {.data = numbers.data(),
            .device = {RINGC_CPU, 0},
            .ndim = int32_t(axes.size()),
            .dtype = dtype,
            .shape = axes.data(),
            .strides = nullptr,
            .byte_offset = 0};
  }
  Owned(const Owned &) = delete;
  Owned &operator=(const Owned &) = delete;

  std::vector<int64_t> axes;
  std::vector<Element> numbers;
  ringc_tensor view;
};

struct Floats : Owned<float> {
  explicit Floats(std::vector<int64_t> shape) : Owned({RINGC_FLOAT, 32, 1}, std::move(shape)) {}
  /// Of a whole number each.
  void fill(unsigned seed) {
    for (float &number : numbers) {
      seed = seed * 1664525U + 1013904223U;
      number = float(seed >> 8) / float(1 << 23) - 1;
    }
  }
};

struct Integers : Owned<int32_t> {
  explicit Integers(std::vector<int64_t> shape) : Owned({RINGC_INT, 32, 1}, std::move(shape)) {}
};

/// The inputs and results of an attention, [1, n, heads, dim], and the structs that name them.
struct Problem {
  static constexpr int64_t heads = 2, dim = 16;

  explicit Problem(int64_t rows)
      : q({1, rows, heads, dim}), k({1, rows, heads, dim}), v({1, rows, heads, dim}),
        out({1, rows, heads, dim}), lse({1, heads, rows}), dout({1, rows, heads, dim}),
        dq({1, rows, heads, dim}), dk({1, rows, heads, dim}), dv({1, rows, heads, dim}) {
    unsigned seed = 0;
    for (Floats *each : {&q, &k, &v, &dout})
      each->fill(++seed);
    inputs.size = sizeof inputs;
    inputs.q = &q.view;
    inputs.k = &k.view;
    inputs.v = &v.view;
    results.size = sizeof results;
    results.out = &out.view;
    results.lse = &lse.view;
    gradients.size = sizeof gradients;
    gradients.dout = &dout.view;
    gradients.dq = &dq.view;
    gradients.dk = &dk.view;
    gradients.dv = &dv.view;
  }

  Floats q, k, v, out, lse, dout, dq, dk, dv;
  ringc_attention_inputs inputs{};
  ringc_attention_results results{};
  ringc_attention_gradients gradients{};
};

template <auto destroy> struct Destroyed {
  template <typename Handle> void operator()(Handle *handle) const { destroy(handle); }
};
using ContextHandle = std::unique_ptr<ringc_context, Destroyed<ringc_context_destroy>>;
using GroupHandle = std::unique_ptr<ringc_group, Destroyed<ringc_group_destroy>>;
using AttentionHandle = std::unique_ptr<ringc_attention, Destroyed<ringc_attention_destroy>>;
using DecodeHandle = std::unique_ptr<ringc_decode, Destroyed<ringc_decode_destroy>>;
using CacheHandle = std::unique_ptr<ringc_cache, Destroyed<ringc_cache_destroy>>;

inline constexpr const char *problemOptions = R"({"heads": 2, "head_dim": 16, "causal": true})";

/// On the host; null where it cannot be.
inline ContextHandle hostContextHandle(const char *options = R"({"threads": 2})") {
  ringc_context *made = nullptr;
  (void)ringc_context_create(options, &made);
  return ContextHandle(made);
}

inline AttentionHandle attentionHandle(const ContextHandle &context, ringc_group *group = nullptr,
                                       const char *options = problemOptions) {
  ringc_attention *made = nullptr;
  (void)ringc_attention_create(context.get(), group, options, &made);
  return AttentionHandle(made);
}

/// What a call that failed has said.
inline std::string lastError() { return ringc_last_error(); }

} // namespace ringc::test
