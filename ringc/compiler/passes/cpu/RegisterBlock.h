#pragma once

#include "ringc/compiler/passes/cpu/CpuTarget.h"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace ringc::cpu {

/// How many vectors and rows of the result of a product one register block holds.
struct RegisterBlock {
  int64_t vectors, rows;

  RegisterBlock(int64_t vectorsOfRow, const CpuTarget &target) {
    int64_t widest = target.microVectors ? target.microVectors : target.registers >= 32 ? 4 : 2;
    vectors = std::min(widest, vectorsOfRow);
    while (vectorsOfRow % vectors)
      --vectors;
    rows = std::clamp<int64_t>(rowsThatFit(target), 1, 12);
    if (target.microRows)
      rows = std::min(rows, target.microRows);
  }

  /// Fewer vectors than are best, and as many rows as keep the multipliers busy all the same.
  static RegisterBlock narrow(int64_t vectors, const CpuTarget &target) {
    RegisterBlock block(vectors, target);
    block.rows = std::clamp<int64_t>(block.rowsThatFit(target), 1, 16);
    return block;
  }

  /// All rows at once, and as many vectors, up to 8, as they leave room for; nothing where a scalar
  /// would be read for one vector alone, though there are more.
  static std::optional<RegisterBlock> ofAllRows(int64_t vectorsOfRow, int64_t rows,
                                                const CpuTarget &target) {
    RegisterBlock block(vectorsOfRow, target);
    block.rows = rows;
    block.vectors = std::min<int64_t>(8, vectorsOfRow);
    while (block.vectors > 0 && (vectorsOfRow % block.vectors || block.rowsThatFit(target) < rows))
      --block.vectors;
    return block.vectors > 1 || (block.vectors == 1 && vectorsOfRow == 1) ? std::optional(block)
                                                                          : std::nullopt;
  }

private:
  /// One register for each vector of the lane operand and one for the broadcast scalar.
  int64_t rowsThatFit(const CpuTarget &target) const {
    return (target.registers - vectors - 1) / vectors;
  }
};

} // namespace ringc::cpu
