#pragma once

#include "ringc/compiler/passes/cpu/KernelFrame.h"

namespace ringc::cpu {

/// The eight registers of AMX, each of 16 rows of 64 bytes, by their number; or as many places in
/// memory, where loops over vectors do what its instructions do: slowly, on any host.
///
/// LLVM spills and configures such registers by itself where they are values; numbered they are
/// the caller's, all of one shape, and hold what they held when code between them calls nothing.
class TileRegisters {
public:
  using Value = mlir::Value;
  static constexpr int count = 8;
  static constexpr int64_t rows = 16, rowBytes = 64, bytes = rows * rowBytes;
  static constexpr int64_t bytesOfMemory = (count + 1) * bytes; ///< the last is of the shapes

  enum class Kind { Instructions, Loops };

  /// `inMemory` has bytesOfMemory, aligned to 64; `ofVector` are the lanes of a vector of f32.
  TileRegisters(mlir::OpBuilder &b, KernelFrame &f, Kind k, Value inMemory, int64_t ofVector)
      : builder(b), frame(f), kind(k), memory(inMemory), lanes(ofVector) {}

  /// At the start of a program and at its end.
  void configure(mlir::Location loc);
  void release(mlir::Location loc);

  void zero(mlir::Location loc, int tile);
  /// Rows of 64 bytes, `stride` bytes apart.
  void load(mlir::Location loc, int tile, Value pointer, int64_t stride);
  void store(mlir::Location loc, int tile, Value pointer, int64_t stride);
  /// sums[r][c], f32, += the sum over t of a[r][t] * b[t / 2][c][t % 2], bf16 or f16.
  void multiplyAdd(mlir::Location loc, int sums, int a, int b, mlir::Type element);

private:
  void call(mlir::Location loc, llvm::StringRef name, mlir::ValueRange arguments);
  Value number(mlir::Location loc, int tile);
  Value rowOf(int tile, Value row);
  void copyRows(mlir::Location loc, llvm::function_ref<Value(Value row)> from,
                llvm::function_ref<Value(Value row)> to);
  void forRows(mlir::Location loc, llvm::function_ref<void(Value row)> body);

  mlir::OpBuilder &builder;
  KernelFrame &frame;
  Kind kind;
  Value memory;
  int64_t lanes;
};

} // namespace ringc::cpu
