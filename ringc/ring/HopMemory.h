#pragma once

#include "ringc/Tensor.h"
#include "ringc/ring/Plan.h"

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

  /// A row-major tensor at `data` with `rows` rows, otherwise shaped as this one.
  Tensor like(void *data, int64_t rows) const;
};

/// Sum over all of them: what `RingProblem` asks for.
int64_t bytesPerKey(std::span<const KeyIndexed> tensors);

/// The hop buffers of one executor: what it may use besides its shard. Not filled. Memory of the
/// host, kept between calls, which grows when a plan needs more; or what the caller gives, of the
/// host or of a device.
class HopMemory {
public:
  HopMemory() = default;

  /// All within `room`, which must be aligned to 256 bytes, outlive it, and have `roomFor` bytes.
  explicit HopMemory(std::span<std::byte> room) : given(room), grows(false) {}

  /// Bytes of all that `plan` needs, each tensor of each buffer aligned to 256.
  static int64_t roomFor(const Plan &plan, std::span<const KeyIndexed> keys,
                         std::span<const KeyIndexed> gradients);

  /// One resident block: memory for each travelling tensor, 64-byte aligned, no gaps to count.
  class Buffer {
  public:
    /// Row-major views with `rows` rows, otherwise shaped as the tensors it was reserved for.
    std::vector<Tensor> views(std::span<const KeyIndexed> like, int64_t rows) const;

    int64_t bytes() const;

  private:
    friend class HopMemory;
    struct Part {
      void *data = nullptr;
      int64_t bytes = 0;
      HostTensor owned; ///< where the memory is not given
    };
    /// Room for `rows` rows of each tensor, of the host's memory, or from the start of `room`.
    void grow(std::span<const KeyIndexed> like, int64_t rows);
    void cut(std::span<const KeyIndexed> like, int64_t rows, std::span<std::byte> &room);

    std::vector<Part> parts;
  };

  /// Asks for all that `plan` needs in advance; `execute` does it too. Throws InputError where the
  /// given room is too small.
  void reserve(const Plan &plan, std::span<const KeyIndexed> keys,
               std::span<const KeyIndexed> gradients,
               Plan::FromOthers fromOthers = Plan::FromOthers::Received);

  /// Bytes held.
  int64_t bytes() const;

  std::vector<Buffer> keys;      ///< by `Plan::keyBuffer`
  std::vector<Buffer> gradients; ///< by `Plan::gradientBuffer`
  std::vector<Buffer> home;      ///< by `Plan::homeBuffer`

private:
  std::span<std::byte> given;
  bool grows = true;
};

/// Whether all that `plan` sends of them can be sent from where it lies.
Plan::OwnKeys ownKeysOf(std::span<const KeyIndexed> keys, const Plan &plan);

} // namespace ringc
