#ifndef RINGC_COMPILER_PASSES_GPU_BLOCK
#define RINGC_COMPILER_PASSES_GPU_BLOCK

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/EnumAttr.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "BlockEnums.td"

def Block_Dialect : Dialect {
  let name = "block";
  let cppNamespace = "::ringc::block";
  let summary = "What the threads of a GPU's block do together with the tiles of a program";
  let description = [{
    Between the tile dialect and the instructions of a thread. Tiles lie in registers, spread over the threads as the attribute
    `block.layouts` of the operation that makes them says, or in shared memory, which only the operations here read and write.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let extraClassDeclaration = [{
    static constexpr llvm::StringLiteral layoutsAttr = "block.layouts";          ///< on an operation: a fragment for each tile that it makes
    static constexpr llvm::StringLiteral warpsAttr = "block.warps";              ///< on a kernel: [4, 1], warps along m and along n
    static constexpr llvm::StringLiteral sharedBytesAttr = "block.shared_bytes"; ///< on a kernel: of all its buffers
  }];
}

def Block_FragmentAttr : AttrDef<Block_Dialect, "Fragment"> {
  let mnemonic = "fragment";
  let summary = "how a tile lies in the registers of a block's threads";
  let description = [{
    `#block.fragment<matrix, m = 0, blocks = 2x8>`: the accumulator of mma.m16n8 (Fragment.h). m is this axis of the tile, and a warp
    has so many blocks of 16 along m and of 8 along n. `along_m` (`along_n`) keeps one number for each m (n), `single` one for all.
  }];
  let parameters = (ins EnumParameter<Block_FragmentKind>:$kind, "int64_t":$mAxis, "int64_t":$mBlocks, "int64_t":$nBlocks);
  let assemblyFormat = "`<` $kind `,` `m` `=` $mAxis `,` `blocks` `=` custom<Extents>($mBlocks, $nBlocks) `>`";
  let genVerifyDecl = 1;
}

class Block_Type<string name, string typeMnemonic> : TypeDef<Block_Dialect, name> { let mnemonic = typeMnemonic; }

def Block_BufferType : Block_Type<"Buffer", "buffer"> {
  let summary = "a tile in shared memory";
  let description = [{
    `!block.buffer<64x128xbf16 in 64x128>`: rows one after another, an odd number of 16-byte chunks apart; `swizzled`: without gaps,
    chunk c of row r at c ^ r % 8 of its line of 128 bytes. What it has beyond the tile is zero. `by_columns`: a row here is a
    column of the tile.
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns, "::mlir::Type":$elementType, "int64_t":$paddedRows,
                        "int64_t":$paddedColumns, "bool":$byColumns, "bool":$swizzled);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Block_WordsType : Block_Type<"Words", "words"> {
  let summary = "numbers of 32 bits one after another in shared memory";
  let description = [{`!block.words<64>`: what threads tell each other.}];
  let parameters = (ins "int64_t":$count);
  let assemblyFormat = "`<` $count `>`";
}

def Block_TokenType : Block_Type<"Token", "token"> {
  let summary = "copies that have been started";
}

class Block_Op<string mnemonic, list<Trait> traits = []> : Op<Block_Dialect, mnemonic, traits>;

def Block_Tile : Type<CPred<"::ringc::tile::isTile($_self)">, "rank-2 tile of static shape", "::mlir::RankedTensorType">;
def Block_View : Type<CPred<"::llvm::isa<::ringc::tile::ViewType>($_self)">, "view of a tensor", "::ringc::tile::ViewType">;
def Block_Positions : Type<CPred<"::llvm::isa<::ringc::tile::PositionsType>($_self)">, "positions", "::ringc::tile::PositionsType">;
def Block_Memory : AnyTypeOf<[Block_BufferType, Block_WordsType]>;

// As the tile dialect has it; declared there.
def Block_ReduceKind : I32EnumAttr<"ReduceKind", "what a reduction combines with", [
    I32EnumAttrCase<"Max", 0, "max">, I32EnumAttrCase<"Sum", 1, "sum">]> {
  let cppNamespace = "::ringc::tile";
}

def Block_BufferOp : Block_Op<"buffer"> {
  let summary = "a place in the block's shared memory";
  let description = [{
    From here to the end of the operation's block, or to its release. Several buffers lie one after another; with `stages` all of them
    do once for each. `at` is the first byte (stage-copies).

        %k, %v = block.buffer stages 2 at 16384 : !block.buffer<64x128xbf16 in 64x128, swizzled>, !block.buffer<64x128xbf16 in 64x128, swizzled>
  }];
  let arguments = (ins DefaultValuedAttr<ConfinedAttr<I64Attr, [IntPositive]>, "1">:$stages, OptionalAttr<I64Attr>:$at);
  let results = (outs Variadic<Block_Memory>:$buffers);
  let assemblyFormat = "(`stages` $stages^)? (`at` $at^)? attr-dict `:` type($buffers)";
  let builders = [OpBuilder<(ins "::mlir::TypeRange":$buffers, CArg<"int64_t", "1">:$stages), [{
    build($_builder, $_state, buffers, $_builder.getI64IntegerAttr(stages), ::mlir::IntegerAttr());
  }]>];
  let hasVerifier = 1;
}

def Block_StageOp : Block_Op<"stage", [Pure, AllTypesMatch<["buffer", "result"]>]> {
  let summary = "one of the stages of a buffer";
  let description = [{
    The one that lies so many bytes behind the first.

        %now = block.stage %k[%bytes] : !block.buffer<64x128xbf16 in 64x128, swizzled>
  }];
  let arguments = (ins Block_BufferType:$buffer, I32:$bytes);
  let results = (outs Block_BufferType:$result);
  let assemblyFormat = "$buffer `[` $bytes `]` attr-dict `:` type($buffer)";
  let hasVerifier = 1;
}

def Block_ReadOp : Block_Op<"read"> {
  let summary = "a column of numbers from shared memory, as a tile in registers";
  let arguments = (ins Block_BufferType:$buffer);
  let results = (outs Block_Tile:$result);
  let assemblyFormat = "$buffer attr-dict `:` type($buffer) `->` type($result)";
}

def Block_CommitOp : Block_Op<"commit"> {
  let summary = "what all copies started since the last commit are waited for by";
  let results = (outs Block_TokenType:$token);
  let assemblyFormat = "attr-dict";
}

def Block_NoCopiesOp : Block_Op<"no_copies", [Pure]> {
  let summary = "a token of no copies";
  let results = (outs Block_TokenType:$token);
  let assemblyFormat = "attr-dict";
}

def Block_ReadyOp : Block_Op<"ready"> {
  let summary = "waits until all threads see what was copied";
  let description = [{
    The token's copies, and all before them; `behind` commits after it may still be on their way. With `if` only where that holds, alike
    in all threads.

        block.ready %copied behind 1
  }];
  let arguments = (ins Block_TokenType:$token, Optional<I1>:$condition, I64Attr:$behind);
  let assemblyFormat = "$token `behind` $behind (`if` $condition^)? attr-dict";
}

def Block_BarrierOp : Block_Op<"barrier"> {
  let summary = "all threads of the block wait for each other, and see what they have written";
  let assemblyFormat = "attr-dict";
}

def Block_ThreadAgainOp : Block_Op<"thread_again"> {
  let summary = "reads the thread's number anew";
  let description = [{What follows from it, to the end of the operation's block, keeps no register until here.}];
  let assemblyFormat = "attr-dict";
}

def Block_VisibleRoundsOp : Block_Op<"visible_rounds", [SingleBlock]> {
  let summary = "bounds of the rounds of a loop in which something is visible";
  let description = [{
    The first round whose region yields other than 0, and the one behind the last; both are lower bounds of nothing where there is none.
    The threads of a warp ask for as many rounds at once.
  }];
  let arguments = (ins I32:$lower, I32:$upper, I32:$step);
  let results = (outs I32:$begin, I32:$end);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "`from` $lower `to` $upper `step` $step $body attr-dict";
}

def Block_YieldOp : Block_Op<"yield", [Pure, Terminator, ReturnLike, HasParent<"VisibleRoundsOp">]> {
  let summary = "what is visible in a round";
  let arguments = (ins I32:$seen);
  let assemblyFormat = "$seen attr-dict";
}

def Block_ReleaseOp : Block_Op<"release"> {
  let summary = "the place, and all that was taken after it, is free for others";
  let arguments = (ins Block_Memory:$buffer);
  let assemblyFormat = "$buffer attr-dict `:` type($buffer)";
  let hasVerifier = 1;
}

def Block_CopyOp : Block_Op<"copy", [AttrSizedOperandSegments]> {
  let summary = "starts copying a window of a view to a buffer";
  let description = [{
    buffer[r, c] = view[row + r, column + c] where that is inside the view, `fill` (0 by default) elsewhere; with `rows`
    view[row + rows[r], column + c]. With `where` rows are read only where its word is not 0, if `if` holds: else all are. `inside`: all
    rows that are read are rows of the view.

        block.copy %k[%keys, %c0] to %b : !tile.view<bf16, ["Nk", "128"]>, !block.buffer<64x128xbf16 in 64x128, swizzled>
  }];
  let arguments = (ins Block_View:$view, Variadic<I32>:$offsets, Optional<Block_WordsType>:$rows, OptionalAttr<TypedAttrInterface>:$fill,
                       Optional<Block_WordsType>:$where, Optional<I1>:$condition, Block_BufferType:$buffer, UnitAttr:$inside);
  let assemblyFormat = [{
    $view `[` $offsets `]` (`rows` $rows^ `:` type($rows))? (`else` $fill^)? (`where` $where^ `:` type($where))? (`if` $condition^)? (`inside` $inside^)?
    `to` $buffer attr-dict `:` type($view) `,` type($buffer)
  }];
  let hasVerifier = 1;
}

def Block_LoadOp : Block_Op<"load", [AttrSizedOperandSegments]> {
  let summary = "a window whose rows words name, as a tile in registers";
  let description = [{As tile.load, with the rows in shared memory.}];
  let arguments = (ins Block_View:$view, Variadic<I32>:$offsets, Block_WordsType:$rows, Optional<AnyType>:$fill, Optional<Block_Tile>:$where);
  let results = (outs Block_Tile:$result);
  let assemblyFormat = [{
    $view `[` $offsets `]` `rows` $rows (`else` $fill^ `:` type($fill))? (`where` $where^ `:` type($where))? attr-dict
    `:` type($view) `,` type($rows) `->` type($result)
  }];
}

def Block_StoreOp : Block_Op<"store", [AttrSizedOperandSegments]> {
  let summary = "stores (or adds) a tile to a window of a view";
  let description = [{As tile.store. `atomic`: several programs of the launch may add to one element.}];
  let arguments = (ins Block_Tile:$tile, Block_View:$view, Variadic<I32>:$offsets, Optional<Block_WordsType>:$rows, UnitAttr:$add,
                       UnitAttr:$atomic);
  let assemblyFormat = [{
    (`add` $add^)? $tile `,` $view `[` $offsets `]` (`rows` $rows^ `:` type($rows))? attr-dict `:` type($tile) `,` type($view)
  }];
}

def Block_ShareOp : Block_Op<"share"> {
  let summary = "writes a tile in registers to shared memory";
  let description = [{
    A matrix to a buffer, a column or a row of i32 or i1 to words. Of a buffer that has fewer columns than the tile, as many from
    `first` on.

        block.share %p to %b : tensor<64x128xbf16>, !block.buffer<64x128xbf16 in 64x128>
  }];
  let arguments = (ins Block_Tile:$tile, Block_Memory:$buffer, DefaultValuedAttr<I64Attr, "0">:$first);
  let assemblyFormat = "$tile (`from` $first^)? `to` $buffer attr-dict `:` type($tile) `,` type($buffer)";
  let hasVerifier = 1;
}

def Block_StoreSharedOp : Block_Op<"store_shared", [AttrSizedOperandSegments]> {
  let summary = "stores (or adds) columns of a tile in shared memory to a window of a view";
  let description = [{As block.store; of a tile with so many `columns`, those from `first` on. Any thread takes neighbours, 16 bytes at a time.}];
  let arguments = (ins Block_BufferType:$buffer, Block_View:$view, Variadic<I32>:$offsets, Optional<Block_WordsType>:$rows, UnitAttr:$add,
                       DefaultValuedAttr<I64Attr, "0">:$first, I64Attr:$columns);
  let assemblyFormat = [{
    (`add` $add^)? $buffer `,` $view `[` $offsets `]` (`rows` $rows^ `:` type($rows))? (`from` $first^)? `of` $columns attr-dict
    `:` type($buffer) `,` type($view)
  }];
}

def Block_ShareSeenOp : Block_Op<"share_seen"> {
  let summary = "writes which keys of a tile any query of it sees";
  let description = [{
    words[key] = 1 where the mask, as tile.apply evaluates it, holds for one of so many queries, 0 where not. For masks that are
    one run of queries for each key.
  }];
  let arguments = (ins FlatSymbolRefAttr:$function, Block_Positions:$queryPositions, I32:$queryRow, I64Attr:$queries,
                       Block_Positions:$keyPositions, I32:$keyRow, I64Attr:$keys, Variadic<AnyType>:$parameters, Block_WordsType:$words);
  let assemblyFormat = [{
    $function `at` $queryPositions `[` $queryRow `:` $queries `]` `,` $keyPositions `[` $keyRow `:` $keys `]`
    (`with` `(` $parameters^ `:` type($parameters) `)`)? `to` $words attr-dict `:` type($queryPositions) `,` type($keyPositions) `,` type($words)
  }];
}

def Block_ProductOp : Block_Op<"product", [AttrSizedOperandSegments]> {
  let summary = "matrix product, accumulated in f32";
  let description = [{
    result[m, n] = sum over k of left[m, k] * right[k, n] (+ acc), where m and n are the axes of the result's layout. The left operand lies
    in registers (`tile`), in a buffer, or in both: a warp reads from the buffer what it has not in registers. `left_k` (`right_k`) is
    the axis of its tile that is summed over.

        %s = block.product %q by %k {left_k = 1, right_k = 1} : !block.buffer<...>, !block.buffer<...> -> tensor<128x64xf32>
  }];
  let arguments = (ins Optional<Block_Tile>:$tile, Optional<Block_BufferType>:$left, Block_BufferType:$right, Optional<Block_Tile>:$acc,
                       I64Attr:$left_k, I64Attr:$right_k);
  let results = (outs Block_Tile:$result);
  let assemblyFormat = [{
    (`tile` $tile^ `:` type($tile))? (`left` $left^ `:` type($left))? `by` $right (`acc` `(` $acc^ `:` type($acc) `)`)? attr-dict
    `:` type($right) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Block_ReduceOp : Block_Op<"reduce"> {
  let summary = "as tile.reduce, across the warps of a block";
  let description = [{
    Warps exchange what each has by way of words: all threads wait for each other before these are written, and before they are read.

        %sum = block.reduce sum %p axis 0 through %w : tensor<128x64xf32>, !block.words<1024> -> tensor<1x64xf32>
  }];
  let arguments = (ins Block_ReduceKind:$kind, Block_Tile:$operand, I64Attr:$axis, Block_WordsType:$words);
  let results = (outs Block_Tile:$result);
  let assemblyFormat = "$kind $operand `axis` $axis `through` $words attr-dict `:` type($operand) `,` type($words) `->` type($result)";
}

def Block_CollapseOp : Block_Op<"collapse"> {
  let summary = "a matrix of one row or column as one number for each of the other axis";
  let description = [{
    The threads that share the number get it, those of other warps by way of words, one for each axis that several warps share.
  }];
  let arguments = (ins Block_Tile:$operand, Variadic<Block_WordsType>:$words);
  let results = (outs Block_Tile:$result);
  let assemblyFormat = "$operand (`through` $words^)? attr-dict `:` type($operand) (`,` type($words)^)? `->` type($result)";
}

#endif
