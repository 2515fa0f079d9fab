// RUN: ringc-opt --place-tiles="sm=80 warps=4" --stage-copies="sm=80" %S/Inputs/scores.mlir | ringc-opt | FileCheck %s --check-prefix=AHEAD
// RUN: ringc-opt --place-tiles="sm=80 warps=4" --stage-copies="sm=80" %S/Inputs/sums.mlir | ringc-opt --mlir-print-op-generic | ringc-opt | FileCheck %s --check-prefix=SUMS

// The copy of q is on its way first; two stages for k, where the next round's rows are copied while this round's are multiplied.
// AHEAD: func.func @scores({{.*}}block.shared_bytes = 25600 : i64
// AHEAD: %[[Q:.*]] = block.buffer at 0 : !block.buffer<64x64xbf16 in 64x64>
// AHEAD: block.copy %{{.*}} to %[[Q]]
// AHEAD: block.commit
// AHEAD: %[[K:.*]] = block.buffer stages 2 at 9216 : !block.buffer<64x64xbf16 in 64x64, swizzled>
// AHEAD: scf.if
// AHEAD:   %[[FIRST:.*]] = block.stage %[[K]][%
// AHEAD:   block.copy %{{.*}} to %[[FIRST]]
// AHEAD: }
// AHEAD: %[[COPIED:.*]] = block.commit
// AHEAD: scf.for {{.*}} iter_args({{.*}}, %[[STAGE:.*]] = %{{.*}}, %[[TOKEN:.*]] = %[[COPIED]]) -> (tensor<64x1xf32>, i32, i32, !block.token)
// AHEAD:   %[[OTHER:.*]] = arith.subi %c8192_i32, %[[STAGE]]
// AHEAD:   block.ready %[[TOKEN]] behind 0
// AHEAD:   scf.if
// AHEAD:     %[[THERE:.*]] = block.stage %[[K]][%[[OTHER]]]
// AHEAD:     block.copy %{{.*}} to %[[THERE]]
// AHEAD:   }
// AHEAD:   %[[NEXT:.*]] = block.commit
// AHEAD:   %[[HERE:.*]] = block.stage %[[K]][%[[STAGE]]]
// All copies before a round's have arrived with them: no other wait for q.
// AHEAD-NOT: block.ready
// AHEAD-NOT: block.barrier
// AHEAD:   block.product left %[[Q]] {{.*}} by %[[HERE]]
// AHEAD:   scf.yield %{{.*}}, %{{.*}}, %[[OTHER]], %[[NEXT]]
// AHEAD: block.ready %{{.*}} behind 0
// AHEAD: block.release %[[K]]

// A column of numbers moves with the rows; dk goes out through memory that the loop needs no more.
// SUMS: block.buffer stages 2 at {{[0-9]+}} : !block.buffer<64x64xbf16 in 64x64, swizzled>, !block.buffer<1x64xf32 in 1x64, by_columns>
// SUMS: scf.for
// SUMS: block.read %{{.*}} {block.layouts = [#block.fragment<along_n
// SUMS: block.ready
// SUMS: block.release
// SUMS: block.thread_again
// SUMS: %[[B:.*]] = block.buffer at
// SUMS: block.share %{{.*}} to %[[B]]
// SUMS: block.barrier
// SUMS: block.store_shared %[[B]], %{{.*}} of 64
// SUMS: block.release %[[B]]
