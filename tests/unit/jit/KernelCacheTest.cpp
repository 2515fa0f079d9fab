#include "TemporaryFolder.h"

#include "ringc/support/Error.h"

#include <doctest/doctest.h>

#include <chrono>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace ringc;
using namespace ringc::testing;

namespace {

size_t filesIn(const std::filesystem::path &path) {
  size_t count = 0;
  for ([[maybe_unused]] const auto &file : std::filesystem::directory_iterator(path))
    ++count;
  return count;
}

} // namespace

TEST_CASE("a kernel is compiled once, then found in memory, then on disk") {
  TemporaryFolder folder;
  WatchedCache first(folder.path() / "new" / "cache");
  auto kernel = first.get(requestFor(64));
  CHECK(first.get(requestFor(64)) == kernel);
  CHECK(first.compiles == 1);

  WatchedCache second(folder.path() / "new" / "cache");
  CHECK(second.isRight(64));
  CHECK(second.compiles == 0);
  CHECK(second.isRight(65));
  CHECK(second.compiles == 1);
  KernelCache::Counts counts = second.cache.counts();
  CHECK(counts.disk == 1);
  CHECK(counts.compiled == 1);
  CHECK(counts.memory == 0);
  CHECK(first.warnings.empty());
  CHECK(second.warnings.empty());
}

TEST_CASE("another chip, option, compiler or source is a miss") {
  TemporaryFolder folder;
  WatchedCache cache(folder.path());
  cache.get(requestFor(64));
  auto isMiss = [&](auto change) {
    KernelRequest request = requestFor(64);
    change(request);
    WatchedCache fresh(folder.path());
    fresh.get(request);
    int before = cache.compiles;
    cache.get(request); // from disk now
    return fresh.compiles == 1 && cache.compiles == before;
  };
  CHECK(isMiss([](KernelRequest &r) { r.target.chip = "znver4"; }));
  CHECK(isMiss([](KernelRequest &r) { r.target.features = "+avx512f"; }));
  CHECK(isMiss([](KernelRequest &r) { r.pipelineOptions = "fast"; }));
  CHECK(isMiss([](KernelRequest &r) { r.compilerBuild = "2"; }));
  CHECK(isMiss([](KernelRequest &r) { r.llvmVersion = "23"; }));
  CHECK(
      isMiss([](KernelRequest &r) { r.sources = SourceSet({{"a.tile", "a"}, {"b.tile", "c"}}); }));
  CHECK(!isMiss([](KernelRequest &) {}));
}

TEST_CASE("threads that ask for one kernel wait for one compile") {
  TemporaryFolder folder;
  KernelCache cache{KernelFolder(folder.path())};
  std::atomic<int> compiles = 0;
  std::vector<std::shared_ptr<const CompiledKernel>> kernels(8);
  std::vector<std::thread> threads;
  for (auto &kernel : kernels)
    threads.emplace_back([&] {
      kernel = cache.get(requestFor(64), [&] {
        ++compiles;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        return kernelFor(64);
      });
    });
  for (std::thread &thread : threads)
    thread.join();
  CHECK(compiles == 1);
  for (auto &kernel : kernels)
    CHECK(kernel == kernels[0]);
}

TEST_CASE("a failed compile is reported, and tried anew") {
  TemporaryFolder folder;
  WatchedCache cache(folder.path());
  auto fail = []() -> CompiledKernel { throw InputError("mask", "x", "a name"); };
  CHECK_THROWS_AS(cache.cache.get(requestFor(64), fail), InputError);
  CHECK_THROWS_AS(cache.cache.get(requestFor(64), fail), InputError);
  CHECK(cache.isRight(64));
  CHECK(filesIn(folder.path()) == 1);
}

TEST_CASE("processes that race for the same kernels all get them") {
  TemporaryFolder folder;
  std::vector<pid_t> children;
  for (int process = 0; process < 4; ++process) {
    pid_t child = fork();
    if (child == 0) {
      bool right = true;
      for (int round = 0; round < 5; ++round) {
        WatchedCache cache(folder.path());
        for (int64_t headDim = 1; headDim <= 20; ++headDim)
          right &= cache.isRight(headDim);
        right &= cache.warnings.empty();
        if (process == 0)
          KernelFolder(folder.path()).clear();
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
  WatchedCache cache(folder.path());
  for (int64_t headDim = 1; headDim <= 20; ++headDim)
    CHECK(cache.isRight(headDim));
  CHECK(filesIn(folder.path()) == 20);
}

TEST_CASE("list, find, clear") {
  TemporaryFolder folder;
  KernelFolder kernels(folder.path() / "cache");
  CHECK(kernels.list().empty());
  CHECK(kernels.clear() == 0);
  WatchedCache cache(kernels.path());
  for (int64_t headDim : {1, 2, 3})
    cache.get(requestFor(headDim));
  writeFile(kernels.path() / "notes.txt", "mine");
  writeFile(kernels.path() / ".tmp-of-a-running-process", "");
  writeFile(kernels.path() / ".tmp-left-by-a-killed-process", "");
  std::filesystem::last_write_time(kernels.path() / ".tmp-left-by-a-killed-process",
                                   std::filesystem::file_time_type::clock::now() -
                                       std::chrono::minutes(2));
  std::string broken = cacheKey(requestFor(2));
  writeFile(kernels.path() / (broken + ".kernel"), "junk");

  std::vector<KernelFolder::Entry> entries = kernels.list();
  CHECK(entries.size() == 3);
  for (const KernelFolder::Entry &entry : entries) {
    CHECK(entry.kernel.has_value() == (entry.key != broken));
    CHECK(entry.problem.empty() == (entry.key != broken));
    CHECK((entry.bytes > 3000) == (entry.key != broken));
  }
  CHECK(kernels.find(broken.substr(0, 12)).problem == "kernel file: cut short at 4 bytes");
  CHECK_THROWS_WITH_AS(kernels.find("x"),
                       "key: got x, allowed: the beginning of one key; 0 begin so", InputError);
  CHECK_THROWS_AS(kernels.find(""), InputError);

  CHECK(kernels.clear() == 3);
  CHECK(kernels.list().empty());
  CHECK(filesIn(kernels.path()) == 2);
}
