// RUN: ringc-opt --place-tiles="sm=80 warps=4" %S/Inputs/scores.mlir | FileCheck %s --check-prefix=SCORES --implicit-check-not=tile.dot --implicit-check-not=tile.transpose
// RUN: ringc-opt --place-tiles="sm=80 warps=4" %S/Inputs/sums.mlir | FileCheck %s --check-prefix=SUMS
// RUN: ringc-opt --place-tiles="sm=80 warps=4 n-warps=2" %S/Inputs/sums.mlir | FileCheck %s --check-prefix=GRID

// What the kernel takes is kept: tiles say no more of it afterwards.
// SCORES: module attributes {tile.interface = "{{.*}}most{{.*}}"}
// SCORES: func.func @scores({{.*}}) attributes {block.warps = array<i64: 4, 1>
// Both operands of a product are in shared memory; what is copied in rounds is swizzled, what is copied once is not.
// SCORES: %[[Q:.*]] = block.buffer : !block.buffer<64x64xbf16 in 64x64>
// SCORES: block.copy %{{.*}}[%{{.*}}, %{{.*}}] to %[[Q]]
// SCORES: scf.for
// SCORES: %[[K:.*]] = block.buffer : !block.buffer<64x64xbf16 in 64x64, swizzled>
// SCORES: block.copy %{{.*}} to %[[K]]
// Queries are m, an axis of one block of 16 for each of four warps; keys are 8 blocks of 8 along n.
// SCORES: %[[S:.*]] = block.product left %[[Q]] : !block.buffer<64x64xbf16 in 64x64> by %[[K]] {block.layouts = [#block.fragment<matrix, m = 0, blocks = 1x8>], left_k = 1 : i64, right_k = 1 : i64}
// A row's maximum stays within a warp.
// SCORES: tile.reduce max %[[S]] axis 1 {block.layouts = [#block.fragment<along_m, m = 0, blocks = 1x0>]}
// SCORES: } {block.layouts = [#block.fragment<along_m
// SCORES: block.store %

// Keys move with the program: they are m, so that dk is multiplied from registers, p as [keys][queries].
// SUMS: %[[K:.*]] = block.buffer
// SUMS: %[[Q:.*]] = block.buffer
// SUMS: %[[S:.*]] = block.product left %[[K]] {{.*}} by %[[Q]] {block.layouts = [#block.fragment<matrix, m = 1, blocks = 1x8>]
// SUMS: %[[DS:.*]] = arith.truncf
// SUMS-NOT: block.share
// SUMS: block.product tile %[[DS]] : tensor<64x64xbf16> by %[[Q]] acc(%{{.*}}) {block.layouts = [#block.fragment<matrix, m = 0, blocks = 1x8>], left_k = 0 : i64, right_k = 0 : i64}

// Where a warp has not all of a row, the rest of it is in shared memory, by columns as m is.
// GRID: block.warps = array<i64: 2, 2>
// GRID: %[[DS:.*]] = arith.truncf
// GRID: %[[B:.*]] = block.buffer : !block.buffer<64x64xbf16 in 64x64, by_columns>
// GRID: block.share %[[DS]] to %[[B]]
// GRID: block.product tile %[[DS]] : tensor<64x64xbf16> left %[[B]] : !block.buffer<64x64xbf16 in 64x64, by_columns> by
