#include "ringc/jit/KernelFolder.h"

#include "ringc/compiler/spec/KernelFile.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <fcntl.h>
#include <sys/stat.h>
#include <tuple>
#include <unistd.h>
#include <utility>

namespace ringc {

namespace {

constexpr std::string_view suffix = ".kernel";

/// A temporary file that is older belongs to a process that was killed.
constexpr std::chrono::minutes longestWrite(1);

std::string fileName(std::string_view key) { return std::string(key) + std::string(suffix); }

bool isKey(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// mkdir -p, every folder with mode 0700.
void makeFolder(const std::filesystem::path &path) {
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST)
    return;
  if (errno == ENOENT && path.has_parent_path() && path.parent_path() != path) {
    makeFolder(path.parent_path());
    if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST)
      return;
  }
  throw FolderError(path, "make the folder", errno);
}

} // namespace

std::optional<std::filesystem::path> kernelFolderPath(const Env &env) {
  if (env.cacheDir)
    return std::filesystem::path(*env.cacheDir);
  if (env.xdgCacheHome && std::filesystem::path(*env.xdgCacheHome).is_absolute())
    return std::filesystem::path(*env.xdgCacheHome) / "ringc";
  if (env.home)
    return std::filesystem::path(*env.home) / ".cache" / "ringc";
  return std::nullopt;
}

int64_t kernelFolderLimit(const Env &env) {
  constexpr int64_t otherwise = int64_t(1) << 30;
  if (!env.cacheBytes)
    return otherwise;
  const std::string &text = *env.cacheBytes;
  int64_t bytes = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  if (error != std::errc() || end != text.data() + text.size() || bytes < 0)
    throw InputError("RINGC_CACHE_BYTES", text, "a number of bytes, or 0 for no limit");
  return bytes;
}

FileDescriptor KernelFolder::open() const {
  FileDescriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) {
    if (errno == ENOENT)
      return {};
    throw FolderError(folder, "open the folder", errno);
  }
  struct stat status;
  if (fstat(directory.get(), &status) != 0)
    throw FolderError(folder, "look at the folder", errno);
  if (status.st_uid != geteuid())
    throw FolderError(folder.string() + ": the folder belongs to another user");
  if (status.st_mode & (S_IWGRP | S_IWOTH))
    throw FolderError(folder.string() + ": others may write to the folder; allowed: mode 0700");
  return directory;
}

std::optional<CompiledKernel> KernelFolder::load(std::string_view key) const {
  FileDescriptor directory = open();
  if (!directory)
    return std::nullopt;
  return read(directory, std::string(key), Look::Use).kernel;
}

void KernelFolder::store(std::string_view key, const CompiledKernel &kernel) const {
  FileDescriptor directory = open();
  if (!directory) {
    makeFolder(folder);
    directory = open();
  }
  if (!directory)
    throw FolderError(folder, "open the folder", ENOENT);
  std::string bytes = encodeKernel(kernel, key);
  if (mostBytes > 0 && std::cmp_greater(bytes.size(), mostBytes))
    return;
  writeEntry(directory, folder, fileName(key), bytes);
  makeRoom(directory);
}

void KernelFolder::makeRoom(const FileDescriptor &directory) const {
  if (mostBytes == 0)
    return;
  struct File {
    timespec used;
    int64_t bytes;
    std::string name;
  };
  std::vector<File> files;
  int64_t total = 0;
  for (const std::string &key : keys()) {
    struct stat status;
    std::string name = fileName(key);
    if (fstatat(directory.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      continue; // another process has removed it
    files.push_back({status.st_mtim, int64_t(status.st_size), std::move(name)});
    total += files.back().bytes;
  }
  if (total <= mostBytes)
    return;
  removeLeftovers(directory);
  std::sort(files.begin(), files.end(), [](const File &a, const File &b) {
    return std::tie(a.used.tv_sec, a.used.tv_nsec, a.name) <
           std::tie(b.used.tv_sec, b.used.tv_nsec, b.name);
  });
  int64_t wanted = mostBytes - mostBytes / 8; // or the next kernel would have to look again
  for (auto file = files.begin(); file != files.end() - 1 && total > wanted; ++file) {
    unlinkat(directory.get(), file->name.c_str(), 0); // or another process did
    total -= file->bytes;
  }
}

KernelFolder::Entry KernelFolder::read(const FileDescriptor &directory, const std::string &key,
                                       Look look) const {
  Entry entry = {.key = key};
  std::error_code ignored; // another process may have removed it
  entry.used = std::filesystem::last_write_time(folder / fileName(key), ignored);
  std::optional<std::string> bytes = readEntry(directory, fileName(key), look);
  if (!bytes) {
    entry.problem = "no readable file that belongs to us and that only we may write";
    return entry;
  }
  entry.bytes = static_cast<int64_t>(bytes->size());
  try {
    entry.kernel = decodeKernel(*bytes, key);
  } catch (const InputError &error) {
    entry.problem = error.what();
  }
  return entry;
}

std::vector<std::string> KernelFolder::keys() const {
  std::vector<std::string> keys;
  std::error_code error;
  for (std::filesystem::directory_iterator file(folder, error), end; !error && file != end;
       file.increment(error)) {
    std::string name = file->path().filename().string();
    if (name.ends_with(suffix) && isKey(name.substr(0, name.size() - suffix.size())))
      keys.push_back(name.substr(0, name.size() - suffix.size()));
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

std::vector<KernelFolder::Entry> KernelFolder::list() const {
  std::vector<Entry> entries;
  FileDescriptor directory = open();
  if (!directory)
    return entries;
  for (const std::string &key : keys())
    entries.push_back(read(directory, key, Look::Inspect));
  return entries;
}

KernelFolder::Entry KernelFolder::find(std::string_view prefix) const {
  FileDescriptor directory = open();
  std::vector<std::string> found = keys();
  std::erase_if(found, [&](const std::string &key) { return !key.starts_with(prefix); });
  if (!directory || found.size() != 1)
    throw InputError("key", prefix,
                     "the beginning of one key; " + std::to_string(found.size()) + " begin so");
  return read(directory, found[0], Look::Inspect);
}

int64_t KernelFolder::clear() const {
  FileDescriptor directory = open();
  if (!directory)
    return 0;
  int64_t removed = 0;
  for (const std::string &key : keys())
    removed += unlinkat(directory.get(), fileName(key).c_str(), 0) == 0;
  removeLeftovers(directory);
  return removed;
}

void KernelFolder::removeLeftovers(const FileDescriptor &directory) const {
  std::error_code error;
  std::vector<std::string> leftovers;
  for (std::filesystem::directory_iterator file(folder, error), end; !error && file != end;
       file.increment(error)) {
    std::error_code ignored;
    auto age = std::filesystem::file_time_type::clock::now() - file->last_write_time(ignored);
    if (file->path().filename().string().starts_with(temporaryPrefix) && age > longestWrite)
      leftovers.push_back(file->path().filename().string());
  }
  for (const std::string &name : leftovers)
    unlinkat(directory.get(), name.c_str(), 0);
}

} // namespace ringc
