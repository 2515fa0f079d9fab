#pragma once

#include "ringc/compiler/passes/cpu/CpuTarget.h"
#include "ringc/compiler/passes/cpu/HiddenPart.h"
#include "ringc/compiler/passes/cpu/KernelFrame.h"
#include "ringc/compiler/passes/cpu/LaneAnalysis.h"
#include "ringc/compiler/passes/cpu/ProductForms.h"
#include "ringc/compiler/passes/cpu/RegisterBlock.h"
#include "ringc/compiler/passes/cpu/ScalarCode.h"
#include "ringc/compiler/passes/cpu/Storage.h"
#include "ringc/compiler/passes/cpu/TileRegisters.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

#include "mlir/IR/IRMapping.h"

#include <functional>
#include <map>

namespace ringc::cpu {

/// Lowers one kernel from tiles to loops over vectors and scratch memory.
///
/// Every tile that must exist in memory becomes a Buffer; elementwise tiles exist in registers
/// only, inside loop nests that produce one or more buffers. A block is emitted phase by phase
/// (BlockSchedule), so that everything elementwise of one shape that can run together becomes one
/// nest:
///
///     phase 1   s0 = dot(q, k^T)
///     phase 2   nest [keys][queries]: t = s0 * scale, running row maximum
///     phase 3   line [queries]: top, base, alpha
///     phase 4   nest [keys][queries]: p = exp2(t - base), row sum; nest [dv][queries]: acc *=
///     alpha phase 5   acc += dot(p, v)
class Lowering {
public:
  Lowering(mlir::func::FuncOp kernel, const CompiledKernel &interface, const CpuTarget &target);

  /// Emits the entry and returns it, or reports an error at the operation that cannot be lowered.
  mlir::FailureOr<mlir::func::FuncOp> run();
  int64_t scratchBytes() const { return scratch.bytesNeeded(); }
  int64_t carryBytes() const { return frame.carryBytesNeeded(); }

private:
  friend class NestEmitter;
  friend class BlockSchedule;
  using Value = mlir::Value;

  // Lowering.cpp: blocks, loops, branches, carries
  mlir::LogicalResult lowerBlock(mlir::Block &block, llvm::ArrayRef<Value> destinationOwners,
                                 llvm::ArrayRef<Buffer> destinations);
  mlir::LogicalResult lowerRegionOp(mlir::Operation *op, int phase, class BlockSchedule &schedule,
                                    llvm::ArrayRef<Value> owners,
                                    llvm::ArrayRef<Buffer> destinations);
  mlir::LogicalResult lowerFor(mlir::scf::ForOp loop, llvm::ArrayRef<Buffer> buffers);
  mlir::LogicalResult lowerSwitch(mlir::scf::IndexSwitchOp op, llvm::ArrayRef<Value> owners,
                                  llvm::ArrayRef<Buffer> buffers);
  bool sameNest(Value a, Value b) const;
  int64_t rowsOf(Value tile) const; ///< along the axis that is not the lanes'
  std::optional<std::pair<int, Value>>
  busiestNest(BlockSchedule &schedule,
              const llvm::DenseMap<mlir::Operation *, HiddenPart> &hiddenRows);
  void lowerResume(tile::ResumeOp op, llvm::ArrayRef<Buffer> buffers);
  Buffer carriedBuffer(tile::ResumeOp resume, mlir::OpResult result);
  std::optional<Buffer> resumedFor(mlir::OpResult result) const;
  mlir::LogicalResult lowerFinish(tile::FinishOp op);
  void keep(tile::FinishOp op, tile::ResumeOp resume, llvm::MutableArrayRef<Buffer> tiles);
  mlir::LogicalResult lowerScalar(mlir::Operation *op);

  // Windows.cpp: between views and buffers
  void emitLoad(tile::LoadOp load, const Buffer &target, int phase);
  void emitStore(tile::StoreOp store, const Buffer &source, int phase);
  struct Window {
    Value row, column; ///< i64 offsets of the window
    Value rows;        ///< i64 extent of the view's first axis
    Value
        columnsInside; ///< i64: where the view ends, at most tileColumns; null where all are in it
    Value firstRow, firstColumn; ///< i64: what is before it lies before the view; null where 0
    int64_t tileRows, tileColumns;
    const KernelFrame::View *view;
    std::optional<Buffer> named; ///< a column of i32: how far from `row` each row of the tile is
  };
  Window windowOf(tile::ViewType type, Value view, mlir::ValueRange offsets, Value rows,
                  mlir::RankedTensorType tile, int phase);
  Value rowInView(const Window &window, Value row);
  Value rowPointer(const Window &window, Value row);
  /// What a load reads, row by row.
  struct WindowRows {
    Window window;
    Value fill;                  ///< address of a row of fill values
    std::optional<Buffer> where; ///< which rows are not left out
  };
  WindowRows rowsOf(tile::LoadOp load, int phase);
  /// Address of row `r` of the tile, `row` of the view: of fill values where it is outside or left
  /// out.
  Value rowOrFill(const WindowRows &rows, Value row, Value r);
  void prefetchRow(const Window &window, Value row, int64_t columnsOn = 0);
  void prefetch(Value pointer, int64_t firstByte, int64_t bytes);
  void ifWhole(const Window &window, llvm::function_ref<void()> whole,
               llvm::function_ref<void()> partial);
  void prefetchNext(Value row);
  void prefetchSums(mlir::Block &block);
  /// The row of fill values that a load takes what is outside its view from; all are made at the
  /// start of the program.
  Value &fillRow(tile::LoadOp load);
  mlir::LogicalResult makeFillRows();

  // Transposes.cpp
  void transpose(llvm::MutableArrayRef<Value> rows);
  bool movesSquares(const Window &window, const Buffer &to) const;
  bool movesPairs(const Window &window, const Buffer &to) const;
  void emitPairwiseTransposedLoad(const Window &window, const Buffer &to,
                                  llvm::function_ref<Value(Value)> sourceRow);
  void emitTransposedLoad(const Window &window, const Buffer &to,
                          llvm::function_ref<Value(Value)> sourceRow);
  Buffer rowMajor(const Buffer &from, int64_t rows, int64_t columns, int phase);

  // VisibleRanges.cpp: what of a product or a nest is worth computing, in a partial tile
  /// For each `granule` lanes, or rows, of a result the range of its other axis, or of the sum,
  /// outside which everything is hidden: two i64 in scratch, from the first to behind the last.
  struct VisibleRanges {
    static constexpr int64_t bytes = 16;
    HiddenPart::Where where;
    bool ofLanes;
    int64_t granule;
    int64_t offset; ///< of the first range, in scratch
  };
  /// Nothing where all of `result` counts, or too little does not.
  std::optional<VisibleRanges> visibleRanges(const std::optional<HiddenPart> &hidden, Value result);
  bool hasVisibleRanges(const HiddenPart &hidden, Value result) const;
  std::pair<Value, Value> rangeAt(const VisibleRanges &ranges, Value laneOrRow);
  Value rangePointer(const VisibleRanges &ranges, Value laneOrRow);

  // Products.cpp
  struct DotOperands {
    Value lanes, rows; ///< the operand that runs along the lanes, and the one read scalar by scalar
    Format lanesFormat, rowsFormat;
    int lanesAxis, rowsContracted; ///< axis of `rows` that is contracted
    ProductForm form;
    bool paired; ///< the lanes' operand lies in pairs
  };
  DotOperands operandsOf(tile::DotOp dot) const;
  void emitDot(tile::DotOp dot, const Buffer &lanes, const Buffer &rows, const Buffer *acc,
               const Buffer &result);
  /// The vectors of the lane operand in a step of the sum: as many as the block has.
  using LaneVectors = std::function<llvm::SmallVector<Value>(Value step)>;
  void emitDot(tile::DotOp dot, RegisterBlock block, const std::optional<VisibleRanges> &visible,
               const Buffer &rows, const Buffer *acc, const Buffer &result,
               llvm::function_ref<LaneVectors(Value lane)> along);
  /// Of two f32, or of two pairs of bf16, a lane.
  Value multiplyAdd(Value a, Value b, Value sum);

  // TiledProducts.cpp: products whose blocks of sums are in registers of tiles
  void chooseStorage();
  void fillTiles(Buffer &buffer) const;
  void emitTiledDot(tile::DotOp dot, const Buffer &lanes, const Buffer &rows, const Buffer *acc,
                    const Buffer &result);
  /// Of a product, 1 or 2 tiles each way; both factors, what is added to (or null) and the result.
  struct TileBlock {
    const Buffer *lanes, *rows, *acc, *result;
    Value row, lane; ///< where it begins
    int64_t rowTiles, laneTiles;
  };
  void emitTiles(const TileBlock &block, Value firstTerm, Value endTerm);
  TileRegisters tileRegisters(mlir::Type element);

  // StreamedProducts.cpp: products that read a window where it lies
  /// The product in whose operations a window is read; nothing where it is copied to a buffer.
  tile::DotOp streamedInto(tile::LoadOp load) const;
  void emitStreamedDot(tile::DotOp dot, tile::LoadOp load, const Buffer &rows, const Buffer *acc,
                       const Buffer &result, int phase);
  void emitFoldedDot(tile::DotOp dot, const Buffer &rows, const Buffer *acc, const Buffer &result,
                     int64_t windowRows, int64_t windowColumns,
                     llvm::function_ref<Value(Value)> rowAddress, mlir::Type element);
  Value rowOfNextRound(tile::LoadOp load, const Window &window);
  Value fold(llvm::SmallVector<Value> vectors);

  // Buffers and values
  Buffer makeBuffer(Value tile, Format format, int phase, int lastPhase);
  Format plainFormat(Value tile) const { return {lanes.laneAxis(tile), false}; }
  mlir::Type storageType(mlir::Type element) const;
  const Buffer *findBuffer(Value tile, std::optional<Format> format = std::nullopt) const;
  /// The buffer of `tile` in `format`, copied from another where there is none.
  Buffer bufferIn(Value tile, Format format, int phase);
  void copyBuffer(const Buffer &from, const Buffer &to);
  void fillBuffer(const Buffer &to, Value scalar);
  void fillFromSplat(const Buffer &to, Value tile);
  void moveInto(const Buffer &to, Value tile);
  Value bufferPointer(const Buffer &buffer, Value byteOffset);
  /// Byte offset of element (outer, lane); both i64.
  Value elementOffset(const Buffer &buffer, Value outer, Value lane);
  Value loadVector(Value pointer, mlir::Type element, int64_t lanes, int64_t alignment);
  void storeVector(Value vector, Value pointer, int64_t alignment);
  Value broadcast(Value scalar, int64_t lanes);
  Value convert(Value value, mlir::Type element); ///< between float types, scalars or vectors
  Value zero(mlir::Type type);
  /// A loop over i64 from `lower` to `upper`; leaves the builder after it.
  mlir::scf::ForOp loop(Value lower, Value upper, int64_t step, mlir::ValueRange inits,
                        llvm::function_ref<llvm::SmallVector<Value>(Value, mlir::ValueRange)> body);

  mlir::func::FuncOp kernel;
  CpuTarget target;
  bool keepsBf16 = false, keepsF16 = false; ///< in buffers; else such elements are f32 there
  bool hasTiles = false;                    ///< some product is made in tiles
  Value tileMemory;                         ///< TileRegisters::bytesOfMemory, where it is so
  /// Lanes or rows that share a range, and the steps in which the other axis is asked. Finer ones
  /// hide more and ask more: of a causal diagonal of 64 x 64, 16 leave 5 parts of 8, and 32 leave 3
  /// of 4.
  int64_t granule = 16;
  mlir::OpBuilder builder;
  mlir::Location loc;
  LaneAnalysis lanes;
  KernelFrame frame;
  ScratchAllocator scratch;
  llvm::DenseMap<Value, llvm::SmallVector<Buffer, 2>> buffers;
  llvm::DenseMap<Value, Value> scalars;
  ScalarCode scalarCode;
  llvm::DenseMap<Value, tile::ResumeOp> resumes;
  /// By the axis of the mask along the lanes: 1 + the offset of the ranges.
  llvm::DenseMap<std::pair<mlir::Operation *, int>, int64_t> rangesOf;
  std::map<std::tuple<const void *, const void *, int64_t>, Value> fillRows;

  /// Of the block that is being emitted: rows of the nest to come that asks for what the next round
  /// loads, a row at a time (0: there is none); and the windows to ask for, that many rows each.
  int64_t rowsOfAskingNest = 0;
  llvm::SmallVector<Window, 2> nextWindows;
};

/// The tile behind transposes, and whether there is an odd number of them.
std::pair<mlir::Value, bool> throughTransposes(mlir::Value tile);
/// A tile that is one scalar repeated: the constant or the splat's operand; nothing otherwise.
bool isSplat(mlir::Value tile);
bool isZero(mlir::Value tile);
/// Whether a window moves on along an axis, by its own size, with each round of the loop around it.
bool movesWithLoop(tile::LoadOp load, size_t axis);

} // namespace ringc::cpu
