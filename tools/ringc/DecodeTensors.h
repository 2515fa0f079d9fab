#pragma once

#include "tools/ringc/DecodeCase.h"

#include <cstdint>
#include <vector>

namespace ringc::cli {

/// What all ranks of a case work on together: random numbers, NaN beyond an entry's length.
class DecodeTensors {
public:
  /// The case must outlive it.
  explicit DecodeTensors(const DecodeCase &decode);

  int64_t lengthOf(int64_t entry) const { return decode.lengths[size_t(entry)]; }
  /// Of an entry, of all ranks.
  int64_t pages() const { return (decode.rows + decode.page - 1) / decode.page; }
  bool isMissing(int64_t entry, int64_t page) const {
    return missing[size_t(entry * pages() + page)];
  }

  HostTensor q, k, v, lengths;

private:
  const DecodeCase &decode;
  std::vector<bool> missing; ///< [b, pages of an entry]
};

/// What a rank has of them.
class DecodeShare {
public:
  /// `whole` must outlive it.
  DecodeShare(const DecodeCase &decode, const DecodeTensors &whole, int rank);

  DecodeInputs inputs;
  DecodeKeys keys;

private:
  void addPages(const DecodeCase &decode, const DecodeTensors &whole, int rank);

  HostTensor k, v, table;
};

} // namespace ringc::cli
