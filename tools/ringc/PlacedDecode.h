#pragma once

#include "ringc/attention/device/DeviceTensor.h"
#include "ringc/decode/Decode.h"

#include <deque>

namespace ringc::cli {

/// What one rank brings, tensors of the host, and where its results go.
struct HostDecodeCall {
  DecodeInputs inputs;
  DecodeKeys keys;
  Tensor out, lse;
};

/// A call's tensors in the memory of a stream's device. The stream must outlive it.
class PlacedDecode {
public:
  /// Returns when they are there.
  PlacedDecode(const CudaStream &stream, const HostDecodeCall &onHost);

  /// Another tensor beside them.
  Tensor put(const Tensor &onHost);

  RankDecode call() const { return {inputs, keys, out, lse}; }
  /// The results, when all that the stream was given has run.
  void download(const Tensor &outOnHost, const Tensor &lseOnHost) const;

private:
  const CudaStream &stream;
  std::deque<DeviceTensor> memory;
  DecodeInputs inputs;
  DecodeKeys keys;
  DeviceTensor out, lse;
};

} // namespace ringc::cli
