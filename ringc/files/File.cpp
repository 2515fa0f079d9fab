#include "ringc/files/File.h"

#include "ringc/support/Error.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <random>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace ringc {

namespace {

/// Linux moves at most this much in one call.
constexpr size_t maxTransfer = 0x7ffff000;

[[noreturn]] void failWith(const std::string &path, const std::string &doing, int error) {
  throw InputError(path + ": " + doing + ": " + std::generic_category().message(error));
}

/// The file behind `path`, which need not exist; links are followed so that a rename does not
/// replace one.
std::string resolve(const std::string &path) {
  if (char *real = realpath(path.c_str(), nullptr)) {
    std::string result = real;
    std::free(real);
    return result;
  }
  struct stat status;
  if (errno == ENOENT && lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode))
    throw InputError(path + ": is a symbolic link to nothing");
  return path;
}

std::string folderOf(const std::string &path) {
  std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

} // namespace

InputFile::InputFile(std::string path) : name(std::move(path)) {
  // Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
  descriptor = open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    failWith(name, "cannot be read", errno);
  struct stat status;
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    fail(S_ISDIR(status.st_mode) ? "a folder, not a regular file" : "not a regular file");
  }
  bytes = int64_t(status.st_size);
}

InputFile::~InputFile() { ::close(descriptor); }

void InputFile::read(int64_t offset, std::span<std::byte> into) const {
  while (!into.empty()) {
    ssize_t got = pread(descriptor, into.data(), std::min(into.size(), maxTransfer), offset);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      failWith(name, "cannot be read", errno);
    if (got == 0)
      fail("ends at byte " + std::to_string(offset) + ", where " + std::to_string(into.size()) +
           " more were expected");
    offset += got;
    into = into.subspan(size_t(got));
  }
}

void InputFile::fail(const std::string &what) const { throw InputError(name + ": " + what); }

OutputFile::OutputFile(std::string path) : name(std::move(path)) {
  checkWritable(name);
  finalPath = resolve(name);
  std::random_device random; // processes that share a folder may have one number
  do {
    temporaryPath = folderOf(finalPath) + "/.ringc-" + std::to_string(getpid()) + "-" +
                    std::to_string(random()) + ".tmp";
    temporaryName.emplace(temporaryPath); // known before it is there
    // Until it has the mode of what it replaces, nobody else may open it.
    bool replaces = access(finalPath.c_str(), F_OK) == 0;
    descriptor = open(temporaryPath.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                      replaces ? 0600 : 0666);
  } while (descriptor < 0 && errno == EEXIST);
  if (descriptor < 0) {
    temporaryPath.clear();
    failWithErrno("cannot be written");
  }
  takeModeOf(finalPath);
}

void OutputFile::takeModeOf(const std::string &replaced) {
  struct stat old, now;
  if (stat(replaced.c_str(), &old) != 0 || fstat(descriptor, &now) != 0)
    return;
  // Another's file stays his where this process may do so.
  if ((old.st_uid != now.st_uid || old.st_gid != now.st_gid) &&
      fchown(descriptor, old.st_uid, old.st_gid) != 0 && old.st_gid != now.st_gid)
    (void)!fchown(descriptor, uid_t(-1), old.st_gid);
  (void)!fchmod(descriptor, old.st_mode & 0777); // some file systems have no modes
}

OutputFile::OutputFile(OutputFile &&other) noexcept
    : name(std::move(other.name)), finalPath(std::move(other.finalPath)),
      temporaryPath(std::exchange(other.temporaryPath, {})),
      temporaryName(std::move(other.temporaryName)),
      descriptor(std::exchange(other.descriptor, -1)) {}

OutputFile::~OutputFile() {
  if (descriptor >= 0)
    ::close(descriptor);
  if (!temporaryPath.empty())
    unlink(temporaryPath.c_str());
}

void OutputFile::write(std::span<const std::byte> data) {
  while (!data.empty()) {
    ssize_t put = ::write(descriptor, data.data(), std::min(data.size(), maxTransfer));
    if (put < 0 && errno == EINTR)
      continue;
    if (put < 0)
      failWithErrno("cannot be written");
    data = data.subspan(size_t(put));
  }
}

void OutputFile::close() {
  if (::close(std::exchange(descriptor, -1)) != 0)
    failWithErrno("cannot be written");
}

void OutputFile::publish() {
  assert(descriptor < 0 && !temporaryPath.empty());
  if (rename(temporaryPath.c_str(), finalPath.c_str()) != 0)
    failWithErrno("cannot be replaced");
  temporaryPath.clear();
  temporaryName.reset();
}

void OutputFile::failWithErrno(const std::string &doing) const { failWith(name, doing, errno); }

std::optional<FilePlace> placeOf(const std::string &path) {
  std::string target = path;
  if (char *real = realpath(path.c_str(), nullptr)) {
    target = real;
    std::free(real);
  }
  std::string last = std::filesystem::path(target).filename().string();
  struct stat folder;
  if (stat(folderOf(target).c_str(), &folder) != 0)
    return std::nullopt;
  return FilePlace{.device = folder.st_dev, .folder = folder.st_ino, .name = last};
}

void checkWritable(const std::string &path) {
  std::string target = resolve(path);
  struct stat status;
  if (stat(target.c_str(), &status) == 0) {
    if (!S_ISREG(status.st_mode))
      throw InputError(path + ": is there already and not a regular file");
    if (faccessat(AT_FDCWD, target.c_str(), W_OK, AT_EACCESS) != 0)
      failWith(path, "cannot be written", errno);
  } else if (errno != ENOENT) {
    failWith(path, "cannot be written", errno);
  }
  if (faccessat(AT_FDCWD, folderOf(target).c_str(), W_OK | X_OK, AT_EACCESS) != 0)
    failWith(path, "cannot be written", errno);
}

} // namespace ringc
