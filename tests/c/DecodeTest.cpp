// Decodes, of whole keys, of a cache's pages and of ranks, and their merge.

#include "tests/c/Problem.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <thread>

using namespace ringc::test;

namespace {

constexpr int64_t keys = 37, heads = Problem::heads, dim = Problem::dim;

/// One query to the keys from `begin` to `end`.
void attend(const Floats &q, const Floats &k, const Floats &v, int64_t begin, int64_t end,
            Floats &out, Floats &lse) {
  for (int64_t head = 0; head < heads; ++head) {
    std::vector<double> sums(static_cast<size_t>(dim));
    double sum = 0;
    for (int64_t row = begin; row < end; ++row) {
      double s = 0;
      for (int64_t e = 0; e < dim; ++e)
        s += double(q.numbers[size_t(head * dim + e)]) *
             k.numbers[size_t((row * heads + head) * dim + e)] / std::sqrt(double(dim));
      sum += std::exp(s);
      for (int64_t e = 0; e < dim; ++e)
        sums[size_t(e)] += std::exp(s) * v.numbers[size_t((row * heads + head) * dim + e)];
    }
    for (int64_t e = 0; e < dim; ++e)
      out.numbers[size_t(head * dim + e)] = float(sums[size_t(e)] / sum);
    lse.numbers[size_t(head)] = float(std::log(sum));
  }
}

bool near(const Floats &a, const Floats &b) {
  for (size_t i = 0; i < a.numbers.size(); ++i)
    if (!(std::abs(a.numbers[i] - b.numbers[i]) < 1e-5))
      return false;
  return true;
}

struct Case {
  Case() {
    q.fill(1);
    k.fill(2);
    v.fill(3);
    attend(q, k, v, 0, keys, wantedOut, wantedLse);
    inputs.size = sizeof inputs;
    inputs.q = &q.view;
    inputs.k = &k.view;
    inputs.v = &v.view;
  }
  bool isRight() const { return near(out, wantedOut) && near(lse, wantedLse); }

  Floats q{{1, 1, heads, dim}}, k{{1, keys, heads, dim}}, v{{1, keys, heads, dim}};
  Floats out{{1, 1, heads, dim}}, lse{{1, heads, 1}};
  Floats wantedOut{{1, 1, heads, dim}}, wantedLse{{1, heads, 1}};
  ringc_decode_inputs inputs{};
};

DecodeHandle decodeHandle(const ContextHandle &context, ringc_group *group = nullptr) {
  ringc_decode *made = nullptr;
  REQUIRE(ringc_decode_create(context.get(), group, problemOptions, &made) == RINGC_OK);
  return DecodeHandle(made);
}

} // namespace

TEST_CASE("a decode of whole keys, and its refusals") {
  ContextHandle context = hostContextHandle();
  DecodeHandle decode = decodeHandle(context);
  Case of;
  REQUIRE(ringc_decode_run(decode.get(), nullptr, &of.inputs, nullptr, &of.out.view,
                           &of.lse.view) == RINGC_OK);
  CHECK(of.isRight());
  CHECK(ringc_decode_wait(decode.get(), nullptr) == RINGC_OK);
  of.lse.axes[2] = 2;
  CHECK(ringc_decode_run(decode.get(), nullptr, &of.inputs, nullptr, &of.out.view, &of.lse.view) ==
        RINGC_ERROR_INPUT);
  CHECK(lastError().find("lse: got f32[1, 2, 2]") != std::string::npos);
  int number = 0;
  CHECK(ringc_decode_run(decode.get(), &number, &of.inputs, nullptr, &of.out.view, &of.lse.view) ==
        RINGC_ERROR_INPUT);
  CHECK(lastError().find("stream: ") != std::string::npos);
  ringc_decode *none = nullptr;
  CHECK(ringc_decode_create(context.get(), nullptr, R"({"splitt": 64})", &none) ==
        RINGC_ERROR_INPUT);
  CHECK(lastError().find("did you mean split?") != std::string::npos);
}

TEST_CASE("a decode of a cache") {
  ContextHandle context = hostContextHandle();
  DecodeHandle decode = decodeHandle(context);
  Case of;
  ringc_cache *made = nullptr;
  REQUIRE(ringc_cache_create(context.get(), nullptr,
                             R"({"pages": 8, "page_size": 16, "kv_heads": 2, "head_dim": 16})",
                             &made) == RINGC_OK);
  CacheHandle cache(made);
  ringc_tensor k = of.k.view, v = of.v.view;
  for (ringc_tensor *each : {&k, &v}) { // [keys, heads, dim]
    each->ndim = 3;
    each->shape += 1;
  }
  REQUIRE(ringc_cache_append(made, 0, &k, &v) == RINGC_OK);
  int64_t tokens = 0, pages = 0;
  CHECK(ringc_cache_length(made, 0, &tokens) == RINGC_OK);
  CHECK(tokens == keys);
  CHECK(ringc_cache_free_pages(made, &pages) == RINGC_OK);
  CHECK(pages == 5);
  ringc_tensor poolK, poolV, table, lengths;
  ringc_decode_keys where;
  REQUIRE(ringc_cache_inputs(made, &poolK, &poolV, &table, &lengths, &where) == RINGC_OK);
  of.inputs.k = &poolK;
  of.inputs.v = &poolV;
  of.inputs.page_table = &table;
  of.inputs.lengths = &lengths;
  REQUIRE(ringc_decode_run(decode.get(), nullptr, &of.inputs, &where, &of.out.view, &of.lse.view) ==
          RINGC_OK);
  CHECK(of.isRight());
  CHECK(ringc_cache_append(made, 3, &k, &v) == RINGC_ERROR_INPUT);
  CHECK(lastError().find("entry: got 3") != std::string::npos);
  CHECK(ringc_cache_length(made, -1, &tokens) == RINGC_ERROR_INPUT);
  CHECK(ringc_cache_free_entry(made, 0) == RINGC_OK);
  CHECK(ringc_cache_free_pages(made, &pages) == RINGC_OK);
  CHECK(pages == 8);
}

TEST_CASE("a decode of ranks, and a tree's") {
  ContextHandle context = hostContextHandle();
  std::array<ringc_group *, 2> groups{};
  REQUIRE(ringc_group_threads(context.get(), 2, 0, groups.data()) == RINGC_OK);
  std::array<Case, 2> cases;
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < 2; ++rank)
    threads.emplace_back([&, rank] {
      Case &of = cases[size_t(rank)];
      DecodeHandle decode = decodeHandle(context, groups[size_t(rank)]);
      constexpr int64_t half = 18;
      int64_t begin = rank * half, count = rank == 0 ? half : keys - half;
      for (Floats *each : {&of.k, &of.v}) {
        each->axes[1] = count;
        each->view.byte_offset = uint64_t(begin * heads * dim) * sizeof(float);
      }
      constexpr int64_t block = int64_t(1) << 30;
      ringc_decode_keys own{.size = sizeof own, .positions = {begin, block, block}, .length = keys};
      CHECK(ringc_decode_run(decode.get(), nullptr, &of.inputs, &own, &of.out.view, &of.lse.view) ==
            RINGC_OK);
      CHECK(of.isRight());

      // [b, h, n, d] of whole keys.
      Case tree;
      auto byHeads = [](Floats &tensor, std::array<int64_t, 4> &shape,
                        std::array<int64_t, 4> &strides) {
        int64_t rows = tensor.axes[1];
        shape = {1, heads, rows, dim};
        strides = {rows * heads * dim, dim, heads * dim, 1};
        tensor.view.shape = shape.data();
        tensor.view.strides = strides.data();
      };
      std::array<std::array<int64_t, 4>, 8> axes;
      byHeads(tree.q, axes[0], axes[1]);
      byHeads(tree.k, axes[2], axes[3]);
      byHeads(tree.v, axes[4], axes[5]);
      byHeads(tree.out, axes[6], axes[7]);
      CHECK(ringc_tree_attn_decode(decode.get(), nullptr, &tree.q.view, &tree.k.view, &tree.v.view,
                                   RINGC_TREE_WHOLE, &tree.out.view, &tree.lse.view) == RINGC_OK);
      CHECK(tree.isRight());
    });
  threads.clear();
  for (ringc_group *group : groups)
    ringc_group_destroy(group);
}

TEST_CASE("two parts are merged") {
  ContextHandle context = hostContextHandle();
  Case of;
  Floats outA({1, 1, heads, dim}), lseA({1, heads, 1}), outB({1, 1, heads, dim}),
      lseB({1, heads, 1});
  attend(of.q, of.k, of.v, 0, 11, outA, lseA);
  attend(of.q, of.k, of.v, 11, keys, outB, lseB);
  REQUIRE(ringc_merge(context.get(), &outA.view, &lseA.view, &outB.view, &lseB.view, &of.out.view,
                      &of.lse.view) == RINGC_OK);
  CHECK(of.isRight());
}
