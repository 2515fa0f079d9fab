#pragma once

#include "ringc/attention/DeviceAttentionRing.h"
#include "ringc/attention/device/DeviceDeal.h"
#include "tests/gpu/RingInputs.h"

#include <deque>
#include <vector>

namespace ringc::test {

/// A problem whose shards lie on the devices of its ranks, as a user of streams holds them.
class RankTensors {
public:
  /// K and V may be the halves of one tensor, [b, n, 2, h, d], as packed projections give them;
  /// then results are every other head of tensors twice as wide.
  enum class Layout { Dense, Packed };

  RankTensors(const AttentionOptions &options, int world, const RingInputs &whole,
              const std::vector<DeviceContext> &deviceOfRank, Layout layout = Layout::Dense);

  /// Other numbers in the same memory.
  void refill(const RingInputs &whole);

  /// Brings home what the ranks computed.
  HostAttentionRing::Forward forward() const;
  HostAttentionRing::Gradients gradients() const;

  const AttentionShape &shape() const { return global; }
  std::vector<AttentionInputs> inputs() const;

  std::vector<RankForward> forwards;
  std::vector<RankBackward> backwards; ///< by rank

private:
  struct Rank {
    RankProblem problem;
    CudaStream stream;
    std::deque<DeviceTensor> memory;
  };

  Tensor room(Rank &rank, DType dtype, std::vector<int64_t> shape, Layout layout);
  void fill(Rank &rank, const Tensor &whole, const Tensor &part);
  HostTensor bring(const Rank &rank, const Tensor &part) const;
  void give(const Rank &rank, const Tensor &part, int rowAxis, const Tensor &whole) const;

  AttentionOptions options;
  AttentionShape global;
  std::deque<Rank> ranks;
};

} // namespace ringc::test
