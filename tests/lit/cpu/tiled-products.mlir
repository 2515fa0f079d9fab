// A product in tiles: registers of AMX where there are any, else places in memory. k is turned, so that its rows are of terms.
// RUN: ringc-opt --choose-products="vector-bytes=64 bf16-dot bf16-tiles" --lower-to-vector="vector-bytes=64 registers=32 bf16-dot bf16-tiles" %s | FileCheck %s --check-prefix=TILES --implicit-check-not=llvm.intr.fma
// RUN: ringc-opt --choose-products="vector-bytes=64 micro-depth=32" --lower-to-vector="vector-bytes=64 registers=32" %s | FileCheck %s --check-prefix=LOOPS --implicit-check-not=llvm.x86
// RUN: ringc-opt --choose-products="vector-bytes=32 micro-depth=32" --lower-to-vector="vector-bytes=32" %s | FileCheck %s --check-prefix=NARROW --implicit-check-not=llvm.x86

// TILES:      llvm.call_intrinsic "llvm.x86.ldtilecfg"
// 48 rows are a block of two tiles and one of one, 16 lanes one tile.
// TILES-COUNT-2: llvm.call_intrinsic "llvm.x86.tilezero"
// TILES:      scf.for
// TILES:      llvm.call_intrinsic "llvm.x86.tileloadd64"
// TILES:      llvm.call_intrinsic "llvm.x86.tileloadd64"
// TILES:      llvm.call_intrinsic "llvm.x86.tdpbf16ps"
// TILES:      llvm.call_intrinsic "llvm.x86.tileloadd64"
// TILES-NOT:  tileloadd64
// TILES:      llvm.call_intrinsic "llvm.x86.tdpbf16ps"
// TILES-COUNT-2: llvm.call_intrinsic "llvm.x86.tilestored64"
// TILES:      llvm.call_intrinsic "llvm.x86.tilezero"
// TILES-NOT:  tilezero
// TILES:      llvm.call_intrinsic "llvm.x86.tdpbf16ps"
// TILES-NOT:  tdpbf16ps
// TILES:      llvm.call_intrinsic "llvm.x86.tilerelease"
// TILES-NEXT: return

// LOOPS:  llvm.load {{.*}} -> vector<32xbf16>
// LOOPS:  llvm.intr.fma({{.*}}) : (vector<16xf32>, vector<16xf32>, vector<16xf32>) -> vector<16xf32>
// NARROW: llvm.load {{.*}} -> vector<16xbf16>
// NARROW: llvm.intr.fma({{.*}}) : (vector<8xf32>, vector<8xf32>, vector<8xf32>) -> vector<8xf32>
func.func @product(%q: !tile.view<bf16, ["Nq", "40"]>, %k: !tile.view<bf16, ["48", "40"]>, %c: !tile.view<f32, ["48", "Nq"]>) attributes {tile.grid = [["Nq", 16]], tile.kernel} {
  %c0 = arith.constant 0 : i32
  %c16 = arith.constant 16 : i32
  %id = tile.program_id 0
  %row = arith.muli %id, %c16 : i32
  %qt = tile.load %q[%row, %c0] : !tile.view<bf16, ["Nq", "40"]> -> tensor<16x40xbf16>
  %kt = tile.load %k[%c0, %c0] : !tile.view<bf16, ["48", "40"]> -> tensor<48x40xbf16>
  %turned = tile.transpose %qt : tensor<16x40xbf16> -> tensor<40x16xbf16>
  %s = tile.dot %kt, %turned : tensor<48x40xbf16>, tensor<40x16xbf16> -> tensor<48x16xf32>
  tile.store %s, %c[%c0, %row] : tensor<48x16xf32>, !tile.view<f32, ["48", "Nq"]>
  return
}
