#pragma once

#include "ringc/compiler/spec/CompiledKernel.h"
#include "ringc/compiler/spec/KernelRequest.h"
#include "ringc/jit/KernelFolder.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>

namespace ringc {

/// Compiled kernels in memory, and on disk behind it.
///
/// It does not know the compiler: who asks brings a function that compiles, so that a program whose
/// kernels were compiled ahead links without it. Any number of threads may use one cache at the
/// same time. A warm look-up costs microseconds: the request is hashed as a struct, and neither
/// JSON nor any source text is touched. Kernels stay in memory for the cache's life.
class KernelCache {
public:
  using Compile = std::function<CompiledKernel()>;
  using Warn = std::function<void(const std::string &message)>;

  /// The folder that `env` names, or memory alone with a warning where it names none. Throws
  /// InputError where RINGC_CACHE_BYTES is no number.
  explicit KernelCache(const Env &env, Warn warn = warnOnStderr);

  /// `folder` is nothing for memory alone.
  explicit KernelCache(std::optional<KernelFolder> folder, Warn warn = warnOnStderr);

  /// The kernel for `request`: from memory, else from disk, else from `compile`, which runs once
  /// for all threads that ask for the same request meanwhile. What `compile` throws reaches all of
  /// them, and the next to ask compiles anew. A folder that cannot be used, or a full disk, costs
  /// one warning and nothing else.
  std::shared_ptr<const CompiledKernel> get(const KernelRequest &request, const Compile &compile);

  /// How often `get` was answered by each since the cache was made.
  struct Counts {
    int64_t memory = 0;
    int64_t disk = 0;
    int64_t compiled = 0;
  };
  Counts counts() const;

  static void warnOnStderr(const std::string &message);

private:
  using Kernel = std::shared_ptr<const CompiledKernel>;

  Kernel make(const KernelRequest &request, const Compile &compile, std::promise<Kernel> &promise);
  std::optional<CompiledKernel> loadFromDisk(const std::string &key);
  void storeOnDisk(const std::string &key, const CompiledKernel &kernel);
  void warnOnce(const std::string &message);

  std::optional<KernelFolder> folder;
  Warn warn;
  std::atomic<bool> canRead, canWrite, hasWarned = false;
  std::atomic<int64_t> fromMemory = 0, fromDisk = 0, fromCompiler = 0;
  std::shared_mutex mutex;
  std::unordered_map<KernelRequest, std::shared_future<Kernel>, KernelRequestHash> kernels;
};

} // namespace ringc
