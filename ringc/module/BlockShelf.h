#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

namespace ringc {

/// Blocks of memory that nobody uses at the moment, for the next who asks for about as much.
template <class Block> struct BlockShelf {
  /// One of at most twice the size.
  std::optional<Block> take(int64_t bytes) {
    std::scoped_lock lock(mutex);
    auto found = blocks.lower_bound(bytes);
    if (found == blocks.end() || found->first > 2 * bytes) {
      if (idle > lent) { // sizes have changed
        blocks.clear();
        idle = 0;
      }
      return std::nullopt;
    }
    Block block = std::move(found->second);
    idle -= found->first;
    blocks.erase(found);
    return block;
  }
  void lend(int64_t bytes) {
    std::scoped_lock lock(mutex);
    lent += bytes;
  }
  void giveBack(int64_t bytes, Block block) {
    std::scoped_lock lock(mutex);
    lent -= bytes;
    idle += bytes;
    blocks.emplace(bytes, std::move(block));
  }

private:
  std::mutex mutex;
  std::multimap<int64_t, Block> blocks; ///< by bytes
  int64_t lent = 0, idle = 0;           ///< bytes
};

} // namespace ringc
