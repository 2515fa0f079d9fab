#include "ringc/module/HostBlocks.h"

#include <cstring>
#include <map>
#include <mutex>
#include <optional>

namespace ringc {

struct HostBlocks::Shelf {
  /// One of at most twice the size.
  std::optional<HostTensor> take(int64_t bytes) {
    std::scoped_lock lock(mutex);
    auto found = blocks.lower_bound(bytes);
    if (found == blocks.end() || found->first > 2 * bytes) {
      if (idle > lent) { // sizes have changed
        blocks.clear();
        idle = 0;
      }
      return std::nullopt;
    }
    HostTensor block = std::move(found->second);
    idle -= found->first;
    blocks.erase(found);
    return block;
  }
  void lend(int64_t bytes) {
    std::scoped_lock lock(mutex);
    lent += bytes;
  }
  void giveBack(HostTensor block) {
    std::scoped_lock lock(mutex);
    int64_t bytes = block.byteCount();
    lent -= bytes;
    idle += bytes;
    blocks.emplace(bytes, std::move(block));
  }

  std::mutex mutex;
  std::multimap<int64_t, HostTensor> blocks; ///< by bytes
  int64_t lent = 0, idle = 0;                ///< bytes
};

HostBlocks::HostBlocks() : shelf(std::make_shared<Shelf>()) {}

SharedTensor HostBlocks::tensor(DType dtype, std::span<const int64_t> shape) {
  int64_t bytes = Tensor(nullptr, dtype, shape).byteCount();
  if (bytes == 0)
    return HostTensor(dtype, shape);
  std::optional<HostTensor> taken = shelf->take(bytes);
  auto block =
      std::make_unique<HostTensor>(taken ? std::move(*taken) : HostTensor(DType::Bool, {bytes}));
  shelf->lend(block->byteCount());
#ifndef NDEBUG
  std::memset(block->data(), 0xff, size_t(block->byteCount()));
#endif
  Tensor view(block->data(), dtype, shape);
  return {view, std::shared_ptr<void>(block.release(), [from = shelf](void *pointer) {
            std::unique_ptr<HostTensor> back(static_cast<HostTensor *>(pointer));
            from->giveBack(std::move(*back));
          })};
}

} // namespace ringc
