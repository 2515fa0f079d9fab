#include "ringc/jit/EntryFile.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <random>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace ringc {

namespace {

/// While it lives, writing beyond RLIMIT_FSIZE fails with EFBIG in this thread and does not end the
/// process.
class FileSizeSignalBlocker {
public:
  FileSizeSignalBlocker() {
    sigemptyset(&signals);
    sigaddset(&signals, SIGXFSZ);
    sigset_t pending;
    sigpending(&pending);
    wasPending = sigismember(&pending, SIGXFSZ) == 1;
    pthread_sigmask(SIG_BLOCK, &signals, &before);
  }
  ~FileSizeSignalBlocker() {
    timespec now = {};
    if (!wasPending)
      sigtimedwait(&signals, nullptr, &now);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  FileSizeSignalBlocker(const FileSizeSignalBlocker &) = delete;
  FileSizeSignalBlocker &operator=(const FileSizeSignalBlocker &) = delete;

private:
  sigset_t signals, before;
  bool wasPending = false;
};

/// 0 or the errno.
int writeAll(int fd, std::string_view bytes) {
  FileSizeSignalBlocker blocker;
  while (!bytes.empty()) {
    ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return written < 0 ? errno : EIO;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

} // namespace

FolderError::FolderError(const std::filesystem::path &path, std::string_view action, int error)
    : std::runtime_error(path.string() + ": cannot " + std::string(action) + ": " +
                         std::generic_category().message(error)) {}

FileDescriptor::~FileDescriptor() {
  if (fd >= 0)
    ::close(fd);
}

int FileDescriptor::close() { return ::close(std::exchange(fd, -1)) == 0 ? 0 : errno; }

std::optional<std::string> readEntry(const FileDescriptor &folder, const std::string &name,
                                     Look look) {
  // Without O_NONBLOCK a FIFO of that name would hang us.
  FileDescriptor file(
      openat(folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  struct stat status;
  if (!file || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
      status.st_uid != geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)))
    return std::nullopt;
  constexpr off_t largest = off_t(1) << 30;
  if (status.st_size > largest)
    return std::nullopt;
  std::string bytes(static_cast<size_t>(status.st_size), '\0');
  for (size_t done = 0; done < bytes.size();) {
    ssize_t count = ::read(file.get(), bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return std::nullopt;
    done += static_cast<size_t>(count);
  }
  constexpr time_t stampLasts = 60; // seconds: who starts often need not write every time
  if (look == Look::Use && std::time(nullptr) - status.st_mtim.tv_sec > stampLasts)
    futimens(file.get(), nullptr); // where it fails, it counts as unused
  return bytes;
}

void writeEntry(const FileDescriptor &folder, const std::filesystem::path &path,
                const std::string &name, std::string_view bytes) {
  // Process ids repeat where several containers share a folder; random numbers do not.
  std::random_device random;
  std::string temporary(temporaryPrefix);
  for (int word = 0; word < 4; ++word) {
    char digits[16];
    temporary.append(digits, std::snprintf(digits, sizeof digits, "%08x", unsigned(random())));
  }

  FileDescriptor file(openat(folder.get(), temporary.c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file)
    throw FolderError(path, "create a file", errno);
  int error = writeAll(file.get(), bytes);
  if (int closing = file.close(); error == 0)
    error = closing;
  if (error == 0 && renameat(folder.get(), temporary.c_str(), folder.get(), name.c_str()) != 0)
    error = errno;
  if (error != 0) {
    unlinkat(folder.get(), temporary.c_str(), 0);
    throw FolderError(path, "write a file", error);
  }
}

} // namespace ringc
