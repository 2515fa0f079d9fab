#pragma once

#include <cstdint>

namespace ringc::cpu {

/// What the lowering needs to know of a host processor.
struct CpuTarget {
  int64_t vectorBytes = 32;
  int64_t registers = 16;    ///< vector registers
  bool hasBf16Dot = false;   ///< AVX512_BF16: pairs of bf16 multiplied and added into f32
  bool hasBf16Tiles = false; ///< AMX_BF16: registers of tiles; else loops stand in for them
  bool hasF16Tiles = false;  ///< AMX_FP16
  bool hasAvx512 = false;    ///< for vscalefps
  int64_t microRows = 0;     ///< rows of a register block; 0: as many as the registers hold
  int64_t microVectors = 0;  ///< vectors of a register block; 0: at most 4

  int64_t lanes() const { return vectorBytes / 4; }
};

} // namespace ringc::cpu
