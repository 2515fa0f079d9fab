#pragma once

#include "runtime/attention/DeviceTensor.h"
#include "runtime/ring/Executor.h"
#include "runtime/ring/Plan.h"

#include <array>
#include <span>
#include <vector>

namespace ringc {

/// One rank of a DeviceRing: its plan, what it holds on the device, its kernels and hop buffers.
/// `keys` and `gradients` are row-major.
struct DeviceRank {
  Plan plan;
  RankShard shard;
  HopKernels *kernels = nullptr;
};

/// Runs the plans of all ranks of a world in lock step, hop by hop, in the order of one stream:
/// what `execute` does with threads and a transport. Messages are copies on the device.
class DeviceRing {
public:
  /// `ranks` must outlive it. Allocates the hop buffers.
  DeviceRing(std::span<DeviceRank> ranks, const CudaStream &stream);

  /// Returns when all is in the stream's order.
  void run();

private:
  /// One resident block: memory for each travelling tensor.
  struct Buffer {
    Buffer(std::span<const KeyIndexed> like, int64_t rows, const CudaStream &stream);
    /// Row-major views with `rows` rows.
    std::vector<Tensor> views(std::span<const KeyIndexed> like, int64_t rows) const;

    std::vector<DeviceMemory> parts;
  };
  struct Buffers {
    Buffers(const DeviceRank &rank, const CudaStream &stream);
    std::array<Buffer, 2> keys, gradients;
    Buffer home;
  };

  std::vector<Tensor> keysAt(int rank, int step) const;
  std::vector<Tensor> gradientsAt(int rank, int step) const;
  const Step &stepOf(int rank, int step) const;
  void compute(int rank, int step);
  void moveKeys(int rank, int step);
  void moveGradients(int rank, int step);

  std::span<DeviceRank> ranks;
  const CudaStream &stream;
  std::vector<Buffers> buffers; ///< by rank
};

} // namespace ringc
