// Where the program's own window is far shorter than a vector the other axis runs along the lanes, and a product that has all
// rows of its result in registers reads a window where it lies in its view: each element once, without a copy of it.
// RUN: ringc-opt --lower-to-vector="vector-bytes=32" --cse --split-input-file %s | FileCheck %s --implicit-check-not="= tile."

// Four queries. Two keys make a vector of eight sums, one for each key and query: their rows are multiplied with the lanes
// along what is summed, then folded (14 shuffles), and taken apart by queries. The values are multiplied with a scalar for
// each query, two vectors at a time. Both ask for the rows of the next round.
// CHECK-LABEL: func.func @few_queries(
// CHECK:         scf.for {{.*}} : i32
// CHECK:           scf.for {{.*}} step %c2{{.*}} {
// CHECK-COUNT-2:     llvm.intr.prefetch
// CHECK:             scf.for {{.*}} step %c8{{.*}} iter_args
// CHECK-COUNT-8:       llvm.intr.fma
// CHECK-NOT:           llvm.intr.fma
// CHECK:             scf.yield
// CHECK-COUNT-14:    vector.shuffle
// CHECK-COUNT-4:     llvm.store {{.*}} : vector<2xf32>
// CHECK:           scf.for {{.*}} iter_args
// CHECK-COUNT-1:     llvm.intr.prefetch
// CHECK-COUNT-2:     llvm.load {{.*}} -> vector<8xf32>
// CHECK-COUNT-8:     llvm.intr.fma
// CHECK-NOT:         llvm.intr.fma
// CHECK:         return
func.func @few_queries(%q: !tile.view<f32, ["Nq", "16"]> {tile.name = "q"}, %k: !tile.view<f32, ["Nk", "16"]> {tile.name = "k"}, %v: !tile.view<f32, ["Nk", "16"]> {tile.name = "v"}, %out: !tile.view<f32, ["Nq", "16"]> {tile.name = "out"}) attributes {tile.grid = [["Nq", 4]], tile.kernel} {
  %c0 = arith.constant 0 : i32
  %c4 = arith.constant 4 : i32
  %c16 = arith.constant 16 : i32
  %zero = arith.constant dense<0.0> : tensor<4x16xf32>
  %p0 = tile.program_id 0
  %rows = arith.muli %p0, %c4 : i32
  %queries = tile.load %q[%rows, %c0] : !tile.view<f32, ["Nq", "16"]> -> tensor<4x16xf32>
  %n = tile.extent "Nk"
  %sum = scf.for %cols = %c0 to %n step %c16 iter_args(%acc = %zero) -> (tensor<4x16xf32>) : i32 {
    %keys = tile.load %k[%cols, %c0] : !tile.view<f32, ["Nk", "16"]> -> tensor<16x16xf32>
    %turned = tile.transpose %keys : tensor<16x16xf32> -> tensor<16x16xf32>
    %s = tile.dot %queries, %turned : tensor<4x16xf32>, tensor<16x16xf32> -> tensor<4x16xf32>
    %values = tile.load %v[%cols, %c0] : !tile.view<f32, ["Nk", "16"]> -> tensor<16x16xf32>
    %next = tile.dot %s, %values acc(%acc : tensor<4x16xf32>) : tensor<4x16xf32>, tensor<16x16xf32> -> tensor<4x16xf32>
    scf.yield %next : tensor<4x16xf32>
  }
  tile.store %sum, %out[%rows, %c0] : tensor<4x16xf32>, !tile.view<f32, ["Nq", "16"]>
  return
}

// -----

// Eight queries fill a vector: they are the lanes, keys and values are read scalar by scalar, from copies.
// CHECK-LABEL: func.func @a_vector_of_queries(
// CHECK:         scf.for {{.*}} : i32
// CHECK:           llvm.intr.prefetch
// CHECK:           llvm.store {{.*}} : vector<8xf32>
// CHECK-NOT:     vector.shuffle
// CHECK:         llvm.intr.fma
// CHECK-NOT:     vector<2xf32>
// CHECK:         return
func.func @a_vector_of_queries(%q: !tile.view<f32, ["Nq", "16"]> {tile.name = "q"}, %k: !tile.view<f32, ["Nk", "16"]> {tile.name = "k"}, %out: !tile.view<f32, ["Nq", "Nk"]> {tile.name = "out"}) attributes {tile.grid = [["Nq", 8]], tile.kernel} {
  %c0 = arith.constant 0 : i32
  %c8 = arith.constant 8 : i32
  %c16 = arith.constant 16 : i32
  %zero = arith.constant dense<0.0> : tensor<8x16xf32>
  %p0 = tile.program_id 0
  %rows = arith.muli %p0, %c8 : i32
  %queries = tile.load %q[%rows, %c0] : !tile.view<f32, ["Nq", "16"]> -> tensor<8x16xf32>
  %n = tile.extent "Nk"
  %sum = scf.for %cols = %c0 to %n step %c16 iter_args(%acc = %zero) -> (tensor<8x16xf32>) : i32 {
    %keys = tile.load %k[%cols, %c0] : !tile.view<f32, ["Nk", "16"]> -> tensor<16x16xf32>
    %turned = tile.transpose %keys : tensor<16x16xf32> -> tensor<16x16xf32>
    %next = tile.dot %queries, %turned acc(%acc : tensor<8x16xf32>) : tensor<8x16xf32>, tensor<16x16xf32> -> tensor<8x16xf32>
    scf.yield %next : tensor<8x16xf32>
  }
  tile.store %sum, %out[%rows, %c0] : tensor<8x16xf32>, !tile.view<f32, ["Nq", "Nk"]>
  return
}

// -----

// What two products read is copied once: turned by squares for one of them, as it lies for the other.
// CHECK-LABEL: func.func @read_twice(
// CHECK-COUNT-24: vector.shuffle
// CHECK:         llvm.intr.fma
// CHECK-NOT:     vector.shuffle {{.*}}vector<2xf32>
// CHECK:         return
func.func @read_twice(%q: !tile.view<f32, ["Nq", "16"]> {tile.name = "q"}, %k: !tile.view<f32, ["Nk", "16"]> {tile.name = "k"}, %out: !tile.view<f32, ["Nq", "16"]> {tile.name = "out"}) attributes {tile.grid = [["Nq", 4]], tile.kernel} {
  %c0 = arith.constant 0 : i32
  %c4 = arith.constant 4 : i32
  %p0 = tile.program_id 0
  %rows = arith.muli %p0, %c4 : i32
  %queries = tile.load %q[%rows, %c0] : !tile.view<f32, ["Nq", "16"]> -> tensor<4x16xf32>
  %keys = tile.load %k[%c0, %c0] : !tile.view<f32, ["Nk", "16"]> -> tensor<16x16xf32>
  %turned = tile.transpose %keys : tensor<16x16xf32> -> tensor<16x16xf32>
  %s = tile.dot %queries, %turned : tensor<4x16xf32>, tensor<16x16xf32> -> tensor<4x16xf32>
  %sum = tile.dot %s, %keys : tensor<4x16xf32>, tensor<16x16xf32> -> tensor<4x16xf32>
  tile.store %sum, %out[%rows, %c0] : tensor<4x16xf32>, !tile.view<f32, ["Nq", "16"]>
  return
}

// -----

// A product that comes after a store finds the window as it was before.
// CHECK-LABEL: func.func @written_before_it_is_read(
// CHECK-COUNT-2: arith.select {{.*}} : !llvm.ptr
// CHECK-NOT:     arith.select
// CHECK:         llvm.intr.fma
// CHECK:         return
func.func @written_before_it_is_read(%q: !tile.view<f32, ["Nq", "16"]> {tile.name = "q"}, %v: !tile.view<f32, ["Nk", "16"]> {tile.name = "v"}, %out: !tile.view<f32, ["Nq", "16"]> {tile.name = "out"}) attributes {tile.grid = [["Nq", 4]], tile.kernel} {
  %c0 = arith.constant 0 : i32
  %c4 = arith.constant 4 : i32
  %p0 = tile.program_id 0
  %rows = arith.muli %p0, %c4 : i32
  %queries = tile.load %q[%rows, %c0] : !tile.view<f32, ["Nq", "16"]> -> tensor<4x16xf32>
  %values = tile.load %v[%c0, %c0] : !tile.view<f32, ["Nk", "16"]> -> tensor<16x16xf32>
  tile.store %queries, %v[%rows, %c0] : tensor<4x16xf32>, !tile.view<f32, ["Nk", "16"]>
  %sum = tile.dot %queries, %values : tensor<4x16xf32>, tensor<16x16xf32> -> tensor<4x16xf32>
  tile.store %sum, %out[%rows, %c0] : tensor<4x16xf32>, !tile.view<f32, ["Nq", "16"]>
  return
}

// -----

// Of a window that a table places, the table is asked where the next round will find it; in the last round, where this one does.
// CHECK-LABEL: func.func @by_a_table(
// CHECK:         scf.for %[[ROUND:.*]] = {{.*}} to %[[END:.*]] step %[[STEP:.*]] : i32
// CHECK:           llvm.load {{.*}} -> i32
// CHECK:           %[[LATER:.*]] = arith.addi %[[ROUND]], %[[STEP]] : i32
// CHECK:           %[[THERE:.*]] = arith.cmpi slt, %[[LATER]], %[[END]] : i32
// CHECK:           %[[NEXT:.*]] = arith.select %[[THERE]], %[[LATER]], %[[ROUND]] : i32
// CHECK:           arith.extsi %[[NEXT]]
// CHECK:           llvm.load {{.*}} -> i32
// CHECK:           llvm.intr.prefetch
// CHECK:         return
func.func @by_a_table(%q: !tile.view<f32, ["Nq", "16"]> {tile.name = "q"}, %v: !tile.view<f32, ["Nk", "16"]> {tile.name = "v"}, %table: !tile.view<i32, ["P"]> {tile.name = "table"}, %out: !tile.view<f32, ["Nq", "16"]> {tile.name = "out"}) attributes {tile.grid = [["Nq", 4]], tile.kernel} {
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %c4 = arith.constant 4 : i32
  %zero = arith.constant dense<0.0> : tensor<4x16xf32>
  %p0 = tile.program_id 0
  %rows = arith.muli %p0, %c4 : i32
  %queries = tile.load %q[%rows, %c0] : !tile.view<f32, ["Nq", "16"]> -> tensor<4x16xf32>
  %n = tile.extent "P"
  %sum = scf.for %page = %c0 to %n step %c1 iter_args(%acc = %zero) -> (tensor<4x16xf32>) : i32 {
    %at = tile.element %table[%page] else %c0 : i32 : !tile.view<i32, ["P"]> -> i32
    %values = tile.load %v[%at, %c0] : !tile.view<f32, ["Nk", "16"]> -> tensor<16x16xf32>
    %next = tile.dot %queries, %values acc(%acc : tensor<4x16xf32>) : tensor<4x16xf32>, tensor<16x16xf32> -> tensor<4x16xf32>
    scf.yield %next : tensor<4x16xf32>
  }
  tile.store %sum, %out[%rows, %c0] : tensor<4x16xf32>, !tile.view<f32, ["Nq", "16"]>
  return
}
