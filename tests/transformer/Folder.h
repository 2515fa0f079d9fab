#pragma once

#include <filesystem>
#include <string>
#include <unistd.h>

namespace ringc::test {

/// A folder of the test's own, which goes with it.
class Folder {
public:
  Folder()
      : path(std::filesystem::temp_directory_path() /
             ("ringc-transformer-" + std::to_string(getpid()))) {
    std::filesystem::create_directory(path);
  }
  Folder(const Folder &) = delete;
  ~Folder() { std::filesystem::remove_all(path); }

  std::string file(const std::string &name) const { return path / name; }
  int64_t files() const { return std::distance(std::filesystem::directory_iterator(path), {}); }

private:
  std::filesystem::path path;
};

} // namespace ringc::test
