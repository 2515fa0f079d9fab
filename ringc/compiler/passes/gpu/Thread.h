#pragma once

#include "ringc/compiler/passes/cpu/KernelFrame.h"
#include "ringc/compiler/passes/cpu/ScalarCode.h"
#include "ringc/compiler/passes/gpu/Block.h"
#include "ringc/compiler/passes/gpu/GpuTarget.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

#include <array>

namespace ringc::gpu {

/// The code of one kernel's threads: where it goes on, and what the kernel's values are in it.
struct ThreadCode {
  ThreadCode(mlir::func::FuncOp kernel, const CompiledKernel &interface, const GpuTarget &target);

  mlir::func::FuncOp kernel;
  GpuTarget target;
  mlir::OpBuilder builder;
  mlir::Location loc;
  WarpGrid grid;
  cpu::KernelFrame frame;
  llvm::DenseMap<mlir::Value, mlir::Value> scalars;
  ScalarCode scalarCode;
  llvm::DenseMap<mlir::Value, Fragment> fragments;
  llvm::DenseMap<mlir::Value, SharedTile> shared; ///< by buffer
  llvm::DenseMap<mlir::Value, int64_t> words;     ///< where they begin in shared memory
  mlir::Value sharedBase;

  /// What follows from a thread's number, i32.
  struct Place {
    mlir::Value thread, lane, warp;
    mlir::Value mWarp, nWarp; ///< the warp's place in the grid
    mlir::Value mBase, nBase; ///< the thread's first coordinates
  } place;
};

/// What all that emits a thread's code has in common: numbers, memory, coordinates. A handle.
class Thread {
protected:
  using Value = mlir::Value;
  using LogicalResult = mlir::LogicalResult;

  explicit Thread(ThreadCode &ofCode)
      : code(ofCode), kernel(code.kernel), builder(code.builder), loc(code.loc), grid(code.grid),
        frame(code.frame), scalars(code.scalars), fragments(code.fragments), shared(code.shared),
        words(code.words), thread(code.place.thread), lane(code.place.lane), warp(code.place.warp),
        mWarp(code.place.mWarp), nWarp(code.place.nWarp), mBase(code.place.mBase),
        nBase(code.place.nBase) {}

  static FragmentLayout layoutOf(Value tile) { return block::layoutOf(tile); }
  int64_t threads() const { return grid.warps() * 32; }
  void placeThread();
  Value threadAgain();
  Value mAt(int64_t index); ///< i32 coordinates of this thread's elements
  Value nAt(int64_t index);
  Value position(const cpu::KernelFrame::Positions &positions, Value row);

  // Tiles in registers
  std::optional<Fragment> fragmentOf(Value tile);
  /// The fragment of a tile in its own layout.
  mlir::FailureOr<Fragment> whole(Value tile, mlir::Operation *user);
  Fragment expanded(const Fragment &fragment, const FragmentLayout &to);

  // Tiles in shared memory (SharedPlaces.cpp)
  /// A thread's own row or column, and how far behind it another lies.
  struct SharedCoordinate {
    Value first;
    int64_t further = 0;
    int64_t bits = -1; ///< that `first` may have set; all where nothing is known
  };
  Value sharedPointer(Value byteOffset, int64_t constant = 0);
  Value placeIn(const SharedTile &tile, SharedCoordinate row, SharedCoordinate column);
  /// `lanes` and, above them, the bits of `count` warps that take turns of 16.
  static int64_t bitsOf(int64_t lanes, int64_t count);
  void barrier();

  // Numbers and memory
  Value intrinsic(mlir::Type type, llvm::StringRef name, mlir::ValueRange operands);
  void call(llvm::StringRef name, mlir::ValueRange operands);
  void keepRolled(mlir::scf::ForOp loop);
  Value i32(int64_t value) { return frame.constant32(value); }
  Value add(Value a, Value b);
  Value subtract(Value a, Value b);
  Value mul(Value a, int64_t b);
  Value zeroOf(mlir::Type type);
  /// Two 16-bit numbers in one register, rounded from f32 where they were cast.
  Value pack(Value low, Value high);
  Value global(Value pointer); ///< in the global address space
  void store(Value value, Value pointer);
  Value load(mlir::Type type, Value pointer);
  /// Neighbours in memory by one instruction, for which the pointer is aligned.
  void storeTogether(llvm::ArrayRef<Value> values, Value pointer);
  llvm::SmallVector<Value> loadTogether(mlir::Type type, int64_t count, Value pointer);

  ThreadCode &code;
  mlir::func::FuncOp &kernel;
  mlir::OpBuilder &builder;
  mlir::Location &loc;
  const WarpGrid &grid;
  cpu::KernelFrame &frame;
  llvm::DenseMap<Value, Value> &scalars;
  llvm::DenseMap<Value, Fragment> &fragments;
  llvm::DenseMap<Value, SharedTile> &shared;
  llvm::DenseMap<Value, int64_t> &words;
  Value &thread, &lane, &warp, &mWarp, &nWarp, &mBase, &nBase;
};

/// `value` as the sum of what varies (null where nothing does) and a constant.
std::pair<mlir::Value, int64_t> throughConstant(mlir::Value value);

} // namespace ringc::gpu
