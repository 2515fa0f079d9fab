#include "tests/unit/irgen/Generated.h"

#include <doctest/doctest.h>

using namespace ringc;

TEST_CASE("show") {
  MESSAGE(generated({.mask = {"causal", "window"}, .score = {"softcap", "alibi"}}));
  MESSAGE(generated({.kernel = "attention_backward_dkdv",
                     .dtype = ElementType::BF16,
                     .mask = {"causal"},
                     .score = {"alibi", "bias"}}));
  MESSAGE(generated({.kernel = "matmul"}));
  MESSAGE(generated({.kernel = "row_softmax", .dtype = ElementType::F16}));
}
