// A product of tiles becomes a register block: 4 rows of 2 vectors, kept in registers along the contraction.
// RUN: ringc-opt --lower-to-vector="vector-bytes=32 micro-rows=4 micro-vectors=2" --cse %s | FileCheck %s --implicit-check-not="= tile." --implicit-check-not="tensor<"

// What a launch needs to know.
// CHECK:       module attributes {tile.interface = "
// CHECK-SAME:    \22slot_count\22:12

// CHECK-LABEL: func.func @matmul(
// CHECK-SAME:    %{{[a-z0-9]+}}: !llvm.ptr, %{{[a-z0-9]+}}: i64, %{{[a-z0-9]+}}: i64, %{{[a-z0-9]+}}: i64, %{{[a-z0-9]+}}: i64, %{{[a-z0-9]+}}: !llvm.ptr) {
// The window of a moves on by its columns, that of b by its rows: while one is copied, the next is asked for. Both are copied as they
// lie: elements of a are read one by one, along either axis.
// CHECK-NOT:     vector.shuffle
// CHECK:         llvm.intr.prefetch
// CHECK-NOT:     llvm.intr.prefetch
// CHECK:         llvm.load {{.*}} -> vector<4xf32>
// CHECK:         llvm.intr.prefetch
// CHECK:         llvm.load {{.*}} -> vector<8xf32>
// Two loads of the right side serve four elements of the left.
// CHECK:         scf.for {{.*}} iter_args({{.*}}) -> (vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>)
// CHECK-COUNT-2:   llvm.load {{.*}} -> vector<8xf32>
// CHECK-NOT:       -> vector<8xf32>
// CHECK:           llvm.load {{.*}} -> f32
// CHECK-COUNT-8:   llvm.intr.fma
// CHECK-NOT:       llvm.intr.fma
// CHECK:           scf.yield
// CHECK-NOT:     llvm.intr.fma
// CHECK:         return
func.func @matmul(%a: !tile.view<f32, ["M", "K"]> {tile.name = "a"}, %b: !tile.view<f32, ["K", "N"]> {tile.name = "b"}, %c: !tile.view<f32, ["M", "N"]> {tile.name = "c"}) attributes {tile.grid = [["M", 8], ["N", 16]], tile.kernel} {
  %c0 = arith.constant 0 : i32
  %c4 = arith.constant 4 : i32
  %c8 = arith.constant 8 : i32
  %c16 = arith.constant 16 : i32
  %zero = arith.constant dense<0.0> : tensor<8x16xf32>
  %p0 = tile.program_id 0
  %i = arith.muli %p0, %c8 : i32
  %p1 = tile.program_id 1
  %j = arith.muli %p1, %c16 : i32
  %depth = tile.extent "K"
  %sum = scf.for %k = %c0 to %depth step %c4 iter_args(%acc = %zero) -> (tensor<8x16xf32>) : i32 {
    %left = tile.load %a[%i, %k] : !tile.view<f32, ["M", "K"]> -> tensor<8x4xf32>
    %right = tile.load %b[%k, %j] : !tile.view<f32, ["K", "N"]> -> tensor<4x16xf32>
    %next = tile.dot %left, %right acc(%acc : tensor<8x16xf32>) : tensor<8x4xf32>, tensor<4x16xf32> -> tensor<8x16xf32>
    scf.yield %next : tensor<8x16xf32>
  }
  tile.store %sum, %c[%i, %j] : tensor<8x16xf32>, !tile.view<f32, ["M", "N"]>
  return
}
