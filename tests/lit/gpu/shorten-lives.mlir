// RUN: ringc-opt --shorten-lives %s | FileCheck %s

// What is read late is computed late, what joins two numbers as soon as both are there.
// CHECK-LABEL: func.func @two_elements
// CHECK:         %[[X:[a-z0-9_]+]] = arith.mulf %arg0
// CHECK-NEXT:    %[[SX:[a-z0-9_]+]] = arith.addf %arg3, %[[X]]
// CHECK-NEXT:    llvm.store %[[X]]
// CHECK-NEXT:    %[[Y:[a-z0-9_]+]] = arith.mulf %arg1
// CHECK-NEXT:    %[[SY:[a-z0-9_]+]] = arith.addf %[[SX]], %[[Y]]
// CHECK-NEXT:    llvm.store %[[Y]]
// CHECK-NEXT:    return %[[SY]]
func.func @two_elements(%a: f32, %b: f32, %p: !llvm.ptr, %start: f32) -> f32 {
  %x = arith.mulf %a, %a : f32
  %y = arith.mulf %b, %b : f32
  llvm.store %x, %p : f32, !llvm.ptr
  llvm.store %y, %p : f32, !llvm.ptr
  %sx = arith.addf %start, %x : f32
  %sy = arith.addf %sx, %y : f32
  return %sy : f32
}

// Negative twin: what has effects stays, and what a region reads is there before it.
// CHECK-LABEL: func.func @in_place
// CHECK:         llvm.load
// CHECK-NEXT:    llvm.store
// CHECK-NEXT:    arith.mulf
// CHECK-NEXT:    scf.if
func.func @in_place(%p: !llvm.ptr, %c: i1, %a: f32) {
  %x = llvm.load %p : !llvm.ptr -> f32
  %y = arith.mulf %a, %a : f32
  llvm.store %a, %p : f32, !llvm.ptr
  scf.if %c {
    llvm.store %x, %p : f32, !llvm.ptr
    llvm.store %y, %p : f32, !llvm.ptr
  }
  return
}
