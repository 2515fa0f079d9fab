#pragma once

#include "ringc/attention/shared/KernelSource.h"
#include "ringc/comm/Transport.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

namespace ringc::test {

/// Kernels of one rank that note where each of their views begins: `outside` says how many begin in
/// memory that was not opened. delta is the runtime's own, between two kernels. Up to 8 fences at a
/// time.
class Fence final : public KernelSource {
public:
  explicit Fence(std::shared_ptr<KernelSource> behind);
  ~Fence() override;

  void open(const void *data, size_t bytes);
  /// From where and to where an exchange moves.
  void open(const Exchange &exchange);

  SourceSet sources(std::vector<SourceText> user) override;
  using KernelSource::get;
  HostCode get(const Spec &spec, const SourceSet &sources, const KernelWork &work) override;

  int64_t outside() const;

  std::atomic<int64_t> programs = 0;

  /// Called before and after each program, on the thread that runs it. Tests delay here.
  std::function<void()> aroundProgram;

  /// Of code number `kernel` behind fence number `fence`.
  static void enter(int fence, int kernel, const uint64_t *slots, int64_t p0, int64_t p1,
                    int64_t head, int64_t batch, void *scratch);

private:
  std::shared_ptr<KernelSource> behind;
  int number = 0;
  std::mutex mutex;
  std::vector<std::pair<const std::byte *, const std::byte *>> regions;
  std::vector<HostCode> codes;
  std::set<const std::byte *> views;
};

} // namespace ringc::test
