#pragma once

#include "compiler/spec/Fields.h"

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
  bool hasBf16Dot = false; ///< a product of bf16 pairs added to f32, as AVX512_BF16 has
  int64_t l1Bytes = 32768;
  int64_t l2Bytes = 1048576;

  bool operator==(const Target &) const = default;

  int64_t vectorFloats() const { return vectorBytes / 4; }
};

template <FieldsOf<Target> Self, class Visit> void visitFields(Self &self, Visit &&visit) {
  auto &[name, triple, chip, features, vectorBytes, vectorRegisters, hasBf16Dot, l1Bytes, l2Bytes] =
      self;
  visit(Field{"name", "as a spec names it"}, name);
  visit(Field{"triple", "LLVM's"}, triple);
  visit(Field{"chip", "LLVM's name of the processor"}, chip);
  visit(Field{"features", "LLVM's, comma separated"}, features);
  visit(Field{"vector_bytes", "of a vector register", 4, 256}, vectorBytes);
  visit(Field{"vector_registers", "how many there are", 8, 64}, vectorRegisters);
  visit(Field{"has_bf16_dot", "adds products of bf16 pairs to f32"}, hasBf16Dot);
  visit(Field{"l1_bytes", "data cache of a core", 1024}, l1Bytes);
  visit(Field{"l2_bytes", "cache of a core", 1024}, l2Bytes);
}

/// "cpu, native": the names of targets that this build compiles for. Both are the host.
std::string availableTargets();

/// Throws InputError, naming those that exist, where this build has no such target.
void requireTarget(std::string_view name);

} // namespace ringc
