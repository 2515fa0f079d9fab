#include "compiler/spec/Target.h"
#include "runtime/Error.h"

#include <doctest/doctest.h>

using namespace ringc;

TEST_CASE("a device gets the newest target whose code it runs") {
  const std::pair<int64_t, const char *> cases[] = {
      {80, "sm_80"},   {86, "sm_86"},   {87, "sm_86"},   {89, "sm_89"},   {90, "sm_90"},
      {100, "sm_100"}, {103, "sm_100"}, {120, "sm_120"}, {121, "sm_120"}, {130, "sm_120"}};
  for (auto [sm, name] : cases)
    CHECK(gpuTargetFor(sm).name == name);
  CHECK_THROWS_WITH_AS(gpuTargetFor(75), "compute capability: got 7.5, allowed: 8.0 and later",
                       InputError);
}
