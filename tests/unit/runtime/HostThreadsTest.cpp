#include "ringc/driver/HostThreads.h"

#include <doctest/doctest.h>

#include <sched.h>

#include <climits>

using namespace ringc;

TEST_CASE("the first number of a list of threads") {
  CHECK(firstOfThreadList("4") == 4);
  CHECK(firstOfThreadList(" 4 , 2") == 4);
  CHECK(firstOfThreadList("100000") == 100000);
  CHECK(firstOfThreadList("99999999999999999999") == INT_MAX);
  for (const char *text : {"", " ", "0", "-3", "many", "4x", ",4", "0x4"})
    CHECK_MESSAGE(!firstOfThreadList(text), text);
}

TEST_CASE("threads that nobody named") {
  CHECK(defaultThreads({.ompNumThreads = "3"}) == 3);
  CHECK(defaultThreads({.ompNumThreads = "100000"}) == mostThreads);
  CHECK(defaultThreads({.ompNumThreads = "5", .ompThreadLimit = "2"}) == 2);
  CHECK(defaultThreads({.ompNumThreads = "0"}) == availableProcessors());
  CHECK(defaultThreads({}) == availableProcessors());
}

TEST_CASE("a processor that the affinity mask leaves out does not count") {
  cpu_set_t before, one;
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  CHECK(availableProcessors() == CPU_COUNT(&before));
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &before)) {
      CPU_SET(cpu, &one);
      break;
    }
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  CHECK(availableProcessors() == 1);
  REQUIRE(sched_setaffinity(0, sizeof before, &before) == 0);
}
