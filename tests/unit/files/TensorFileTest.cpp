#include "ringc/files/TensorFile.h"
#include "tests/unit/OtherUser.h"
#include "tests/unit/files/FileFixtures.h"

#include <doctest/doctest.h>

#include <array>
#include <csignal>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace ringc;

namespace {

std::array<float, 3> memory = {1, 2, 3};
const Tensor tensor(memory.data(), DType::F32, {3});

void write(const std::vector<std::string> &targets, const Tensor &what = tensor) {
  std::vector<TensorOutput> outputs;
  for (const std::string &target : targets)
    outputs.push_back({target, what});
  writeTensors(outputs);
}

/// While it lives, no file of this process grows beyond `bytes`: a full disk.
class FileSizeLimit {
public:
  explicit FileSizeLimit(rlim_t bytes) : oldHandler(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old);
    rlimit now = {bytes, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &now);
  }
  FileSizeLimit(FileSizeLimit &&) = delete;
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old);
    std::signal(SIGXFSZ, oldHandler);
  }

private:
  rlimit old{};
  void (*oldHandler)(int);
};

/// While it lives, this process is a user who may do nothing in particular, and the folder is his:
/// root may write anywhere.
class Unprivileged {
public:
  explicit Unprivileged(const std::string &folder) {
    constexpr uid_t nobody = 65534;
    if (geteuid() != 0)
      return;
    for (const auto &entry : std::filesystem::directory_iterator(folder))
      REQUIRE(chown(entry.path().c_str(), nobody, nobody) == 0);
    REQUIRE(chown(folder.c_str(), nobody, nobody) == 0);
    REQUIRE(seteuid(nobody) == 0);
    wasRoot = true;
  }
  Unprivileged(Unprivileged &&) = delete;
  ~Unprivileged() {
    if (wasRoot)
      REQUIRE(seteuid(0) == 0);
  }

private:
  bool wasRoot = false;
};

} // namespace

TEST_CASE("the format is the one that the name ends in") {
  TemporaryFolder folder;
  write({folder / "a.npy", folder / "b.safetensors:x", folder / "b.safetensors:y.npy"});
  CHECK(folder.fileCount() == 2);
  for (std::string name : {"a.npy", "b.safetensors:x", "b.safetensors:y.npy"})
    CHECK(valuesOf(readTensor(folder / name)) == std::vector<double>{1, 2, 3});

  for (std::string name : {"", "a", "a.npz", "a.npz:", "a.npy:x", "a.safetensors",
                           "a.safetensors:", ".NPY", "/dev/null"}) {
    std::string got = "tensor file: got '" + name + "', allowed: FILE.npy, ";
    std::string expected = got + "FILE.safetensors:NAME";
    CHECK(messageOf([&] { readTensor(name); }) == got + "FILE.npz:NAME, FILE.safetensors:NAME");
    CHECK(messageOf([&] { write({name}); }) == expected);
    CHECK(messageOf([&] { checkTargets(std::array{name}); }) == expected);
  }
}

TEST_CASE("nothing is written when any target is bad") {
  TemporaryFolder folder;
  std::string good = folder / "good.npy", bad, expected;
  SUBCASE("format") {
    bad = folder / "bad.txt";
    expected = "FILE.npy";
  }
  SUBCASE("folder that is not there") {
    bad = folder / "none/bad.npy";
    expected = "bad.npy: cannot be written: No such file or directory";
  }
  SUBCASE("folder that takes no files") {
    bad = "/proc/bad.npy";
    expected = "cannot be written";
  }
  SUBCASE("a file for a folder") {
    writeBytes(folder / "file", "x");
    bad = folder / "file/bad.npy";
    expected = "cannot be written: Not a directory";
  }
  SUBCASE("a folder of that name") {
    bad = folder / "bad.npy";
    mkdir(bad.c_str(), 0777);
    expected = "not a regular file";
  }
  SUBCASE("a link to a device") {
    bad = folder / "bad.npy";
    REQUIRE(symlink("/dev/null", bad.c_str()) == 0);
    expected = "not a regular file";
  }
  SUBCASE("a link to nothing") {
    bad = folder / "bad.npy";
    REQUIRE(symlink("nothing", bad.c_str()) == 0);
    expected = "a symbolic link to nothing";
  }
  SUBCASE("the same file twice") {
    bad = folder.path() + "/../" + folder.path().substr(folder.path().rfind('/') + 1) + "/good.npy";
    expected = "is the target of two tensors";
  }
  size_t before = folder.fileCount();
  CHECK(contains(messageOf([&] { write({good, bad}); }), expected));
  if (bad != "/proc/bad.npy") // root may write there, were it not for the file system
    CHECK(contains(messageOf([&] { checkTargets(std::array{good, bad}); }), expected));
  CHECK(folder.fileCount() == before);
}

TEST_CASE("the same tensor of one file twice is refused") {
  TemporaryFolder folder;
  std::string target = folder / "x.safetensors:a";
  CHECK(contains(messageOf([&] { write({target, target}); }), "is the target of two tensors"));
  CHECK(folder.fileCount() == 0);
}

TEST_CASE("without permission nothing is written") {
  TemporaryFolder folder;
  write({folder / "kept.npy"});
  chmod((folder / "kept.npy").c_str(), 0444);
  Unprivileged user(folder.path());
  CHECK(contains(messageOf([&] { write({folder / "kept.npy"}); }), "Permission denied"));
  CHECK(contains(messageOf([&] { checkTargets(std::array{folder / "kept.npy"}); }),
                 "Permission denied"));
  chmod(folder.path().c_str(), 0555);
  CHECK(contains(messageOf([&] { write({folder / "new.npy"}); }), "Permission denied"));
  CHECK(contains(messageOf([&] { checkTargets(std::array{folder / "new.npy"}); }),
                 "Permission denied"));
  chmod(folder.path().c_str(), 0755);
  CHECK(folder.fileCount() == 1);
}

TEST_CASE("a full disk leaves what was there, and nothing else") {
  TemporaryFolder folder;
  write({folder / "a.npy"});
  std::string before = bytesOf(folder / "a.npy");
  HostTensor large(DType::F32, {100'000});
  std::string message;
  {
    FileSizeLimit limit(4096);
    message = messageOf([&] { write({folder / "a.npy", folder / "b.safetensors:x"}, large); });
  }
  CHECK(contains(message, "a.npy: cannot be written: "));
  CHECK(bytesOf(folder / "a.npy") == before);
  CHECK(folder.fileCount() == 1);
}

TEST_CASE("a file is replaced through a link, and may be the input's") {
  TemporaryFolder folder;
  write({folder / "real.npy"});
  REQUIRE(symlink("real.npy", (folder / "link.npy").c_str()) == 0);
  HostTensor more(DType::I32, {2, 2});
  write({folder / "link.npy"}, more);
  CHECK(std::filesystem::is_symlink(folder / "link.npy"));
  CHECK(describe(readTensor(folder / "real.npy")) == "i32[2, 2]");
}

TEST_CASE("a name as long as the file system takes is written") {
  TemporaryFolder folder;
  write({folder / (std::string(251, 'n') + ".npy")});
  CHECK(folder.fileCount() == 1);
}
