#pragma once

#include "ringc/attention/shared/RingKernelSetup.h"
#include "ringc/driver/HostMemory.h"

#include <list>
#include <span>

namespace ringc {

/// Kernels that a HostPool runs, and that does their executor's work on memory too.
class PoolKernels : public HopKernels {
public:
  explicit PoolKernels(const RingKernelSetup &given) : setup(given) {}

  void zero(const Tensor &tensor) final;
  void add(const Tensor &part, const Tensor &sum) final;
  void copy(const Tensor &from, const Tensor &to) final;

protected:
  HostPool &pool() const { return *setup.context.pool; }
  /// "dk" and "dv": the sums of the block's owner.
  void setGradients(Launch &launch, const HopBlock &block) const;

  RingKernelSetup setup;
};

/// The compiled forward behind the executor.
class ForwardKernels final : public PoolKernels {
public:
  /// `memory` is for the state that the kernel carries from hop to hop.
  ForwardKernels(const RingKernelSetup &setup, HostCode code, KeptMemory &memory, const Tensor &q,
                 const ForwardResults &results);

  void run(const HopBlock &block) override;
  void runNothing() override;

private:
  ForwardResults results;
  std::list<HostTensor> unasked; ///< results that nobody asked for
  Launch forward;
};

/// Of either form: `keys` gives dK and dV, `queries` dQ.
struct BackwardCode {
  HostCode delta, keys, queries;
};

/// The compiled backward, in two halves: dK and dV of the block, then dQ.
class BackwardKernels final : public PoolKernels {
public:
  BackwardKernels(const RingKernelSetup &setup, const BackwardCode &code, KeptMemory &memory,
                  const Tensor &q, const Tensor &dout, const ForwardResults &results,
                  const Tensor &dq);

  void run(const HopBlock &block) override;
  void runNothing() override;

private:
  Tensor gradient; ///< dq
  std::list<HostTensor> memory;
  BackwardRows rows;
  Launch delta, keys, queries;
};

/// A new f32 tensor in `memory`.
Tensor madeIn(std::list<HostTensor> &memory, std::span<const int64_t> shape);

/// Writes one value to all of a float tensor.
void fill(const Tensor &tensor, float value);

} // namespace ringc
