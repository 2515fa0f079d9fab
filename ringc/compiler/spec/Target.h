#pragma once

#include "ringc/compiler/spec/Fields.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace ringc {

/// Facts about the chip that is compiled for, as the compiler found or was told; no pass asks what
/// the chip is called.
struct Target {
  std::string name = "cpu"; ///< as a Spec names it
  std::string triple;       ///< LLVM's
  std::string chip;         ///< LLVM's name: "znver4", "skylake-avx512"
  std::string features;     ///< LLVM's: "+avx2,+fma"
  int64_t vectorBytes = 16;
  int64_t vectorRegisters = 16;
  bool hasBf16Dot = false;   ///< a product of bf16 pairs added to f32, as AVX512_BF16 has
  int64_t pairSpeed = 200;   ///< multiply-adds of such pairs, in hundredths of f32's in that time
  bool hasBf16Tiles = false; ///< products of tiles, as AMX_BF16 has
  bool hasF16Tiles = false;  ///< as AMX_FP16 has
  int64_t tileSpeed = 1600;  ///< of them, as pairSpeed
  int64_t l1Bytes = 32768;
  int64_t l2Bytes = 1048576;
  int64_t sm = 0;          ///< of a GPU, its compute capability: 80 is 8.0; 0: a host processor
  int64_t sharedBytes = 0; ///< of a GPU: shared memory that a block may ask for

  bool operator==(const Target &) const = default;

  bool isGpu() const { return sm != 0; }
  int64_t vectorFloats() const { return vectorBytes / 4; }
};

template <FieldsOf<Target> Self, class Visit> void visitFields(Self &self, Visit &&visit) {
  auto &[name, triple, chip, features, vectorBytes, vectorRegisters, hasBf16Dot, pairSpeed,
         hasBf16Tiles, hasF16Tiles, tileSpeed, l1Bytes, l2Bytes, sm, sharedBytes] = self;
  visit(Field{"name", "as a spec names it"}, name);
  visit(Field{"triple", "LLVM's"}, triple);
  visit(Field{"chip", "LLVM's name of the processor"}, chip);
  visit(Field{"features", "LLVM's, comma separated"}, features);
  visit(Field{"vector_bytes", "of a vector register", 4, 256}, vectorBytes);
  visit(Field{"vector_registers", "how many there are", 8, 64}, vectorRegisters);
  visit(Field{"has_bf16_dot", "adds products of bf16 pairs to f32"}, hasBf16Dot);
  visit(Field{"pair_speed", "multiply-adds of pairs, in hundredths of f32's", 1}, pairSpeed);
  visit(Field{"has_bf16_tiles", "multiplies tiles of bf16"}, hasBf16Tiles);
  visit(Field{"has_f16_tiles", "multiplies tiles of f16"}, hasF16Tiles);
  visit(Field{"tile_speed", "multiply-adds of tiles, in hundredths of f32's", 1}, tileSpeed);
  visit(Field{"l1_bytes", "data cache of a core", 1024}, l1Bytes);
  visit(Field{"l2_bytes", "cache of a core", 1024}, l2Bytes);
  visit(Field{"sm", "compute capability of a GPU, 80 for 8.0; 0 on a host", 0, 999}, sm);
  visit(Field{"shared_bytes", "that a block of a GPU may ask for", 0}, sharedBytes);
}

/// The GPU called `name`, one of sm_80, sm_86, sm_89, sm_90, sm_100, sm_120. What is a host's alone
/// keeps its default. Throws InputError for any other name.
Target gpuTarget(std::string_view name);

/// The newest of them whose code a GPU of compute capability `sm` (90 for 9.0) runs. Throws
/// InputError below 80.
Target gpuTargetFor(int64_t sm);

/// Throws InputError where kernels are not compiled for processors of LLVM's `triple`: a GPU's
/// still are, on any host.
void requireHost(std::string_view triple);

/// "cpu, native, sm_80, ...": the names of targets that this build compiles for. The first two are
/// the host.
std::string availableTargets();

/// Throws InputError, naming those that exist, where this build has no such target.
void requireTarget(std::string_view name);

} // namespace ringc
