#pragma once

#include "ringc/Env.h"
#include "ringc/compiler/spec/CompiledKernel.h"
#include "ringc/jit/EntryFile.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringc {

/// Where compiled kernels are kept: RINGC_CACHE_DIR, else $XDG_CACHE_HOME/ringc, else
/// $HOME/.cache/ringc; nothing without any.
std::optional<std::filesystem::path> kernelFolderPath(const Env &env);

/// How many bytes the folder may hold: RINGC_CACHE_BYTES, 1 GiB if it is not set; 0 is no limit.
/// Throws InputError where it is no number of bytes.
int64_t kernelFolderLimit(const Env &env);

/// A folder of compiled kernels, one file KEY.kernel for each, shared by any number of processes.
///
/// It holds code that runs: the folder is made with mode 0700, and one that is not ours or that
/// others may write is refused with FolderError, whatever is asked of it. Files carry a checksum
/// and their key; one that is broken, cut short, or not ours is as good as none.
///
/// Where a new kernel makes it larger than its limit, those that were used longest ago go, until it
/// is an eighth below. Any number of processes may do so at once: one that reads a kernel that goes
/// has it all, and who comes later compiles it again.
class KernelFolder {
public:
  /// `limit` in bytes of all entries together; 0 is none.
  explicit KernelFolder(std::filesystem::path path, int64_t limit = 0)
      : folder(std::move(path)), mostBytes(limit) {}

  const std::filesystem::path &path() const { return folder; }
  int64_t limit() const { return mostBytes; }

  std::optional<CompiledKernel> load(std::string_view key) const;

  /// Makes the folder if need be; replaces what is there. A kernel larger than the limit is not
  /// kept. Throws FolderError where there is no space or permission.
  void store(std::string_view key, const CompiledKernel &kernel) const;

  struct Entry {
    std::string key;
    int64_t bytes = 0;
    std::filesystem::file_time_type used; ///< last, to the minute
    std::optional<CompiledKernel> kernel; ///< nothing where the file is broken
    std::string problem;                  ///< and why
  };

  /// All entries, by key; the broken ones too. None where there is no folder.
  std::vector<Entry> list() const;

  /// The entry whose key begins with `prefix`. Throws InputError where there is none, or more than
  /// one.
  Entry find(std::string_view prefix) const;

  /// Removes all entries, and what killed processes left; returns how many entries there were.
  /// Other files stay.
  int64_t clear() const;

private:
  /// Invalid where the folder is not there.
  FileDescriptor open() const;
  Entry read(const FileDescriptor &directory, const std::string &key, Look look) const;
  std::vector<std::string> keys() const;
  void removeLeftovers(const FileDescriptor &directory) const;
  void makeRoom(const FileDescriptor &directory) const;

  std::filesystem::path folder;
  int64_t mostBytes = 0;
};

} // namespace ringc
