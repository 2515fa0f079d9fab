#include "ringc/module/HostBlocks.h"

#include "ringc/module/BlockShelf.h"

#include <cstring>
#include <optional>

namespace ringc {

struct HostBlocks::Shelf : BlockShelf<HostTensor> {};

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
            int64_t of = back->byteCount();
            from->giveBack(of, std::move(*back));
          })};
}

} // namespace ringc
