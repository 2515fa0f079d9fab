#pragma once

#include "ringc/compiler/dialect/Tile.h"
#include "ringc/compiler/spec/CompiledKernel.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"

#include <map>

namespace ringc::cpu {

/// The entry of a kernel and what its slots hold, as values. Addresses are byte offsets in i64 from
/// an `!llvm.ptr`.
class KernelFrame {
public:
  /// Host: entry(slots, p0, p1, KV head, batch, scratch), called for each program. Device:
  /// entry(slots), by value; a program is a block of the launch's grid (CompiledKernel).
  enum class Entry { Host, Device };

  struct View {
    mlir::Value pointer;                    ///< for a program's view: at its batch and KV head
    llvm::SmallVector<mlir::Value> strides; ///< i64, elements; one an axis of the view's type
    mlir::Value groupStride; ///< i64: from head to head within the KV group; null but for a
                             ///< program's Nq views
    mlir::Type element;      ///< as in memory: f32, f16, bf16, i32, i1 (one byte)
    mlir::Value inside;      ///< of a slice, i1: whether it is of the view; null where it always is
  };
  struct Positions {
    mlir::Value first, block, jump; ///< i32
    llvm::StringRef layout;         ///< contiguous, striped, zigzag or any
    llvm::StringRef extent;
  };
  struct Carry {
    mlir::Value pointer;      ///< of this program, 64-byte aligned
    mlir::Value begins, ends; ///< i1
    mlir::Value kept;         ///< i1: not both; nothing is behind the pointer otherwise
  };

  /// Creates the entry function after `kernel` and leaves the builder at its start.
  KernelFrame(mlir::OpBuilder &builder, mlir::func::FuncOp kernel, const CompiledKernel &interface,
              Entry entry = Entry::Host);

  mlir::func::FuncOp entry() const { return function; }
  /// Of an argument, or of a slice that is known.
  const View &view(mlir::Value value) const { return views.find(value)->second; }
  bool knows(mlir::Value view) const { return views.contains(view); }
  /// Indices in i32, one an axis that the slice lacks.
  void addSlice(tile::SliceOp slice, llvm::ArrayRef<mlir::Value> indices);
  /// Elements from the start of a view, i64, to `index` (i32) of an axis; of Nq a packed row.
  mlir::Value offsetAlong(const View &view, tile::ViewType type, int64_t axis, mlir::Value index);
  /// i32: whether an index lies within an axis's extent.
  mlir::Value isWithin(tile::ViewType type, int64_t axis, mlir::Value index);
  /// The program's own batch entry (B) or KV head (Hkv), i32.
  mlir::Value ownIndex(llvm::StringRef extent) { return extent == "B" ? batch() : narrow(kvHead); }
  const Positions &positions(mlir::Value value) const {
    return positionsOf.at(value.getAsOpaquePointer());
  }
  /// Makes the positions of a tile.shift, by a number of the entry's.
  void shift(tile::ShiftOp op, mlir::Value by);
  Carry carry(mlir::Value argument);
  mlir::Value scalar(mlir::Value argument) const { return scalars.lookup(argument); }
  /// i64. Nq counts packed rows.
  mlir::Value extent(llvm::StringRef name) const { return extents.lookup(name); }
  mlir::Value programId(int axis) const { return axis == 0 ? p0 : p1; }
  /// Along an axis of the grid, i64.
  mlir::Value programsAlong(const GridAxis &axis);
  mlir::Value scratch() const { return scratchPointer; }
  int64_t groupSize() const { return group; }
  mlir::Value batch() const { return batchIndex; } ///< i32

  /// Where the carry's tiles lie within a program's slot; `bytes` is added to the slot's size.
  int64_t reserveCarry(int64_t bytes) {
    int64_t offset = carryBytes;
    carryBytes += bytes;
    return offset;
  }
  /// Bytes of a program's carry; the entry multiplies the program's index with it once everything
  /// is reserved.
  int64_t carryBytesNeeded() const { return carryBytes; }
  void finish();

  /// Head of group member m: headBase() + m * headStep(), i32. Blocked: KV head * G + m; tiled: m *
  /// Hkv + KV head.
  mlir::Value headBase();
  mlir::Value headStep();
  mlir::Value head(mlir::Value member);
  /// Global position of a local row (i32): first + (l / block) * jump + l % block, folded by the
  /// kind of layout.
  mlir::Value position(const Positions &positions, mlir::Value row);
  /// i64 address arithmetic.
  mlir::Value constant(int64_t value);
  mlir::Value constant32(int64_t value);
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, int64_t b) { return b == 1 ? a : mul(a, constant(b)); }
  mlir::Value widen(mlir::Value i32); ///< i32 -> i64
  mlir::Value narrow(mlir::Value i64);
  mlir::Value pointerAt(mlir::Value pointer, mlir::Value byteOffset);

private:
  mlir::Value slot(int index, mlir::Type type);
  void enterHost(mlir::func::FuncOp kernel);
  void enterDevice(mlir::func::FuncOp kernel, const CompiledKernel &interface);
  void spreadPrograms(const CompiledKernel &interface);

  mlir::OpBuilder &builder;
  mlir::Location loc;
  mlir::func::FuncOp function;
  mlir::Value slots, p0, p1, kvHead, batch64, batchIndex, scratchPointer, programIndex;
  llvm::DenseMap<mlir::Value, View> views;
  std::map<const void *, Positions> positionsOf; ///< by value; what is looked up stays
  llvm::MapVector<mlir::Value, Carry> carries;
  llvm::DenseMap<mlir::Value, mlir::Value> scalars;
  llvm::StringMap<mlir::Value> extents;
  mlir::Operation *carrySize = nullptr;
  int64_t group = 1, carryBytes = 0;
  bool tiledHeads = false;
};

} // namespace ringc::cpu
