#pragma once

#include "ringc/Tensor.h"
#include "ringc/ring/Executor.h"
#include "ringc/ring/SequenceLayout.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace ringc::test {

/// What positions alone say of a pair.
struct RowMask {
  bool causal = false;
  int64_t left = -1, right = -1; ///< -1 is unbounded

  bool shows(int64_t i, int64_t j) const {
    return (!causal || j <= i) && (left < 0 || j >= i - left) && (right < 0 || j <= i + right);
  }
};

/// Queries of one rank and what its kernels make of them: all f32, batch-sequence-head-dim.
struct QueryShard {
  Tensor q, dout;
  Tensor documents;    ///< i32 [n_q]
  Tensor out, lse, dq; ///< lse [b, h, n_q]
  Positions positions;
  std::function<Positions(const HopBlock &)> keyPositions;
  RowMask mask;
  double scale = 1;
};

/// Ring attention in double precision, row by row, blocked head map. Travelling: K, V, key mask
/// bool [b, n_k], documents i32 [n_k].
class NaiveForward : public HopKernels {
public:
  explicit NaiveForward(const QueryShard &queryShard) : shard(queryShard) {}
  void run(const HopBlock &block) override;
  void runNothing() override;

private:
  struct RowState {
    double m, l;
    std::vector<double> acc;
  };
  const QueryShard &shard;
  std::vector<RowState> state; ///< [b, h, n_q]
};

class NaiveBackward : public HopKernels {
public:
  explicit NaiveBackward(const QueryShard &queryShard) : shard(queryShard) {}
  void run(const HopBlock &block) override;
  void runNothing() override;

private:
  const QueryShard &shard;
  std::vector<double> dq; ///< as q, row-major
};

} // namespace ringc::test
