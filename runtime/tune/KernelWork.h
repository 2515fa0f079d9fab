#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace ringc {

/// What a kernel is asked for, beyond its Spec, that decides which tile sizes are best.
struct KernelWork {
  int64_t length = 0; ///< of the unsharded sequence of keys; 0: not known
  int ranks = 1;      ///< of its ring
  /// The table of tuned tile sizes: absent the user's, "" none, else a path.
  std::optional<std::string> table = {};

  bool operator==(const KernelWork &) const = default;
};

} // namespace ringc
