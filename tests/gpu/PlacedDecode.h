#pragma once

#include "ringc/attention/device/DeviceCode.h"
#include "ringc/attention/device/DeviceTensor.h"
#include "ringc/decode/Decode.h"
#include "tests/support/DecodeProblem.h"

#include <deque>

namespace ringc::test {

/// What one rank of a DecodeProblem works on, in memory of a device.
class PlacedDecode {
public:
  PlacedDecode(const DecodeProblem &problem, int rank, const DeviceContext &context);

  /// What another problem of the same shapes has, in the same memory.
  void refill(const DecodeProblem &problem);
  /// Of the problem that it has; all that was given to streams has run.
  bool isRight() const;

  RankDecode call;

private:
  Tensor put(const Tensor &onHost);

  const DecodeProblem *of;
  int rank;
  CudaStream stream;
  std::deque<DeviceTensor> memory;
};

} // namespace ringc::test
