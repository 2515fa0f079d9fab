#pragma once

#include "ringc/compiler/spec/KernelRequest.h"
#include "ringc/jit/KernelCache.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace ringc::testing {

/// A new folder, removed with its contents at the end.
class TemporaryFolder {
public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "ringc-test-XXXXXX").string();
    folder = mkdtemp(name.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  TemporaryFolder(const TemporaryFolder &) = delete;
  TemporaryFolder &operator=(const TemporaryFolder &) = delete;

  const std::filesystem::path &path() const { return folder; }

private:
  std::filesystem::path folder;
};

inline std::string readFile(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void writeFile(const std::filesystem::path &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline KernelRequest requestFor(int64_t headDim) {
  return {.spec = {.headDim = headDim}, .sources = SourceSet({{"a.tile", "a"}, {"b.tile", "b"}})};
}

inline CompiledKernel kernelFor(int64_t headDim) {
  CompiledKernel kernel;
  kernel.name = "kernel" + std::to_string(headDim);
  kernel.code = std::string(3000, static_cast<char>(headDim));
  return kernel;
}

/// A cache that notes its warnings and how often it compiles.
struct WatchedCache {
  explicit WatchedCache(const std::filesystem::path &path)
      : cache(KernelFolder(path),
              [this](const std::string &message) { warnings.push_back(message); }) {}

  std::shared_ptr<const CompiledKernel> get(const KernelRequest &request) {
    return cache.get(request, [&] {
      ++compiles;
      return kernelFor(request.spec.headDim);
    });
  }
  /// Whether the answer is right.
  bool isRight(int64_t headDim) {
    auto kernel = get(requestFor(headDim));
    return kernel->name == kernelFor(headDim).name && kernel->code == kernelFor(headDim).code;
  }

  std::vector<std::string> warnings;
  int compiles = 0;
  KernelCache cache;
};

} // namespace ringc::testing
