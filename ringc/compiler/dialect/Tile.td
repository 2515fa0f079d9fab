#ifndef RINGC_COMPILER_DIALECT_TILE
#define RINGC_COMPILER_DIALECT_TILE

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Tile_Dialect : Dialect {
  let name = "tile";
  let cppNamespace = "::ringc::tile";
  let summary = "One program of a grid over static tiles of tensor views";
  let description = [{
    A kernel is a `func.func` with the attribute `tile.kernel`. Values are tiles, rank-2 ranked tensors of static shape, on which
    `arith` and `math` work element by element; scalars are i32, f32 and i1. Masks and scores are scalar `func.func`s that
    `tile.apply` and `tile.masked_for` name. Memory is reached through views alone; there are no pointers and no thread index.
  }];
  let useDefaultTypePrinterParser = 1;
  let extraClassDeclaration = [{
    /// Attribute names on a kernel function and its arguments.
    static constexpr llvm::StringLiteral kernelAttr = "tile.kernel";      ///< unit: this function is a kernel
    static constexpr llvm::StringLiteral gridAttr = "tile.grid";          ///< [["Nq", 64], ...]: extent and step of each grid axis
    static constexpr llvm::StringLiteral perHeadAttr = "tile.per_head";   ///< unit: the grid has KV head and batch axes too
    static constexpr llvm::StringLiteral groupAttr = "tile.group";        ///< i64: query heads per KV head
    static constexpr llvm::StringLiteral headMapAttr = "tile.head_map";   ///< "blocked" or "tiled"
    static constexpr llvm::StringLiteral tf32Attr = "tile.tf32";          ///< unit: on a GPU, one product of tf32 for one of f32; else three
    static constexpr llvm::StringLiteral nameAttr = "tile.name";          ///< on an argument: its name in the source
    static constexpr llvm::StringLiteral layoutAttr = "tile.layout";      ///< on a positions argument: contiguous, striped, zigzag or any
  }];
}

class Tile_Type<string name, string typeMnemonic> : TypeDef<Tile_Dialect, name> { let mnemonic = typeMnemonic; }

def Tile_ViewType : Tile_Type<"View", "view"> {
  let summary = "a tensor in memory, one named extent an axis";
  let description = [{
    `!tile.view<bf16, ["Nq", "64"]>`: extents are known names (B, H, Hkv, Nq, Nk), free names bound at launch, or numbers.
    A kernel's view with a first extent Nq or Nk is the part that belongs to the program's batch and KV head; rows of Nq are packed,
    (query head within the group) fastest. With the order "sums", `!tile.view<f32, ["Nq", "64"], "sums">`, elements lie in an order
    of the target's own, in memory that kernels share to add up in.
  }];
  let parameters = (ins "::mlir::Type":$elementType, "::mlir::ArrayAttr":$extents, OptionalParameter<"::mlir::StringAttr">:$order);
  let builders = [TypeBuilder<(ins "::mlir::Type":$elementType, "::mlir::ArrayAttr":$extents), [{
    return $_get($_ctxt, elementType, extents, ::mlir::StringAttr());
  }]>];
  let assemblyFormat = "`<` $elementType `,` $extents (`,` $order^)? `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    int64_t getRank() const { return getExtents().size(); }
    llvm::StringRef getExtentName(int64_t axis) const;
    /// The extent where it is a number, -1 where it is a name.
    int64_t getStaticExtent(int64_t axis) const;
    bool isOfSums() const { return static_cast<bool>(getOrder()); }
  }];
}

def Tile_PositionsType : Tile_Type<"Positions", "positions"> {
  let summary = "the global positions of the rows of a shard";
  let description = [{`!tile.positions<"Nq">`: position(l) = first + (l / block) * jump + l % block.}];
  let parameters = (ins "::mlir::StringAttr":$extent);
  let assemblyFormat = "`<` $extent `>`";
}

def Tile_CarryType : Tile_Type<"Carry", "carry"> {
  let summary = "tiles that a program keeps from one launch to the next, in a format of its own";
}

class Tile_Op<string mnemonic, list<Trait> traits = []> : Op<Tile_Dialect, mnemonic, traits>;

def Tile_Tile : Type<CPred<"::ringc::tile::isTile($_self)">, "rank-2 tile of static shape", "::mlir::RankedTensorType">;
def Tile_Scalar : AnyTypeOf<[I1, I32, F32, F16, BF16]>;

def Tile_ProgramIdOp : Tile_Op<"program_id", [Pure]> {
  let summary = "index of this program along a grid axis";
  let arguments = (ins ConfinedAttr<I32Attr, [IntNonNegative, IntMaxValue<1>]>:$axis);
  let results = (outs I32:$result);
  let assemblyFormat = "$axis attr-dict";
}

def Tile_ExtentOp : Tile_Op<"extent", [Pure]> {
  let summary = "value of a named extent; Nq counts packed rows";
  let arguments = (ins StrAttr:$name);
  let results = (outs I32:$result);
  let assemblyFormat = "$name attr-dict";
}

def Tile_OwnIndexOp : Tile_Op<"own_index", [Pure]> {
  let summary = "batch entry (B) or KV head (Hkv) of this program";
  let arguments = (ins StrAttr:$extent);
  let results = (outs I32:$result);
  let assemblyFormat = "$extent attr-dict";
  let hasVerifier = 1;
}

def Tile_SliceOp : Tile_Op<"slice", [Pure]> {
  let summary = "a view without the axes that are indexed";
  let description = [{
    result[...] = view[..., index, ...], an index at each of `axes`, which the result lacks. Where an index is outside, nothing is inside
    the result. The axes in `inside` are known to be indexed within their extent.

        %p = tile.slice %part[%split] axes [0] : !tile.view<f32, ["P", "Nq", "64"]> -> !tile.view<f32, ["Nq", "64"]>
  }];
  let arguments = (ins Tile_ViewType:$view, Variadic<I32>:$indices, DenseI64ArrayAttr:$axes,
                       DefaultValuedAttr<DenseI64ArrayAttr, "{}">:$inside);
  let results = (outs Tile_ViewType:$result);
  let assemblyFormat = "$view `[` $indices `]` `axes` $axes (`inside` $inside^)? attr-dict `:` type($view) `->` type($result)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    bool isInside(int64_t axis) { return ::llvm::is_contained(getInside(), axis); }
  }];
}

def Tile_LoadOp : Tile_Op<"load", [AttrSizedOperandSegments]> {
  let summary = "a window of a view as a tile";
  let description = [{
    result[r, c] = view[row + r, col + c] where that is inside the view, `fill` (default 0) elsewhere. A rank-1 view gives a column.
    With a column `rows` of i32 it is view[row + rows[r], col + c]. Rows where the column `where` is false are not read either: keys that
    no query may see can hold anything. `of_keys`: the rows are those of the keys of the masked loop around it, wherever they lie.

        %t = tile.load %q[%rows, %c0] : !tile.view<bf16, ["Nq", "64"]> -> tensor<64x64xbf16>
  }];
  let arguments = (ins Tile_ViewType:$view, Variadic<I32>:$offsets, Optional<Tile_Tile>:$rows, Optional<Tile_Scalar>:$fill,
                       Optional<Tile_Tile>:$where, UnitAttr:$of_keys);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = [{
    $view `[` $offsets `]` (`rows` $rows^ `:` type($rows))? (`else` $fill^ `:` type($fill))? (`where` $where^ `:` type($where))? attr-dict
    `:` type($view) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_StoreOp : Tile_Op<"store", [AttrSizedOperandSegments]> {
  let summary = "store (or add) a tile to a window of a view";
  let description = [{
    view[row + r, col + c] = tile[r, c] for the elements inside the view; with `add` it is added to what is there. With a column `rows` of
    i32 it is view[row + rows[r], col + c]: rows that are named several times get the sum of all with `add`, one of them without.

        tile.store %t, %out[%rows, %c0] : tensor<64x64xbf16>, !tile.view<bf16, ["Nq", "64"]>
  }];
  let arguments = (ins Tile_Tile:$tile, Tile_ViewType:$view, Variadic<I32>:$offsets, Optional<Tile_Tile>:$rows, UnitAttr:$add);
  let assemblyFormat = [{
    (`add` $add^)? $tile `,` $view `[` $offsets `]` (`rows` $rows^ `:` type($rows))? attr-dict `:` type($tile) `,` type($view)
  }];
  let hasVerifier = 1;
}

def Tile_ElementOp : Tile_Op<"element", [Pure, AttrSizedOperandSegments]> {
  let summary = "one element of a view";
  let description = [{
    result = view[nearest(index), ...], nearest(index) = max(min(index, extent - 1), 0). The axes in `inside` are known to be indexed
    within their extent, by what they are for: B by b, H by h, Nq and Nk by the row of the shard (Nk beside Nq: by the global position of
    the key). No other axis is without elements. With `fill`, in a kernel, an element outside is that and nothing is read.

        %w = tile.element %slope[%h] inside [0] : !tile.view<f32, ["H"]> -> f32
  }];
  let arguments = (ins Tile_ViewType:$view, Variadic<I32>:$indices, Optional<Tile_Scalar>:$fill,
                       DefaultValuedAttr<DenseI64ArrayAttr, "{}">:$inside);
  let results = (outs Tile_Scalar:$result);
  let assemblyFormat = "$view `[` $indices `]` (`else` $fill^ `:` type($fill))? (`inside` $inside^)? attr-dict `:` type($view) `->` type($result)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    bool isInside(int64_t axis) { return ::llvm::is_contained(getInside(), axis); }
  }];
}

def Tile_SplatOp : Tile_Op<"splat", [Pure]> {
  let summary = "a tile of one value";
  let arguments = (ins Tile_Scalar:$value);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$value attr-dict `:` type($value) `->` type($result)";
}

def Tile_IotaOp : Tile_Op<"iota", [Pure]> {
  let summary = "a column or a row of 0, 1, 2, ...";
  let description = [{`tile.iota : tensor<64x1xi32>`}];
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Tile_ShiftOp : Tile_Op<"shift", [Pure, AllTypesMatch<["positions", "result"]>]> {
  let summary = "positions that are larger by a number";
  let description = [{`tile.shift %qpos by %n : !tile.positions<"Nq">`, for the operations that take positions.}];
  let arguments = (ins Tile_PositionsType:$positions, I32:$by);
  let results = (outs Tile_PositionsType:$result);
  let assemblyFormat = "$positions `by` $by attr-dict `:` type($positions)";
}

def Tile_PositionOp : Tile_Op<"position", [Pure]> {
  let summary = "the global positions of a window of rows, as a column";
  let description = [{
    result[r] = position(row + r), as !tile.positions says; of packed rows, those of their queries. Rows outside the shard go on counting.

        %i = tile.position %qpos[%rows] : !tile.positions<"Nq"> -> tensor<64x1xi32>
  }];
  let arguments = (ins Tile_PositionsType:$positions, I32:$row);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$positions `[` $row `]` attr-dict `:` type($positions) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_RandomOp : Tile_Op<"random", [Pure, AllTypesMatch<["seed", "b", "h", "i", "j"]>, SameOperandsAndResultShape, Elementwise, Scalarizable, Vectorizable, Tensorizable]> {
  let summary = "a number of [0, 1) that its operands determine";
  let description = [{
    result = (w >> 8) * 2^-24, where w is the first word of Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
    SC 2011) of the counter (j, i, h, b) and the key (seed, 0).

        %r = tile.random %seed, %b, %h, %i, %j : i32 -> f32
  }];
  let arguments = (ins SignlessIntegerLike:$seed, SignlessIntegerLike:$b, SignlessIntegerLike:$h, SignlessIntegerLike:$i, SignlessIntegerLike:$j);
  let results = (outs FloatLike:$result);
  let assemblyFormat = "$seed `,` $b `,` $h `,` $i `,` $j attr-dict `:` type($seed) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_BroadcastOp : Tile_Op<"broadcast", [Pure]> {
  let summary = "a row or a column repeated to a larger tile";
  let description = [{`tile.broadcast %m : tensor<64x1xf32> -> tensor<64x128xf32>`}];
  let arguments = (ins Tile_Tile:$operand);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$operand attr-dict `:` type($operand) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_TransposeOp : Tile_Op<"transpose", [Pure]> {
  let summary = "rows and columns exchanged";
  let arguments = (ins Tile_Tile:$operand);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$operand attr-dict `:` type($operand) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_DotOp : Tile_Op<"dot", [Pure]> {
  let summary = "matrix product, accumulated in f32";
  let description = [{
    result = a * b (+ acc).

        %s = tile.dot %q, %kt : tensor<64x32xbf16>, tensor<32x128xbf16> -> tensor<64x128xf32>
  }];
  let arguments = (ins Tile_Tile:$a, Tile_Tile:$b, Optional<Tile_Tile>:$acc);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$a `,` $b (`acc` `(` $acc^ `:` type($acc) `)`)? attr-dict `:` type($a) `,` type($b) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_ReduceMax : I32EnumAttrCase<"Max", 0, "max">;
def Tile_ReduceSum : I32EnumAttrCase<"Sum", 1, "sum">;
def Tile_ReduceKind : I32EnumAttr<"ReduceKind", "what a reduction combines with", [Tile_ReduceMax, Tile_ReduceSum]> {
  let cppNamespace = "::ringc::tile";
}

def Tile_ReduceOp : Tile_Op<"reduce", [Pure]> {
  let summary = "maximum or sum along an axis, which becomes 1";
  let description = [{`tile.reduce max %s axis 1 : tensor<64x128xf32> -> tensor<64x1xf32>`}];
  let arguments = (ins Tile_ReduceKind:$kind, Tile_Tile:$operand, ConfinedAttr<I32Attr, [IntNonNegative, IntMaxValue<1>]>:$axis);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$kind $operand `axis` $axis attr-dict `:` type($operand) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_ShortcutOp : Tile_Op<"shortcut", [Pure, AllTypesMatch<["quick", "always", "result"]>]> {
  let summary = "quick in the rows of a column of conditions, always in the others, or always in all rows";
  let description = [{
    Where its condition holds the `quick` of all shortcuts by it are as good as the `always` of all of them; they are there because a target
    may have them for less. take-shortcuts removes them.

        %e = tile.shortcut %near, %quick, %always : tensor<64x1xi1>, tensor<64x128xf32>
  }];
  let arguments = (ins Tile_Tile:$rows, Tile_Tile:$quick, Tile_Tile:$always);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$rows `,` $quick `,` $always attr-dict `:` type($rows) `,` type($result)";
  let hasVerifier = 1;
}

def Tile_AllOp : Tile_Op<"all", [Pure]> {
  let summary = "whether a condition holds in all rows that share a branch";
  let description = [{
    On a GPU those of a warp: the answer may differ from warp to warp, and what depends on it needs no other warp.

        %near = tile.all %each : tensor<64x1xi1>
  }];
  let arguments = (ins Tile_Tile:$rows);
  let results = (outs I1:$result);
  let assemblyFormat = "$rows attr-dict `:` type($rows)";
}

def Tile_ApplyOp : Tile_Op<"apply", [Pure, AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a mask or a score, element by element, at positions";
  let description = [{
    result[r, c] = function(s[r, c], b, h(r), i(r), j(c), queryRow(r), keyRow(c), parameters...), without s for a mask. Queries are the rows
    of the tile, keys the columns; a result with one row or column is evaluated for the first query or key of the window. A mask is false
    outside the views. `derivative` is removed by derive-score-gradient, which names the derived function instead.

        %t = tile.apply @score(%s) at %qpos[%rows], %kpos[%cols](%c : f32) : !tile.positions<"Nq">, !tile.positions<"Nk">, tensor<64x128xf32> -> tensor<64x128xf32>
  }];
  let arguments = (ins FlatSymbolRefAttr:$function, Optional<Tile_Tile>:$operand, Tile_PositionsType:$queryPositions, I32:$queryRow,
                       Tile_PositionsType:$keyPositions, I32:$keyRow, Variadic<AnyType>:$parameters, UnitAttr:$derivative);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = [{
    (`derivative` $derivative^)? $function (`(` $operand^ `:` type($operand) `)`)? `at` $queryPositions `[` $queryRow `]` `,` $keyPositions `[` $keyRow `]`
    (`with` `(` $parameters^ `:` type($parameters) `)`)? attr-dict `:` type($queryPositions) `,` type($keyPositions) `->` type($result)
  }];
}

def Tile_VisibilityOp : Tile_Op<"visibility", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "what a mask shows of a window: 0 nothing, 1 a part, 2 everything";
  let description = [{
    Calls function(b, firstHead, lastHead, firstI, lastI, firstJ, lastJ, firstQueryRow, lastQueryRow, firstKeyRow, lastKeyRow, parameters...) -> i32
    with the inclusive ranges of the window clipped to the views. A window that reaches outside is never 2.
  }];
  let arguments = (ins FlatSymbolRefAttr:$function, Tile_PositionsType:$queryPositions, I32:$queryRow, I64Attr:$queries,
                       Tile_PositionsType:$keyPositions, I32:$keyRow, I64Attr:$keys,
                       ConfinedAttr<I32Attr, [IntNonNegative, IntMaxValue<1>]>:$loopAxis, Variadic<AnyType>:$parameters);
  let results = (outs I32:$result);
  let assemblyFormat = [{
    $function `over` $loopAxis `at` $queryPositions `[` $queryRow `:` $queries `]` `,` $keyPositions `[` $keyRow `:` $keys `]`
    (`with` `(` $parameters^ `:` type($parameters) `)`)? attr-dict `:` type($queryPositions) `,` type($keyPositions)
  }];
}

def Tile_MaskedForOp : Tile_Op<"masked_for", [AttrSizedOperandSegments, AutomaticAllocationScope, SingleBlockImplicitTerminator<"YieldOp">,
                                               DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a loop over the tiles in which something is visible";
  let description = [{
    for (iv = lower; iv < upper; iv += step): the predicate `function` over the window is evaluated; iterations in which no element is visible are
    not executed (iteration arguments pass through). The body's arguments are iv, the predicate tile (query axis first; false outside the
    views) and the iteration arguments. One of queryRow and keyRow is the induction variable: `loopAxis` says which (0 queries, 1 keys), the
    other is `fixedRow`.

        %r = tile.masked_for %cols = %c0 to %nk step 128 keys of @mask at %qpos[%rows], %kpos iter_args(%acc) ...
  }];
  let arguments = (ins FlatSymbolRefAttr:$function, I32:$lower, I32:$upper, I32Attr:$step, ConfinedAttr<I32Attr, [IntNonNegative, IntMaxValue<1>]>:$loopAxis,
                       Tile_PositionsType:$queryPositions, Tile_PositionsType:$keyPositions, I32:$fixedRow, Variadic<AnyType>:$parameters,
                       Variadic<Tile_Tile>:$inits);
  let results = (outs Variadic<Tile_Tile>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $function `over` $loopAxis `from` $lower `to` $upper `step` $step `at` $queryPositions `,` $keyPositions `fixed` $fixedRow
    (`with` `(` $parameters^ `:` type($parameters) `)`)? (`init` `(` $inits^ `:` type($inits) `)`)? `:` type($queryPositions) `,` type($keyPositions) (`->` type($results)^)?
    $body attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Value getInductionVar() { return getBody().getArgument(0); }
    ::mlir::Value getSeen() { return getBody().getArgument(1); }
    ::mlir::Block::BlockArgListType getIterArgs() { return getBody().getArguments().drop_front(2); }
  }];
}

def Tile_ResumeOp : Tile_Op<"resume", [AllTypesMatch<["inits", "results"]>]> {
  let summary = "the tiles kept in a carry, or the initial ones on the first launch";
  let arguments = (ins Tile_CarryType:$carry, Variadic<Tile_Tile>:$inits);
  let results = (outs Variadic<Tile_Tile>:$results);
  let assemblyFormat = "$carry `else` `(` $inits `)` attr-dict `:` type($inits)";
}

def Tile_FinishOp : Tile_Op<"finish", [SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "runs its region on the last launch of a carry; keeps the tiles otherwise";
  let arguments = (ins Tile_CarryType:$carry, Variadic<Tile_Tile>:$tiles);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$carry `(` $tiles `:` type($tiles) `)` $body attr-dict";
}

def Tile_YieldOp : Tile_Op<"yield", [Pure, Terminator, ReturnLike, ParentOneOf<["MaskedForOp", "FinishOp"]>]> {
  let summary = "ends the region of a tile operation";
  let arguments = (ins Variadic<AnyType>:$operands);
  let assemblyFormat = "($operands^ `:` type($operands))? attr-dict";
  let builders = [OpBuilder<(ins), [{}]>];
}

#endif
