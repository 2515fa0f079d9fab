// Calls that fail keep nothing.

#include "tests/c/Problem.h"

#include <doctest/doctest.h>

#include <malloc.h>

using namespace ringc::test;

TEST_CASE("ten thousand calls that fail") {
  ContextHandle context = hostContextHandle();
  AttentionHandle attention = attentionHandle(context);
  REQUIRE(attention);
  Problem problem(7);
  problem.v.axes[3] = 5;
  auto fail = [&](int times) {
    for (int i = 0; i < times; ++i) {
      REQUIRE(ringc_attention_forward(attention.get(), nullptr, &problem.inputs, &problem.results,
                                      nullptr, 0) == RINGC_ERROR_INPUT);
      ringc_attention *made = nullptr;
      REQUIRE(ringc_attention_create(context.get(), nullptr, R"({"heds": 2})", &made) ==
              RINGC_ERROR_INPUT);
      char *text = nullptr;
      REQUIRE(ringc_options_help("nothing", &text) == RINGC_ERROR_INPUT);
      ringc_group *group = nullptr;
      REQUIRE(ringc_group_threads(context.get(), 0, 0, &group) == RINGC_ERROR_INPUT);
    }
  };
  fail(100);
  size_t before = mallinfo2().uordblks;
  fail(10000);
  CHECK(mallinfo2().uordblks <= before + 4096);
}
