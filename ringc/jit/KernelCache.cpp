#include "ringc/jit/KernelCache.h"

#include <cstdio>
#include <mutex>

namespace ringc {

namespace {

std::optional<KernelFolder> folderOf(const Env &env) {
  std::optional<std::filesystem::path> path = kernelFolderPath(env);
  return path ? std::optional(KernelFolder(*path, kernelFolderLimit(env))) : std::nullopt;
}

} // namespace

KernelCache::KernelCache(const Env &env, Warn warning)
    : KernelCache(folderOf(env), std::move(warning)) {
  if (!folder)
    warnOnce(
        "compiled kernels are kept in memory only: none of RINGC_CACHE_DIR, XDG_CACHE_HOME and "
        "HOME is set");
}

KernelCache::KernelCache(std::optional<KernelFolder> kernelFolder, Warn warning)
    : folder(std::move(kernelFolder)), warn(std::move(warning)), canRead(folder.has_value()),
      canWrite(folder.has_value()) {}

std::shared_ptr<const CompiledKernel> KernelCache::get(const KernelRequest &request,
                                                       const Compile &compile) {
  {
    std::shared_lock lock(mutex);
    if (auto found = kernels.find(request); found != kernels.end()) {
      std::shared_future<Kernel> kernel = found->second;
      lock.unlock();
      ++fromMemory;
      return kernel.get();
    }
  }
  std::promise<Kernel> promise;
  {
    std::unique_lock lock(mutex);
    auto [entry, isNew] = kernels.try_emplace(request);
    if (!isNew) {
      std::shared_future<Kernel> kernel = entry->second;
      lock.unlock();
      ++fromMemory;
      return kernel.get();
    }
    entry->second = promise.get_future().share();
  }
  return make(request, compile, promise);
}

KernelCache::Kernel KernelCache::make(const KernelRequest &request, const Compile &compile,
                                      std::promise<Kernel> &promise) {
  try {
    std::string key = cacheKey(request);
    std::optional<CompiledKernel> stored = loadFromDisk(key);
    ++(stored ? fromDisk : fromCompiler);
    auto kernel = std::make_shared<const CompiledKernel>(stored ? std::move(*stored) : compile());
    promise.set_value(kernel); // before the disk, for which nobody needs to wait
    if (!stored)
      storeOnDisk(key, *kernel);
    return kernel;
  } catch (...) {
    {
      std::unique_lock lock(mutex);
      kernels.erase(request);
    }
    promise.set_exception(std::current_exception());
    throw;
  }
}

std::optional<CompiledKernel> KernelCache::loadFromDisk(const std::string &key) {
  if (!canRead)
    return std::nullopt;
  try {
    return folder->load(key);
  } catch (const std::exception &error) {
    canRead = canWrite = false;
    warnOnce(std::string("compiled kernels are kept in memory only: ") + error.what());
    return std::nullopt;
  }
}

void KernelCache::storeOnDisk(const std::string &key, const CompiledKernel &kernel) {
  if (!canWrite)
    return;
  try {
    folder->store(key, kernel);
  } catch (const std::exception &error) {
    canWrite = false;
    warnOnce(std::string("compiled kernels are kept in memory only: ") + error.what());
  }
}

void KernelCache::warnOnce(const std::string &message) {
  if (!hasWarned.exchange(true) && warn)
    warn(message);
}

KernelCache::Counts KernelCache::counts() const {
  return {.memory = fromMemory, .disk = fromDisk, .compiled = fromCompiler};
}

void KernelCache::warnOnStderr(const std::string &message) {
  std::fprintf(stderr, "ringc: warning: %s\n", message.c_str());
}

} // namespace ringc
