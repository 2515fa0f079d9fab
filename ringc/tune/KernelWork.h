#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace ringc {

/// What a kernel is asked for, beyond its Spec, that decides which tile sizes are best.
struct KernelWork {
  int64_t length = 0; ///< of the unsharded sequence of keys; 0: not known
  int ranks = 1;      ///< of its ring
  /// Of the views of a kernel that is no attention, by name; a name that is absent: not known.
  std::map<std::string, int64_t> extents = {};
  /// The table of tuned tile sizes: absent the user's, "" none, else a path.
  std::optional<std::string> table = {};

  bool operator==(const KernelWork &) const = default;
};

} // namespace ringc
