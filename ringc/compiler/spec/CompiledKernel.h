#pragma once

#include "ringc/compiler/predicate/Expression.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ringc {

enum class ElementType { F32, F16, BF16, I32, Bool };

/// One axis of a view argument as the launch sees it.
///
/// `name` is an extent of the language: a known one (B, H, Hkv, Nq, Nk), a free one that the launch
/// binds (M, N, K), or a number in decimal for a static one. The implicit axes of a kernel's
/// per-head views come first: a view written `view<T>[Nq, D]` has the axes B, Hkv, G (query head
/// within the KV group), Nq, D; `view<T>[P, Nk, D]` has B, Hkv, P, Nk, D. Other views, and those
/// that masks and scores read, have exactly the axes that they are written with; of their axes B
/// and Hkv a program has its own entry.
struct ArgumentAxis {
  std::string name;
  bool anyEntry = false; ///< of B: a mask or score indexes it by something other than b
  bool operator==(const ArgumentAxis &) const = default;
};

/// One argument of a compiled kernel and where it lies in the array of 64-bit slots of a launch:
///
///     View       pointer, then one stride in elements for each axis, in the order of `axes`
///     Positions  first, block, jump (sign-extended i32):
///                position(l) = first + (l / block) * jump + l % block
///     Carry      pointer to the state (64-byte aligned; not read when it begins and ends here),
///                flags (bit 0: begins, bit 1: ends)
///     Scalar     the value: i32 and bool sign-extended, f32 as its 32 bits
///     Extent     the extent called `name`: Nq (positions, not packed rows), Nk, B, H, Hkv, M, ...
struct KernelArgument {
  enum class Kind { View, Positions, Carry, Scalar, Extent };
  std::string name; ///< as in the source; parameters of masks and scores are `function.parameter`
  Kind kind = Kind::Scalar;
  ElementType type = ElementType::F32;
  std::vector<ArgumentAxis> axes; ///< of a View; of Positions the one of their rows
  bool written = false;           ///< View only: the kernel stores to it
  bool sums = false;              ///< View only: declared as sums (`SumsBlock`)
  int slot = 0;                   ///< index of the first slot

  bool operator==(const KernelArgument &) const = default;
  int slotCount() const {
    switch (kind) {
    case Kind::View:
      return 1 + static_cast<int>(axes.size());
    case Kind::Positions:
      return 3;
    case Kind::Carry:
      return 2;
    case Kind::Scalar:
    case Kind::Extent:
      return 1;
    }
    return 0;
  }
};

/// On the host, sums are a view like any other. On a GPU those of a KV head are whole blocks of so
/// many packed rows and columns, without gaps, in an order of the compiler's: of the strides only
/// those of batch and head count, and what lies beyond rows and columns must be there and may be
/// written.
struct SumsBlock {
  static constexpr int64_t rows = 8, columns = 16;
};

/// One axis of the grid: ceil(extent / step) programs. Where the extent is Nq it counts packed
/// rows, Nq * groupSize.
struct GridAxis {
  std::string extent;
  int64_t step = 1;
  bool operator==(const GridAxis &) const = default;
};

/// What the compiler made: code and everything that a launch needs to know.
///
/// Host code has the entry
///
///     void entry(const uint64_t *slots, int64_t p0, int64_t p1, int64_t kvHead, int64_t batch,
///                void *scratch)
///
/// which runs one program of the grid; `scratch` is 64-byte aligned and private to the calling
/// thread. PTX runs a program a block: of a kernel that runs per head block x = p0 * (programs
/// along p1) + p1, y = KV head, z = batch entry of the launch; of another x = p0, y = p1.
struct CompiledKernel {
  enum class Format { HostObject, Ptx };

  std::string name;
  Format format = Format::HostObject;
  std::string code; ///< ELF relocatable object, or PTX text
  std::string entry;
  std::vector<KernelArgument> arguments;
  int slotCount = 0;
  std::vector<GridAxis> grid; ///< one or two
  bool perHead = false;       ///< the grid has the axes KV head and batch too
  int64_t groupSize = 1;      ///< query heads per KV head
  int64_t scratchBytes = 0;   ///< host code: of one thread
  int64_t threads = 0;        ///< PTX: of a block, which runs one program of the grid
  int64_t sharedBytes = 0;    ///< PTX: dynamic shared memory of a block
  int64_t carryBytes = 0; ///< per program; the state of a launch is carryBytes * number of programs
  bool serialAxis0 = false; ///< programs along p0 share an output and must run one after another
  std::optional<predicate::Expression>
      mask;               ///< of the kernel's masked loop: for plans, which hops are dead
  std::string provenance; ///< JSON: spec, tile sizes, target, compiler

  /// PTX: blocks along x, y and z for so many programs along p0 and p1 (1 for a grid of one axis),
  /// KV heads and batch entries (1 for a kernel that does not run per head).
  std::array<int64_t, 3> blocks(int64_t along0, int64_t along1, int64_t kvHeads,
                                int64_t batch) const {
    if (perHead)
      return {along0 * along1, kvHeads, batch};
    return {along0, along1, 1};
  }
};

} // namespace ringc
