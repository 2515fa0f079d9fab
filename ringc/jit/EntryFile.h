#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace ringc {

/// The folder of kernels cannot be used: it may be written by others, is full, or is not ours.
/// Names the path and the reason.
class FolderError : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
  /// "PATH: cannot ACTION: MESSAGE OF ERRNO"
  FolderError(const std::filesystem::path &path, std::string_view action, int error);
};

/// Owner of a POSIX file descriptor.
class FileDescriptor {
public:
  FileDescriptor() = default;
  explicit FileDescriptor(int descriptor) : fd(descriptor) {}
  FileDescriptor(FileDescriptor &&other) noexcept : fd(std::exchange(other.fd, -1)) {}
  FileDescriptor &operator=(FileDescriptor &&other) noexcept {
    std::swap(fd, other.fd);
    return *this;
  }
  ~FileDescriptor();

  int get() const { return fd; }
  explicit operator bool() const { return fd >= 0; }
  /// Closes, and returns 0 or the errno: some file systems report a full disk only here.
  int close();

private:
  int fd = -1;
};

/// Whether looking at an entry counts as using it.
enum class Look : uint8_t { Use, Inspect };

/// All bytes of the file `name` of `folder`; nothing where there is none that we own and that
/// others cannot write. Links are not followed. A file's modification time says when it was last
/// used, to the minute: access times are off on many mounts.
std::optional<std::string> readEntry(const FileDescriptor &folder, const std::string &name,
                                     Look look);

/// Writes `bytes` under a temporary name and renames it to `name`, so that readers see all or
/// nothing and the last of several writers wins. Throws FolderError, leaving nothing behind.
void writeEntry(const FileDescriptor &folder, const std::filesystem::path &path,
                const std::string &name, std::string_view bytes);

/// Names that `writeEntry` uses on the way begin with this; one that is left over comes from a
/// process that was killed.
inline constexpr std::string_view temporaryPrefix = ".tmp-";

} // namespace ringc
