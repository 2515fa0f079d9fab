#pragma once

#include "ringc/attention/Context.h"
#include "ringc/comm/Transport.h"
#include "ringc/decode/Decode.h"
#include "ringc/world/World.h"
#include "tools/ringc/DecodeExpected.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace ringc::cli {

/// One decode of random tensors, whose keys are dealt to ranks.
struct DecodeCase {
  DecodeOptions options;
  std::map<std::string, ArgumentValue> arguments = {}; ///< of the options' masks and scores
  int64_t queries = 1;
  int64_t rows = 100;                   ///< keys that each entry has room for
  std::vector<int64_t> lengths = {100}; ///< of each entry; what is beyond holds NaN
  int ranks = 1;

  /// Rows of a page, and of what ranks get in turn; 0: keys lie side by side.
  int64_t page = 0;
  bool missingPages = false; ///< a quarter of the pages is nowhere

  /// Where ranks begin, and the last one ends, of keys side by side: rank r has rows cuts[r] to
  /// cuts[r + 1]. Empty: ranks get `block` rows in turn.
  std::vector<int64_t> cuts = {};
  int64_t block = 1;

  uint64_t seed = 1; ///< of the tensors, and of the pages' places

  int64_t batch() const { return int64_t(lengths.size()); }
  std::string name() const;
};

/// Consecutive shares, of one size but for the last ones, which may be empty.
std::vector<int64_t> evenCuts(int64_t rows, int ranks);

class DecodeShare;

/// A case's tensors, and what double precision makes of them. Several threads may use it.
class DecodeCheck {
public:
  static constexpr auto &names = DecodeExpected::names;

  /// Throws InputError for masks and scores that cannot be.
  explicit DecodeCheck(const DecodeCase &decode);
  ~DecodeCheck();
  DecodeCheck(DecodeCheck &&) noexcept;
  DecodeCheck &operator=(DecodeCheck &&) noexcept;

  /// What one rank has; the check must outlive it.
  DecodeShare shareOf(int rank) const;
  /// Of results that a rank has made of it, on the host.
  DecodeErrors errorsOf(const Tensor &out, const Tensor &lse) const;

  /// Of one rank of the transport's world, which has as many as the case. Throws InputError.
  DecodeErrors onHost(const AttentionContext &context, Transport &transport) const;
  /// Of the ranks of this process, on the devices of the world.
  std::vector<DecodeErrors> onDevices(World &world) const;

private:
  class Impl;
  std::unique_ptr<Impl> self;
};

} // namespace ringc::cli
