// One product of fragments that an asynchronous copy brought to shared memory, written by hand: each operation is one
// instruction, on the first chip and on later ones.
// RUN: echo '{"kernel": "matmul"}' > %t.json
// RUN: ringc compile %t.json --target sm_80 --start-from %s -o %t.ptx
// RUN: FileCheck %s --input-file %t.ptx --check-prefixes=PTX,SM80 --implicit-check-not=.local
// RUN: ringc compile %t.json --target sm_120 --start-from %s -o %t.ptx
// RUN: FileCheck %s --input-file %t.ptx --check-prefixes=PTX,SM120 --implicit-check-not=.local
// RUN: ringc compile %t.json --target sm_80 --start-from %s | FileCheck %s --check-prefix=DESCRIPTION

// DESCRIPTION-DAG: "format": "ptx"
// DESCRIPTION-DAG: "shared_bytes": 1024
// DESCRIPTION-DAG: "threads": 128

// SM80:      .version 8.0
// SM80-NEXT: .target sm_80
// SM120:     .target sm_120
// PTX:       .extern .shared .align 128 .b8 smem[];
// PTX:       .visible .entry product(
// PTX:       .reqntid 128, 1, 1
// PTX:       cp.async.cg.shared.global [smem], [%rd{{[0-9]+}}], 16;
// PTX:       cp.async.commit_group;
// PTX:       cp.async.wait_group 0;
// PTX:       bar.sync 0;
// PTX:       ldmatrix.sync.aligned.m8n8.x4.shared.b16
// PTX:       ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16
// PTX:       mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// PTX:       st.global
// PTX:       ret;
module attributes {tile.interface = "{\22name\22:\22product\22,\22entry\22:\22product\22,\22format\22:\22ptx\22,\22threads\22:128,\22shared_bytes\22:1024,\22slot_count\22:2}"} {
  llvm.mlir.global external @smem() {addr_space = 3 : i32, alignment = 128 : i64} : !llvm.array<0 x i8>
  llvm.func @product(%g: !llvm.ptr<1>, %o: !llvm.ptr<1>) attributes {nvvm.kernel, nvvm.reqntid = array<i32: 128, 1, 1>} {
    %s = llvm.mlir.addressof @smem : !llvm.ptr<3>
    %c0 = llvm.mlir.constant(0.0 : f32) : f32
    nvvm.cp.async.shared.global %s, %g, 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>
    nvvm.cp.async.commit.group
    nvvm.cp.async.wait.group 0
    nvvm.barrier0
    %a = nvvm.ldmatrix %s {num = 4 : i32, layout = #nvvm.mma_layout<row>, shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType = #nvvm.ld_st_matrix_elt_type<b16>} : (!llvm.ptr<3>) -> !llvm.struct<(i32, i32, i32, i32)>
    %b = nvvm.ldmatrix %s {num = 2 : i32, layout = #nvvm.mma_layout<col>, shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType = #nvvm.ld_st_matrix_elt_type<b16>} : (!llvm.ptr<3>) -> !llvm.struct<(i32, i32)>
    %a0 = llvm.extractvalue %a[0] : !llvm.struct<(i32, i32, i32, i32)>
    %a1 = llvm.extractvalue %a[1] : !llvm.struct<(i32, i32, i32, i32)>
    %a2 = llvm.extractvalue %a[2] : !llvm.struct<(i32, i32, i32, i32)>
    %a3 = llvm.extractvalue %a[3] : !llvm.struct<(i32, i32, i32, i32)>
    %b0 = llvm.extractvalue %b[0] : !llvm.struct<(i32, i32)>
    %b1 = llvm.extractvalue %b[1] : !llvm.struct<(i32, i32)>
    %d = nvvm.mma.sync A[%a0, %a1, %a2, %a3] B[%b0, %b1] C[%c0, %c0, %c0, %c0] {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, multiplicandAPtxType = #nvvm.mma_type<bf16>, multiplicandBPtxType = #nvvm.mma_type<bf16>, shape = #nvvm.shape<m = 16, n = 8, k = 16>} : (i32, i32, f32) -> !llvm.struct<(f32, f32, f32, f32)>
    %r = llvm.extractvalue %d[0] : !llvm.struct<(f32, f32, f32, f32)>
    llvm.store %r, %o : f32, !llvm.ptr<1>
    llvm.return
  }
}
