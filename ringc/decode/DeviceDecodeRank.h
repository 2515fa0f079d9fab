#pragma once

#include "ringc/attention/device/DeviceTensor.h"
#include "ringc/comm/Transport.h"
#include "ringc/decode/Decode.h"
#include "ringc/driver/CudaMemory.h"
#include "ringc/kernel/DeviceKernel.h"
#include "ringc/ring/Agreement.h"

#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ringc {

class DecodeCall;
class RankParts;

/// One call, with its tensors, and which rank of how many makes it.
struct DeviceDecodeCall {
  DecodeInputs inputs;
  DecodeKeys keys;
  Tensor out, lse;
  int rank = 0, ranks = 1;

  /// Whether nothing differs, the numbers among the arguments and where tensors lie included.
  bool isSameAs(const DeviceDecodeCall &other) const;
};

/// The launches of a call, for the next ones with the same tensors, as each step of a model has
/// them.
struct PreparedDecode {
  DeviceDecodeCall call;
  std::optional<int64_t> length; ///< that lengths are filled with before each run

  DeviceKernelLaunch attend, merge; ///< of this rank's keys
  // Of ranks:
  std::optional<DeviceKernelLaunch> mergeRanks;
  Exchange exchange;
  Agreement agreement;
};

/// Decodes of one rank on a device, behind DeviceDecode and DeviceDecodeRing, which exchange what
/// ranks have between `attend` and `finish`.
class DeviceDecodeRank {
public:
  /// Throws InputError for options that cannot be.
  DeviceDecodeRank(DecodeOptions options, DeviceContext context);

  const DeviceContext &context() const { return on; }

  /// Finds it, or checks, compiles and allocates. Stays for a good number of later ones, or until
  /// one needs more memory.
  const PreparedDecode &prepared(const CudaStream &stream, const DeviceDecodeCall &call);

  /// The attention to this rank's keys: the whole result, or what the exchange takes.
  void attend(const CudaStream &stream, const PreparedDecode &ready) const;
  /// The merge of what all ranks have, where they are several.
  void finish(const CudaStream &stream, const PreparedDecode &ready) const;

private:
  const PreparedDecode &prepare(const CudaStream &stream, const DeviceDecodeCall &call);
  void *memory(DeviceMemory &kept, int64_t bytes);
  Tensor tensor(DeviceMemory &kept, DType dtype, const std::vector<int64_t> &shape);
  DeviceKernelLaunch mergeOf(DType dtype, const Tensor &parts, const Tensor &logs,
                             const Tensor &out, const Tensor &lse) const;

  DecodeOptions options;
  DeviceContext on;
  SourceSet sources;
  DeviceMemory partMemory, logMemory, lengthMemory, rankMemory;
  std::map<std::string, DeviceTensor> placed;
  std::list<PreparedDecode> known; ///< the latest first
};

} // namespace ringc
