#pragma once

#include "ringc/files/TemporaryNames.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <sys/types.h>

namespace ringc {

/// A regular file opened for reading, and its size when it was opened. Every failure is an
/// InputError that starts with the path.
class InputFile {
public:
  explicit InputFile(std::string path);
  InputFile(InputFile &&) = delete;
  ~InputFile();

  const std::string &path() const { return name; }
  int64_t size() const { return bytes; }

  /// Fills `into` from `offset`; a file that has shrunk since is an error.
  void read(int64_t offset, std::span<std::byte> into) const;

  /// InputError "<path>: <what>".
  [[noreturn]] void fail(const std::string &what) const;

private:
  std::string name;
  int descriptor = -1;
  int64_t bytes = 0;
};

/// Where a path leads, whether there is a file or not: equal for all spellings of one place, also
/// through symbolic links. Two hard links are two places: writing to one does not change the other.
struct FilePlace {
  dev_t device = 0;
  ino_t folder = 0;
  std::string name; ///< in the folder

  bool operator==(const FilePlace &) const = default;
};

/// Nothing where the folder is not there.
std::optional<FilePlace> placeOf(const std::string &path);

/// A file that appears under its name only when it is complete: written beside it under a temporary
/// name, which `publish` renames and the destructor removes. One that replaces another has its
/// mode, and where that is possible its owner. Every failure is an InputError that starts with the
/// path.
class OutputFile {
public:
  explicit OutputFile(std::string path);
  OutputFile(OutputFile &&other) noexcept;
  ~OutputFile();

  void write(std::span<const std::byte> data);
  void write(const std::string &text) { write(std::as_bytes(std::span(text))); }

  /// Hands everything to the system and reports what it could not take (a full disk).
  void close();

  /// After `close`. Replaces a file of that name.
  void publish();

private:
  void takeModeOf(const std::string &replaced);
  [[noreturn]] void failWithErrno(const std::string &doing) const;

  std::string name;
  std::string finalPath; ///< behind symbolic links
  std::string temporaryPath;
  std::optional<TemporaryName> temporaryName;
  int descriptor = -1;
};

/// Throws InputError unless a file at `path` could be written: its folder exists and takes new
/// files, and what is there already is a regular file that may be written.
void checkWritable(const std::string &path);

} // namespace ringc
