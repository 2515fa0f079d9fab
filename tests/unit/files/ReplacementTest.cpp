// What becomes of files that are there already.

#include "ringc/files/Safetensors.h"
#include "ringc/files/TensorFile.h"
#include "tests/unit/files/FileFixtures.h"

#include <doctest/doctest.h>

#include <array>
#include <csignal>
#include <cstring>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

mode_t modeOf(const std::string &path) {
  struct stat status = {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

std::string checked(const std::string &target, const std::string &source) {
  return messageOf([&] { checkTargets(std::array{target}, std::array{source}); });
}

} // namespace

TEST_CASE("two spellings of a file that is not there yet are one file") {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder / "sub");
  REQUIRE(symlink("sub", (folder / "link").c_str()) == 0);
  for (std::string other : {"sub/./o.npy", "sub/../sub/o.npy", "link/o.npy", "sub//o.npy"}) {
    CHECK(contains(messageOf([&] { write({folder / "sub/o.npy", folder / other}); }),
                   "is the target of two tensors"));
    CHECK(
        contains(messageOf([&] { checkTargets(std::array{folder / "sub/o.npy", folder / other}); }),
                 "is the target of two tensors"));
  }
  write({folder / "sub/g.safetensors:a", folder / "link/g.safetensors:b"});
  CHECK(valuesOf(readTensor(folder / "sub/g.safetensors:a")) == std::vector<double>{1, 2, 3});
  CHECK(valuesOf(readTensor(folder / "sub/g.safetensors:b")) == std::vector<double>{1, 2, 3});
}

TEST_CASE("two spellings in the working folder") {
  TemporaryFolder folder;
  std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  std::string message = messageOf([&] { write({"o.npy", "./o.npy"}); });
  std::string absolute = messageOf([&] { write({folder / "o.npy", "o.npy"}); });
  write({"g.safetensors:a", "./g.safetensors:b"});
  std::filesystem::current_path(before);
  CHECK(contains(message, "is the target of two tensors"));
  CHECK(contains(absolute, "is the target of two tensors"));
  CHECK(messageOf([&] { readTensor(folder / "g.safetensors:a"); }) == "");
  CHECK(folder.fileCount() == 1);
}

TEST_CASE("of two names of one file each gets its own tensor") {
  TemporaryFolder folder;
  write({folder / "a.npy"});
  std::filesystem::create_hard_link(folder / "a.npy", folder / "b.npy");
  HostTensor other(DType::I32, {2});
  std::array<TensorOutput, 2> outputs = {{{folder / "a.npy", tensor}, {folder / "b.npy", other}}};
  writeTensors(outputs);
  CHECK(describe(readTensor(folder / "a.npy")) == "f32[3]");
  CHECK(describe(readTensor(folder / "b.npy")) == "i32[2]");
}

TEST_CASE("a file that is replaced keeps its mode, a new one has that of umask") {
  TemporaryFolder folder;
  mode_t before = umask(027);
  write({folder / "new.npy", folder / "new.safetensors:x"});
  CHECK(modeOf(folder / "new.npy") == 0640);
  CHECK(modeOf(folder / "new.safetensors") == 0640);
  for (mode_t mode : {0600, 0644, 0666, 0640}) {
    chmod((folder / "new.npy").c_str(), mode);
    chmod((folder / "new.safetensors").c_str(), mode);
    write({folder / "new.npy", folder / "new.safetensors:y"});
    CHECK(modeOf(folder / "new.npy") == mode);
    CHECK(modeOf(folder / "new.safetensors") == mode);
  }
  umask(before);
}

TEST_CASE("a file of tensors keeps those of other names, and its metadata") {
  TemporaryFolder folder;
  std::string path = folder / "x.safetensors";
  std::filesystem::copy_file(fixture("types.safetensors"), path);
  HostTensor single(DType::Bool, {1});
  std::array<TensorOutput, 2> outputs = {{{path + ":out", tensor}, {path + ":u8", single}}};
  writeTensors(outputs);
  for (std::string name :
       {"f32", "f16", "bf16", "i32", "i64", "bool", "scalar", "empty", "\xc3\xbcmlaut:colon"})
    CHECK(valuesOf(readTensor(path + ":" + name)) ==
          valuesOf(readTensor(fixture("types.safetensors") + ":" + name)));
  HostTensor f64 = readTensor(path + ":f64", {.as = {DType::F32}});
  CHECK(valuesOf(f64) == values24([](int i) { return i; }));
  CHECK(valuesOf(readTensor(path + ":out")) == std::vector<double>{1, 2, 3});
  CHECK(describe(readTensor(path + ":u8")) == "bool[1]");
  std::string bytes = bytesOf(path);
  CHECK(contains(bytes, R"("__metadata__":{"made":"by safetensors"})"));
  uint64_t length;
  std::memcpy(&length, bytes.data(), sizeof length);
  CHECK(length % 8 == 0);
  write({path + ":out"}); // again: nothing moves
  CHECK(bytesOf(path) == bytes);
}

TEST_CASE("what is no file of tensors is not replaced by one") {
  TemporaryFolder folder;
  std::string path = folder / "x.safetensors";
  writeBytes(path, "a letter");
  CHECK(contains(messageOf([&] { write({path + ":out"}); }), path + ": the header claims"));
  CHECK(contains(messageOf([&] { checkTargets(std::array{path + ":out"}); }),
                 path + ": the header claims"));
  CHECK(bytesOf(path) == "a letter");
  writeBytes(path, ""); // as mktemp leaves it
  write({path + ":out"});
  CHECK(describe(readTensor(path + ":out")) == "f32[3]");
  CHECK(folder.fileCount() == 1);
}

TEST_CASE("a target that is an input is refused") {
  TemporaryFolder folder;
  write({folder / "q.npy", folder / "x.safetensors:q"});
  REQUIRE(symlink("q.npy", (folder / "link.npy").c_str()) == 0);
  std::string q = folder / "q.npy", file = folder / "x.safetensors";
  CHECK(checked(q, q) == q + ": is also an input, " + q + ", which it would replace");
  CHECK(contains(checked(folder / "link.npy", q), "is also an input"));
  CHECK(contains(checked(q, folder / "./link.npy"), "is also an input"));
  CHECK(contains(checked(file + ":q", file + ":q"), "is also an input"));
  CHECK(checked(file + ":out", file + ":q") == "");
  CHECK(checked(folder / "out.npy", q) == "");
  writeBytes(folder / "m.tile", "");
  REQUIRE(symlink("m.tile", (folder / "m.npy").c_str()) == 0);
  CHECK(contains(checked(folder / "m.npy", folder / "m.tile"), "is also an input"));
}

TEST_CASE("signals leave no temporary file behind, and end the process") {
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    TemporaryFolder folder;
    pid_t child = fork();
    if (child == 0) {
      removeTemporaryFilesOnSignals();
      OutputFile first(folder / "a.npy"), second(folder / "b.npy");
      first.write("half of it");
      std::raise(signal);
      _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == signal);
    CHECK(folder.fileCount() == 0);
  }
}

TEST_CASE("a signal that was ignored stays so") {
  TemporaryFolder folder;
  pid_t child = fork();
  if (child == 0) {
    std::signal(SIGHUP, SIG_IGN); // as nohup does
    removeTemporaryFilesOnSignals();
    OutputFile file(folder / "a.npy");
    std::raise(SIGHUP);
    file.close();
    file.publish();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(folder.fileCount() == 1);
}
