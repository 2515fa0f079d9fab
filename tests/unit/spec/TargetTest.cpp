#include "ringc/compiler/spec/Target.h"
#include "ringc/support/Error.h"

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

TEST_CASE("code for a processor is made on x86_64 alone, whatever the host's triple") {
  for (const char *triple : {"x86_64-pc-linux-gnu", "x86_64-unknown-linux-musl", "amd64-linux"})
    CHECK_NOTHROW(requireHost(triple));
  CHECK_THROWS_WITH_AS(
      requireHost("aarch64-unknown-linux-gnu"),
      "target: got \"cpu\", allowed: sm_80, sm_86, sm_89, sm_90, sm_100, sm_120 on "
      "this host, whose processor is aarch64-unknown-linux-gnu; code for a "
      "processor is made on x86_64 alone",
      InputError);
  for (const char *triple : {"", "i686-pc-linux-gnu", "riscv64-linux", "arm64-apple-darwin", "x86"})
    CHECK_THROWS_AS(requireHost(triple), InputError);
}
