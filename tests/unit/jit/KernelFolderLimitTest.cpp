// The folder of kernels stays below its limit; what was used longest ago goes first.

#include "TemporaryFolder.h"

#include "ringc/support/Error.h"

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

using namespace ringc;
using namespace ringc::testing;

namespace {

std::string keyOf(int64_t headDim) { return cacheKey(requestFor(headDim)); }

int64_t bytesIn(const KernelFolder &folder) {
  int64_t sum = 0;
  for (const KernelFolder::Entry &entry : folder.list())
    sum += entry.bytes;
  return sum;
}

/// As if it had last been used `hours` ago.
void age(const KernelFolder &folder, int64_t headDim, int hours) {
  std::filesystem::last_write_time(folder.path() / (keyOf(headDim) + ".kernel"),
                                   std::filesystem::file_time_type::clock::now() -
                                       std::chrono::hours(hours));
}

int64_t bytesOfOne(const std::filesystem::path &path) {
  KernelFolder folder(path);
  folder.store(keyOf(1), kernelFor(1));
  int64_t bytes = bytesIn(folder);
  folder.clear();
  return bytes;
}

} // namespace

TEST_CASE("kernels that were used longest ago go, an eighth of the limit at a time") {
  TemporaryFolder place;
  int64_t one = bytesOfOne(place.path());
  KernelFolder folder(place.path(), 8 * one + one / 2);
  for (int64_t headDim = 1; headDim <= 8; ++headDim) {
    folder.store(keyOf(headDim), kernelFor(headDim));
    age(folder, headDim, 100 - int(headDim));
  }
  CHECK(folder.list().size() == 8);
  CHECK(folder.load(keyOf(1)));        // the oldest is used again
  CHECK(folder.find(keyOf(2)).kernel); // to look at one is no use of it
  folder.store(keyOf(9), kernelFor(9));
  CHECK(folder.list().size() == 7);
  CHECK(bytesIn(folder) <= folder.limit() - folder.limit() / 8);
  CHECK(!folder.load(keyOf(2)));
  CHECK(!folder.load(keyOf(3)));
  for (int64_t headDim : {1, 4, 5, 6, 7, 8, 9})
    CHECK_MESSAGE(folder.load(keyOf(headDim)), headDim);
}

TEST_CASE("what is not a kernel stays, and killed processes' files go with the first that must") {
  TemporaryFolder place;
  int64_t one = bytesOfOne(place.path());
  writeFile(place.path() / "notes.txt", std::string(100000, 'x'));
  writeFile(place.path() / ".tmp-left", "x");
  std::filesystem::last_write_time(place.path() / ".tmp-left",
                                   std::filesystem::file_time_type::clock::now() -
                                       std::chrono::minutes(2));
  KernelFolder folder(place.path(), 2 * one);
  folder.store(keyOf(1), kernelFor(1));
  age(folder, 1, 1);
  CHECK(std::filesystem::exists(place.path() / ".tmp-left"));
  folder.store(keyOf(2), kernelFor(2));
  CHECK(folder.list().size() == 2);
  folder.store(keyOf(3), kernelFor(3));
  CHECK(folder.list().size() == 1);
  CHECK(folder.load(keyOf(3)));
  CHECK(std::filesystem::exists(place.path() / "notes.txt"));
  CHECK(!std::filesystem::exists(place.path() / ".tmp-left"));
}

TEST_CASE("a kernel larger than the limit is not kept, and costs no other its place") {
  TemporaryFolder place;
  int64_t one = bytesOfOne(place.path());
  KernelFolder(place.path()).store(keyOf(1), kernelFor(1));
  KernelFolder tiny(place.path(), one - 1);
  tiny.store(keyOf(2), kernelFor(2));
  CHECK(tiny.load(keyOf(1)));
  CHECK(!tiny.load(keyOf(2)));
  WatchedCache cache(place.path());
  CHECK(cache.isRight(1));
}

TEST_CASE("processes that race stay below the limit, and get every kernel") {
  TemporaryFolder place;
  int64_t one = bytesOfOne(place.path());
  int64_t limit = 7 * one;
  std::vector<pid_t> children;
  for (int process = 0; process < 4; ++process) {
    pid_t child = fork();
    if (child == 0) {
      bool right = true;
      for (int round = 0; round < 10; ++round) {
        KernelCache cache(KernelFolder(place.path(), limit),
                          [&](const std::string &) { right = false; });
        for (int64_t headDim = 1; headDim <= 20; ++headDim)
          right &= cache.get(requestFor(headDim), [&] { return kernelFor(headDim); })->code ==
                   kernelFor(headDim).code;
      }
      _exit(right ? 0 : 1);
    }
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(status == 0);
  }
  KernelFolder folder(place.path(), limit);
  CHECK(bytesIn(folder) <= limit);
  CHECK(!folder.list().empty());
  for (const KernelFolder::Entry &entry : folder.list())
    CHECK_MESSAGE(entry.kernel.has_value(), entry.problem);
}

TEST_CASE("the limit follows RINGC_CACHE_BYTES") {
  CHECK(kernelFolderLimit({}) == int64_t(1) << 30);
  CHECK(kernelFolderLimit({.cacheBytes = "0"}) == 0);
  CHECK(kernelFolderLimit({.cacheBytes = "123456789012"}) == 123456789012);
  for (const char *text : {"1G", "-1", " 1", "1 ", "0x10", "1e9", "99999999999999999999", "+5"})
    CHECK_THROWS_WITH_AS(kernelFolderLimit({.cacheBytes = text}),
                         ("RINGC_CACHE_BYTES: got " + std::string(text) +
                          ", allowed: a number of bytes, or 0 for no limit")
                             .c_str(),
                         InputError);
}
