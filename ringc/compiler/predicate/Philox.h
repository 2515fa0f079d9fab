#pragma once

#include <array>
#include <cstdint>

namespace ringc::predicate {

/// Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3"
/// (SC 2011): four random words for each counter and key, without state.
constexpr std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter,
                                             std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    if (round > 0)
      key = {key[0] + 0x9E3779B9U, key[1] + 0xBB67AE85U};
    uint64_t first = uint64_t(0xD2511F53U) * counter[0];
    uint64_t second = uint64_t(0xCD9E8D57U) * counter[2];
    counter = {
        static_cast<uint32_t>(second >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(second),
        static_cast<uint32_t>(first >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(first)};
  }
  return counter;
}

/// The language's random(seed, b, h, i, j): 24 bits of the first word of the counter (j, i, h, b)
/// and the key (seed, 0), a multiple of 2^-24 in [0, 1).
constexpr float uniformAt(int64_t seed, int64_t b, int64_t h, int64_t i, int64_t j) {
  auto word = [](int64_t value) { return static_cast<uint32_t>(static_cast<uint64_t>(value)); };
  uint32_t bits = philox4x32({word(j), word(i), word(h), word(b)}, {word(seed), 0})[0];
  return static_cast<float>(bits >> 8) * 0x1p-24F;
}

} // namespace ringc::predicate
