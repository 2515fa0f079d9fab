// Broken entries are misses; a folder that cannot be used costs one warning.

#include "TemporaryFolder.h"
#include "tests/unit/OtherUser.h"

#include <doctest/doctest.h>

#include <csignal>
#include <cstdio>
#include <functional>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace ringc;
using namespace ringc::testing;

namespace {

std::filesystem::path entryOf(const std::filesystem::path &folder, int64_t headDim) {
  return folder / (cacheKey(requestFor(headDim)) + ".kernel");
}

/// Damages the entry, then expects a compile, a right answer, no warning, and a good entry
/// afterwards.
void checkReplaced(const std::filesystem::path &folder, const std::function<void()> &damage) {
  WatchedCache(folder).get(requestFor(64));
  damage();
  WatchedCache cache(folder);
  CHECK(cache.isRight(64));
  CHECK(cache.compiles == 1);
  CHECK(cache.warnings.empty());
  WatchedCache after(folder);
  CHECK(after.isRight(64));
  CHECK(after.compiles == 0);
}

/// Expects right answers from memory alone and one warning that contains `reason`.
bool worksInMemory(const std::filesystem::path &folder, const std::string &reason) {
  WatchedCache cache(folder);
  bool right = true;
  for (int64_t headDim : {64, 65, 64, 65})
    right &= cache.isRight(headDim);
  if (cache.warnings.size() != 1 || cache.warnings[0].find(reason) == std::string::npos) {
    for (const std::string &warning : cache.warnings)
      std::fprintf(stderr, "unexpected: %s\n", warning.c_str());
    return false;
  }
  return right && cache.compiles == 2;
}

} // namespace

TEST_CASE("an entry cut short anywhere is a miss and is replaced") {
  TemporaryFolder folder;
  WatchedCache(folder.path()).get(requestFor(64));
  std::filesystem::path entry = entryOf(folder.path(), 64);
  size_t size = readFile(entry).size();
  for (size_t length : {size_t(0), size_t(1), size_t(8), size_t(31), size_t(32), size_t(63),
                        size_t(64), size_t(65), size_t(200), size - 3001, size - 3000, size - 1}) {
    CAPTURE(length);
    checkReplaced(folder.path(), [&] { std::filesystem::resize_file(entry, length); });
  }
  checkReplaced(folder.path(), [&] { std::filesystem::resize_file(entry, size + 1); });
}

TEST_CASE("an entry with a flipped bit is a miss and is replaced") {
  TemporaryFolder folder;
  WatchedCache(folder.path()).get(requestFor(64));
  std::filesystem::path entry = entryOf(folder.path(), 64);
  std::string good = readFile(entry);
  for (size_t bit = 0; bit < good.size() * 8; bit += 331) {
    CAPTURE(bit);
    checkReplaced(folder.path(), [&] {
      std::string bad = good;
      bad[bit / 8] ^= static_cast<char>(1 << bit % 8);
      writeFile(entry, bad);
    });
  }
}

TEST_CASE("an entry that is another's, a link, a pipe or writable by others is a miss") {
  TemporaryFolder folder;
  std::filesystem::path entry = entryOf(folder.path(), 64);
  checkReplaced(folder.path(), [&] {
    WatchedCache(folder.path()).get(requestFor(65));
    std::filesystem::copy_file(entryOf(folder.path(), 65), entry,
                               std::filesystem::copy_options::overwrite_existing);
  });
  checkReplaced(folder.path(), [&] {
    std::filesystem::rename(entry, folder.path() / "elsewhere");
    std::filesystem::create_symlink(folder.path() / "elsewhere", entry);
  });
  checkReplaced(folder.path(), [&] {
    std::filesystem::remove(entry);
    REQUIRE(mkfifo(entry.c_str(), 0600) == 0);
  });
  checkReplaced(folder.path(), [&] { REQUIRE(chmod(entry.c_str(), 0622) == 0); });
}

TEST_CASE("a folder that goes away is made again") {
  TemporaryFolder folder;
  WatchedCache cache(folder.path() / "cache");
  cache.get(requestFor(64));
  std::filesystem::remove_all(folder.path() / "cache");
  cache.get(requestFor(65));
  CHECK(cache.warnings.empty());
  CHECK(KernelFolder(folder.path() / "cache").list().size() == 1);
}

TEST_CASE("new folders are for their owner alone") {
  TemporaryFolder folder;
  WatchedCache(folder.path() / "a" / "b").get(requestFor(64));
  for (const char *made : {"a", "a/b"}) {
    struct stat status;
    REQUIRE(stat((folder.path() / made).c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
  }
}

TEST_CASE("a folder that others may write is refused") {
  TemporaryFolder folder;
  WatchedCache(folder.path()).get(requestFor(64));
  for (mode_t mode : {0777, 0720, 0702}) {
    REQUIRE(chmod(folder.path().c_str(), mode) == 0);
    CHECK(worksInMemory(folder.path(), "others may write to the folder; allowed: mode 0700"));
    CHECK_THROWS_AS(KernelFolder(folder.path()).list(), FolderError);
    CHECK_THROWS_AS(KernelFolder(folder.path()).clear(), FolderError);
  }
  CHECK(readFile(entryOf(folder.path(), 65)).empty());
}

TEST_CASE("a file in the folder's place, or above it, costs one warning") {
  TemporaryFolder folder;
  writeFile(folder.path() / "file", "");
  CHECK(worksInMemory(folder.path() / "file", "Not a directory"));
  CHECK(worksInMemory(folder.path() / "file" / "cache", "Not a directory"));
}

TEST_CASE("without any folder there is one warning") {
  std::vector<std::string> warnings;
  KernelCache cache(Env{}, [&](const std::string &message) { warnings.push_back(message); });
  CHECK(cache.get(requestFor(64), [] { return kernelFor(64); })->name == "kernel64");
  CHECK(warnings.size() == 1);
}

TEST_CASE("without permission to write, entries are read and new ones stay in memory") {
  TemporaryFolder folder;
  WatchedCache(folder.path()).get(requestFor(63));
  int status = asPlainUser({entryOf(folder.path(), 63), folder.path()}, [&] {
    chmod(folder.path().c_str(), 0500);
    bool inMemory = worksInMemory(folder.path(), "Permission denied");
    WatchedCache cache(folder.path());
    bool read = cache.isRight(63) && cache.compiles == 0 && cache.warnings.empty();
    chmod(folder.path().c_str(), 0700);
    return inMemory && read ? 0 : 1;
  });
  if (status == notTried)
    MESSAGE("skipped: a folder without permission: root cannot become another user");
  else
    CHECK(status == 0);
}

TEST_CASE("another user's folder is refused") {
  TemporaryFolder folder;
  if (geteuid() != 0) // /usr is root's
    CHECK(worksInMemory("/usr", "belongs to another user"));
  else if (chown(folder.path().c_str(), 65534, 65534) == 0)
    CHECK(worksInMemory(folder.path(), "belongs to another user"));
  else
    MESSAGE("skipped: another user's folder: root may not give one away");
}

TEST_CASE("a limit on file sizes costs one warning, not the process") {
  TemporaryFolder folder;
  CHECK(inChild([&] {
          rlimit limit = {1000, 1000};
          setrlimit(RLIMIT_FSIZE, &limit);
          bool right = worksInMemory(folder.path(), "File too large");
          return right && std::filesystem::is_empty(folder.path()) ? 0 : 1;
        }) == 0);
}

TEST_CASE("a full disk costs one warning") {
  TemporaryFolder folder;
  int status = inChild([&] {
    // Mounts of a process with a namespace of its own go with it.
    if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", folder.path().c_str(), "tmpfs", 0, "size=4k,mode=0700") != 0)
      return notTried;
    writeFile(folder.path() / "filler", std::string(4096, 'x'));
    bool right = worksInMemory(folder.path(), "No space left on device");
    return right && readFile(entryOf(folder.path(), 64)).empty() ? 0 : 1;
  });
  if (status == notTried)
    MESSAGE("skipped: a full disk: may not mount a small one");
  else
    CHECK(status == 0);
}
