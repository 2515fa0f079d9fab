#pragma once

#include "compiler/spec/CompiledKernel.h"
#include "runtime/Env.h"
#include "runtime/jit/EntryFile.h"

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

/// A folder of compiled kernels, one file KEY.kernel for each, shared by any number of processes.
///
/// It holds code that runs: the folder is made with mode 0700, and one that is not ours or that
/// others may write is refused with FolderError, whatever is asked of it. Files carry a checksum
/// and their key; one that is broken, cut short, or not ours is as good as none.
class KernelFolder {
public:
  explicit KernelFolder(std::filesystem::path path) : folder(std::move(path)) {}

  const std::filesystem::path &path() const { return folder; }

  std::optional<CompiledKernel> load(std::string_view key) const;

  /// Makes the folder if need be; replaces what is there. Throws FolderError where there is no
  /// space or permission.
  void store(std::string_view key, const CompiledKernel &kernel) const;

  struct Entry {
    std::string key;
    int64_t bytes = 0;
    std::filesystem::file_time_type modified;
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
  Entry read(const FileDescriptor &directory, const std::string &key) const;
  std::vector<std::string> keys() const;

  std::filesystem::path folder;
};

} // namespace ringc
