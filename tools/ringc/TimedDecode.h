#pragma once

#include "ringc/attention/Context.h"
#include "ringc/world/World.h"
#include "tools/ringc/DecodeWork.h"

#include <memory>
#include <vector>

namespace ringc::cli {

/// How long a rank took, microseconds.
struct DecodeTook {
  double whole = 0; ///< the decode of all ranks
  double part = 0;  ///< of several ranks: a decode of its own keys, as though there were no others
};

/// One of several measurements.
struct DecodeTurn {
  DecodeTook launched;
  DecodeTook graph; ///< on devices: replayed
};

/// out [b, 1, h, d_v] and lse [b, h, 1], which all ranks have.
struct DecodeResults {
  HostTensor out, lse;
};

/// A decode of a world that is run again and again. All processes make the same calls; each throws
/// what HostDecode or DeviceDecode does.
class TimedDecode {
public:
  virtual ~TimedDecode() = default;

  /// Runs it once, which compiles and compares.
  virtual void run() = 0;
  /// After that, each of what a turn has, which ranks begin together: by rank of this process.
  virtual std::vector<DecodeTurn> turn() = 0;
  /// The latest, by rank of this process.
  virtual std::vector<DecodeResults> results() const = 0;
};

/// Of the world's ranks, on the host.
std::unique_ptr<TimedDecode> timedOnHost(World &world, const DecodeWork &work,
                                         const AttentionContext &context);
/// On its devices; ranks of one process are dealt over them. `work` must outlive it.
std::unique_ptr<TimedDecode> timedOnDevices(World &world, const DecodeWork &work);

} // namespace ringc::cli
