#pragma once

#include "ringc/ring/Executor.h"
#include "ringc/tune/Roofline.h"
#include "ringc/tune/TuneSetup.h"

#include <cstdint>

namespace ringc {

/// One workload, which can be run with any tile sizes. A tuner has it in a process of its own, so
/// that sizes which crash or hang cost no more than themselves.
class TuneRunner {
public:
  virtual ~TuneRunner() = default;

  /// Compiles what the pass needs, and may be called by several threads, beside a measurement where
  /// that is on a device. Throws InputError where it cannot be.
  virtual void compile(const TuneSetup &setup, Pass pass) = 0;
  /// Whether compiling would slow a measurement down.
  virtual bool sharesProcessors() const = 0;

  /// What a thread of the pass's compiled kernels keeps outside its registers; 0 on a host.
  virtual int64_t spilledBytes(const TuneSetup &, Pass) { return 0; }

  /// Of the results for fresh random input: the error over what it may be. Above 1 they are wrong.
  virtual double error(const TuneSetup &setup, Pass pass, uint64_t seed) = 0;

  /// One run of a compiled pass.
  virtual double milliseconds(const TuneSetup &setup, Pass pass) = 0;

  /// Of what the passes run on, for products of their type. Does not throw.
  virtual MachinePeak peak() { return {.problem = "not asked for"}; }
};

} // namespace ringc
