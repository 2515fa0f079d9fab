#pragma once

#include "ringc/compiler/passes/cpu/KernelFrame.h"
#include "ringc/compiler/passes/cpu/LaneAnalysis.h"
#include "ringc/compiler/passes/cpu/ScalarCode.h"
#include "ringc/compiler/passes/gpu/Fragment.h"
#include "ringc/compiler/passes/gpu/GpuTarget.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"

#include <array>

namespace ringc::gpu {

/// Lowers one kernel from tiles to the threads of a block: mma.sync on fragments in registers,
/// operands from shared memory by cp.async and ldmatrix (compute capability 8.0 and later).
///
/// A product's operand is either a window of a view, copied to shared memory, or a tile that the
/// block has computed, which becomes the left operand by packing its registers, the right one
/// through shared memory. Everything elementwise happens in registers, in the accumulator's layout.
/// The axis that moves with the program is m; a product whose result has it as columns is computed
/// transposed, so that what comes out of one product is the left operand of the next (dk and dv: p
/// as [keys][queries]).
class Lowering {
public:
  Lowering(mlir::func::FuncOp kernel, const CompiledKernel &interface, const GpuTarget &target);

  /// Emits the entry and returns it, or reports an error at the operation that cannot be lowered.
  mlir::FailureOr<mlir::func::FuncOp> run();
  int64_t threads() const { return grid.warps() * 32; }
  int64_t sharedBytes() const { return sharedHighWater; }
  int64_t carryBytes() const { return frame.carryBytesNeeded(); }
  /// Numbers that a thread holds at least, in its largest loop.
  int64_t sumsOfThread() const;

private:
  using Value = mlir::Value;
  using LogicalResult = mlir::LogicalResult;

  // Layouts.cpp
  void chooseLayouts();
  void chooseTransposed(tile::DotOp dot);
  void findSingleMatrices();
  int mAxisOf(Value tile) const;
  bool isMatrix(Value tile) const;
  FragmentLayout layoutOf(Value tile) const;
  FragmentLayout singleLayoutOf(Value tile) const; ///< of a row or column that is no matrix
  void setM(FragmentLayout &layout, int64_t extent) const;
  void setN(FragmentLayout &layout, int64_t extent) const;
  int64_t reachM(const FragmentLayout &layout) const { return layout.mBlocks * grid.mTurn(); }
  int64_t reachN(const FragmentLayout &layout) const { return layout.nBlocks / 2 * grid.nTurn(); }

  // Lowering.cpp: blocks, values
  void placeThread();
  Value threadAgain();
  LogicalResult lowerBlock(mlir::Block &block);
  LogicalResult lower(mlir::Operation *op);
  LogicalResult lowerScalar(mlir::Operation *op);

  // Regions.cpp: loops, branches, carries
  LogicalResult lowerFor(mlir::scf::ForOp loop);
  LogicalResult lowerSwitch(mlir::scf::IndexSwitchOp choice);
  LogicalResult lowerIf(mlir::scf::IfOp branch);
  /// The layouts of tiles, and the types of their fragments' elements, place by place.
  std::pair<llvm::SmallVector<FragmentLayout>, llvm::SmallVector<mlir::Type>>
  flattened(mlir::ValueRange tiles) const;
  LogicalResult lowerWays(mlir::Operation *from, mlir::Operation *made,
                          llvm::ArrayRef<FragmentLayout> layouts);
  Value expected(Value condition);
  LogicalResult lowerResume(tile::ResumeOp op);
  LogicalResult lowerFinish(tile::FinishOp op);
  Value carryPointer(tile::CarryType, Value carry, int64_t offset, const FragmentLayout &layout,
                     int64_t element);

  // Pipeline.cpp: windows of the next round of a loop copied during this one
  struct Pipeline {
    tile::VisibilityOp visibility;                     ///< null where every round is visited
    llvm::SmallVector<tile::LoadOp> loads;             ///< one for each window
    llvm::SmallVector<llvm::SmallVector<Value>> names; ///< all that load this window
    llvm::SmallVector<SharedTile> tiles;               ///< the first of two copies
    llvm::SetVector<mlir::Operation *> places; ///< of the loop: what says where the windows lie
    int64_t stageBytes = 0;
    Value where;            ///< the rows kept of those that leave out some; null: no load does
    int64_t whereBytes = 0; ///< in shared memory, at whereOffset
    int64_t whereOffset = 0;
  };
  std::optional<Pipeline> pipelineOf(mlir::scf::ForOp loop);
  /// VisibleRounds.cpp: where the rounds begin and end in which something is visible.
  std::pair<Value, Value> visibleRounds(const Pipeline &pipeline, mlir::scf::ForOp loop,
                                        Value lower, Value upper, Value step);
  Value visibleAt(const Pipeline &pipeline, mlir::scf::ForOp loop, Value round);
  LogicalResult copyRound(const Pipeline &pipeline, mlir::scf::ForOp loop, Value round, Value seen,
                          Value stageOffset);

  // Registers.cpp: elementwise, broadcasts
  LogicalResult lowerElementwise(mlir::Operation *op);
  Value elementwise(mlir::Operation *op, llvm::ArrayRef<Value> operands);
  Fragment counted(mlir::Operation *op);
  // Apply.cpp, VisibleRows.cpp: masks and scores
  class Applied;
  class VisibleRows;
  LogicalResult lowerApply(tile::ApplyOp op);
  void invertDivisors(Applied &applied);
  Value position(const cpu::KernelFrame::Positions &positions, Value row);
  // Functions.cpp
  Value reciprocal(Value x);
  Value tanh(Value x);
  bool roundsOperands() const;

  // Reductions.cpp
  using Combine = llvm::function_ref<Value(Value, Value)>;
  Fragment reduced(const Fragment &fragment, const FragmentLayout &to, bool overM, Combine combine,
                   Value neutral);
  mlir::FailureOr<Fragment> asSingle(Value tile, mlir::Operation *user);
  LogicalResult lowerReduce(tile::ReduceOp op);
  LogicalResult lowerAll(tile::AllOp op);
  LogicalResult reduceConditions(tile::ReduceOp op, Value tile, const FragmentLayout &to,
                                 bool overM);
  Value counts(const FragmentLayout &from, int64_t m, int64_t n, bool overM);
  void acrossLanes(Combine combine, llvm::MutableArrayRef<Value> values, bool overM);
  void acrossWarps(Combine combine, llvm::MutableArrayRef<Value> values, bool overM);

  // Memory.cpp: windows of views
  struct Window {
    const cpu::KernelFrame::View *view;
    Value row, column;   ///< i32 offsets
    Value rows;          ///< i32 extent of the first axis
    Value columnsInside; ///< i32 extent of the second; null where all columns lie inside
    int64_t tileRows, tileColumns;
    std::optional<int64_t> named; ///< in shared memory, i32: how far from `row` each row is
  };
  struct Places;
  Window windowOf(tile::ViewType type, Value view, mlir::ValueRange offsets,
                  mlir::RankedTensorType tile);
  mlir::FailureOr<Window> windowOf(tile::LoadOp load);
  mlir::FailureOr<int64_t> shareNamedRows(Value rows);
  Value viewRow(const Window &window, Value row);
  bool rowsAreEquallySpaced(const Window &window) const;
  Value rowPointer(const Window &window, Value row);
  Value rowInView(const Window &window, Value row);
  Value rowInside(const Window &window, Value row);
  Value columnInside(const Window &window, Value column);
  Places placesOf(const Window &window, const FragmentLayout &layout, mlir::RankedTensorType type);
  Value isAligned(const Window &window, int64_t bytes);
  LogicalResult loadRegisters(tile::LoadOp load);

  void storeRegisters(tile::StoreOp store, const Window &window, const Fragment &tile);

  // Stores.cpp: tiles on their way to windows of views
  LogicalResult lowerStore(tile::StoreOp store);
  SharedTile placeBehindLoops(tile::StoreOp store) const;
  void storeFromShared(tile::StoreOp store, const Window &window, const SharedTile &tile);
  void storeChunks(tile::StoreOp store, const Window &window, const SharedTile &tile,
                   int64_t bytes);
  void storeElements(tile::StoreOp store, const Window &window, const SharedTile &tile);

  // Copies.cpp: windows on their way to shared memory
  /// Which rows of a window are read: an i32 each in shared memory, the bytes of a chunk or 0,
  /// valid where `condition` holds; all of them otherwise. No condition: always valid.
  struct RowsKept {
    int64_t offset;
    Value condition;
    bool areInside; ///< all that are read are rows of the view
  };
  bool goesToShared(tile::LoadOp load) const;
  bool goesToRegisters(tile::LoadOp load) const;
  SharedTile sharedTileOf(tile::LoadOp load) const;
  std::array<int64_t, 2> extentsRead(Value tile) const;
  LogicalResult stage(tile::LoadOp load);
  LogicalResult copyIn(tile::LoadOp load, const SharedTile &tile, std::optional<RowsKept> kept);
  Value isKept(Value row, int64_t flags);
  void copyChunks(const Window &window, const SharedTile &tile, std::optional<int64_t> flags,
                  bool areInside);
  void copyElements(const Window &window, const SharedTile &tile, mlir::TypedAttr fill,
                    std::optional<int64_t> flags);
  /// The branch that `where` comes from, if all rows are kept otherwise and nothing else needs it.
  mlir::scf::IfOp rowsKeptBranch(Value where);
  mlir::FailureOr<RowsKept> shareRowsKept(Value where, int64_t offset);
  LogicalResult writeColumn(Value column, int64_t offset);
  bool writeRowsSeen(Value rows, int64_t offset);
  Value allocateShared(int64_t bytes, int64_t &offset);
  // SharedPlaces.cpp
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
  void waitFor(llvm::ArrayRef<Value> tiles);

  // Sums.cpp: what programs add up in memory that they share
  void addAtomically(Value value, Value pointer);
  bool addsFour() const { return target.sm >= 90; }
  void addFour(llvm::ArrayRef<Value> values, Value pointer);
  struct SumsPlaces;
  Value sumsIndexOf(Value row, Value column, int64_t blocksOfRow);
  mlir::FailureOr<SumsPlaces> sumsPlacesOf(mlir::Operation *op, tile::ViewType type, Value view,
                                           mlir::ValueRange offsets, const FragmentLayout &layout,
                                           mlir::RankedTensorType tile);
  LogicalResult loadSums(tile::LoadOp load);
  LogicalResult storeSums(tile::StoreOp store, const Fragment &tile);

  // Columns.cpp: columns that move with a loop, through shared memory
  bool isStreamedColumn(tile::LoadOp load) const;
  SharedTile columnPlaceOf(tile::LoadOp load) const;
  void copyColumn(tile::LoadOp load, const SharedTile &place);
  void readColumn(tile::LoadOp load, const SharedTile &place);

  // Exchange.cpp: computed tiles through shared memory
  bool isReadFromShared(Value tile) const;
  LogicalResult share(Value tile, mlir::Operation *maker);
  void writeShared(const Fragment &fragment, const SharedTile &place);

  // Products.cpp
  LogicalResult lowerDot(tile::DotOp dot);
  struct Operand {
    Value tile;       ///< behind transposes
    int mAxis, kAxis; ///< of `tile`: the axis of the result, and the contracted one
  };
  struct ProductStep {
    Value warp;                         ///< i32: where in a turn of the warps; null: at its start
    int64_t further;                    ///< constant
    std::optional<int64_t> inRegisters; ///< the pair of blocks of the left operand
  };
  llvm::SmallVector<ProductStep> productSteps(int64_t depth, bool computed);
  LogicalResult inRegisters(tile::DotOp dot, const Operand &left,
                            std::optional<Fragment> &computed);
  LogicalResult multiply16(tile::DotOp dot, const Operand &left, const Operand &right,
                           Fragment &sums);
  LogicalResult multiplyF32(tile::DotOp dot, const Operand &left, const Operand &right,
                            Fragment &sums);
  llvm::SmallVector<Value> matrices(const SharedTile &tile, SharedCoordinate row,
                                    SharedCoordinate column, bool transposed);
  Value pack(Value low, Value high);

  // Values
  std::optional<Fragment> fragmentOf(Value tile);
  /// The fragment of a tile in its own layout.
  mlir::FailureOr<Fragment> whole(Value tile, mlir::Operation *user);
  Fragment expanded(const Fragment &fragment, const FragmentLayout &to);
  Value mAt(int64_t index); ///< i32 coordinates of this thread's elements
  Value nAt(int64_t index);
  Value intrinsic(mlir::Type type, llvm::StringRef name, mlir::ValueRange operands);
  void call(llvm::StringRef name, mlir::ValueRange operands);
  void keepRolled(mlir::scf::ForOp loop);
  Value i32(int64_t value) { return frame.constant32(value); }
  Value add(Value a, Value b);
  Value subtract(Value a, Value b);
  Value mul(Value a, int64_t b);
  Value zeroOf(mlir::Type type);
  Value global(Value pointer); ///< in the global address space
  void store(Value value, Value pointer);
  Value load(mlir::Type type, Value pointer);
  /// Neighbours in memory by one instruction, for which the pointer is aligned.
  void storeTogether(llvm::ArrayRef<Value> values, Value pointer);
  llvm::SmallVector<Value> loadTogether(mlir::Type type, int64_t count, Value pointer);

  mlir::func::FuncOp kernel;
  GpuTarget target;
  mlir::OpBuilder builder;
  mlir::Location loc;
  cpu::LaneAnalysis axes;
  llvm::DenseSet<Value> singleMatrices; ///< single rows and columns that are matrices
  llvm::DenseSet<int> mClasses;
  llvm::DenseSet<std::pair<int, int>> columnsAreM; ///< classes of rows and columns: m is columns
  WarpGrid grid;
  cpu::KernelFrame frame;
  llvm::DenseMap<Value, Value> scalars;
  ScalarCode scalarCode;
  llvm::DenseMap<Value, Fragment> fragments;
  llvm::DenseMap<Value, Value> reciprocals; ///< of what all elements at hand are divided by
  llvm::DenseMap<Value, SharedTile> shared;
  llvm::DenseMap<Value, int64_t> namedRows;   ///< where columns that name rows lie in shared memory
  llvm::DenseSet<mlir::Operation *> provided; ///< what a loop has seen to already
  llvm::SmallVector<Value> underWay; ///< staged tiles that are still being copied, oldest first
  llvm::SmallVector<Value> unseen;   ///< shared tiles that other threads may not see yet
  bool settled = true; ///< a barrier stands between here and what this round, or code before, read
  Value thread, lane, warp, mWarp, nWarp; ///< i32; the last two: its place in the grid
  Value mBase, nBase, sharedBase;         ///< the thread's first coordinates
  int64_t sharedTop = 0, sharedHighWater = 0;
  int loopDepth = 0;
};

/// The tile behind transposes, and whether there is an odd number of them.
std::pair<mlir::Value, bool> throughTransposes(mlir::Value tile);
/// `value` as the sum of what varies (null where nothing does) and a constant.
std::pair<mlir::Value, int64_t> throughConstant(mlir::Value value);
/// i1 lies in memory as a byte.
mlir::Type typeInMemory(mlir::Type element);
/// Whether the window moves with the program, so that nobody else writes there.
bool belongsToProgram(tile::StoreOp store);
int64_t bytesInMemory(mlir::Type element);

} // namespace ringc::gpu
