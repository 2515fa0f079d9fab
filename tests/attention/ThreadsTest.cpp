// Rings called from several threads, from programs of their own pool, and in a child of fork().

#include "ringc/attention/HostAttentionRing.h"
#include "ringc/jit/HostCompiler.h"

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <thread>
#include <vector>

using namespace ringc;

namespace {

HostTensor numbers(std::vector<int64_t> shape, int seed) {
  HostTensor tensor(DType::F32, std::move(shape));
  for (int64_t i = 0; i < tensor.elementCount(); ++i)
    tensor.dataAs<float>()[i] = std::sin(float(i % 1000) * 1.7f + float(seed));
  return tensor;
}

struct Problem {
  HostTensor q = numbers({1, 70, 4, 16}, 1), k = numbers({1, 70, 2, 16}, 2),
             v = numbers({1, 70, 2, 16}, 3);
  AttentionInputs inputs() const { return {.q = q, .k = k, .v = v}; }
};

HostAttentionRing ringOf(int world, const AttentionContext &context) {
  return HostAttentionRing({.heads = 4, .kvHeads = 2, .headDim = 16, .causal = true}, world,
                           context);
}

bool sameBits(const HostTensor &a, const HostTensor &b) {
  return a.byteCount() == b.byteCount() &&
         std::memcmp(a.data(), b.data(), size_t(a.byteCount())) == 0;
}

} // namespace

TEST_CASE("rings of one context in several threads give the bits of one") {
  AttentionContext context = hostContext(2);
  Problem problem;
  HostTensor expected = ringOf(3, context).forward(problem.inputs()).out;
  constexpr int threads = 4;
  std::vector<int> right(threads);
  std::vector<std::jthread> callers;
  for (int each = 0; each < threads; ++each)
    callers.emplace_back([&, each] {
      HostAttentionRing ring = ringOf(3, context);
      for (int time = 0; time < 5; ++time) {
        HostAttentionRing::Forward forward = ring.forward(problem.inputs());
        right[size_t(each)] += sameBits(forward.out, expected);
        (void)ring.backward(problem.inputs(), forward, problem.q);
      }
    });
  callers.clear();
  CHECK(right == std::vector<int>(threads, 5));
}

TEST_CASE("a ring inside a program of its own pool") {
  for (int threads : {1, 2})
    for (int world : {1, 3}) {
      AttentionContext context = hostContext(threads);
      Problem problem;
      HostTensor expected = ringOf(world, context).forward(problem.inputs()).out;
      std::vector<int> right(4);
      context.pool->forEach(4, [&](int64_t each) {
        right[size_t(each)] =
            sameBits(ringOf(world, context).forward(problem.inputs()).out, expected);
      });
      CHECK(right == std::vector<int>(4, 1));
    }
}

#if defined(__SANITIZE_THREAD__)
constexpr bool threadSanitizer = true; // it allows no threads in a child of fork()
#elif defined(__has_feature)
constexpr bool threadSanitizer = __has_feature(thread_sanitizer);
#else
constexpr bool threadSanitizer = false;
#endif

TEST_CASE("a ring goes on in a child of fork()" * doctest::skip(threadSanitizer)) {
  AttentionContext context = hostContext(2);
  Problem problem;
  HostAttentionRing ring = ringOf(3, context);
  HostTensor expected = ring.forward(problem.inputs()).out;
  pid_t child = fork();
  if (child == 0) {
    alarm(60);
    _exit(sameBits(ring.forward(problem.inputs()).out, expected) ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(sameBits(ring.forward(problem.inputs()).out, expected));
}
