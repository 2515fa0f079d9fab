#pragma once

#include "runtime/Tensor.h"
#include "runtime/ring/Plan.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ringc {

/// A tensor of which one axis counts key rows; it travels with K.
struct KeyIndexed {
  Tensor tensor;
  int keyAxis = 1;

  /// Bytes for one key row; InputError when `keyAxis` is not an axis of the tensor.
  int64_t bytesPerKey() const;
};

/// Sum over all of them: what `RingProblem` asks for.
int64_t bytesPerKey(std::span<const KeyIndexed> tensors);

/// The hop buffers of one executor: what it may use besides its shard. Kept between calls, grows
/// when a plan needs more, is not filled.
class HopMemory {
public:
  /// One resident block: memory for each travelling tensor, 64-byte aligned, no gaps to count.
  class Buffer {
  public:
    /// Room for `rows` rows of each tensor.
    void reserve(std::span<const KeyIndexed> like, int64_t rows);

    /// Row-major views with `rows` rows, otherwise shaped as the tensors it was reserved for.
    std::vector<Tensor> views(std::span<const KeyIndexed> like, int64_t rows) const;

    int64_t bytes() const;

  private:
    std::vector<HostTensor> parts; ///< bytes
  };

  /// Asks for all that `plan` needs in advance; `execute` does it too.
  void reserve(const Plan &plan, std::span<const KeyIndexed> keys,
               std::span<const KeyIndexed> gradients);

  /// Bytes held.
  int64_t bytes() const;

  std::array<Buffer, 2> keys, gradients;
  Buffer home;
};

/// Whether all tensors can be sent from where they lie.
Plan::OwnKeys ownKeysOf(std::span<const KeyIndexed> keys);

} // namespace ringc
