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

// What a branch yields is computed number by number, in the order in which it is yielded; a division, too, just before
// it is read.
// CHECK-LABEL: func.func @yielded
// CHECK:         scf.if
// CHECK-NEXT:      %[[C:[a-z0-9_]+]] = arith.divui %arg1
// CHECK-NEXT:      %[[CC:[a-z0-9_]+]] = arith.cmpi slt, %[[C]]
// CHECK-NEXT:      %[[CS:[a-z0-9_]+]] = arith.select %[[CC]]
// CHECK-NEXT:      %[[D:[a-z0-9_]+]] = arith.divui %arg2
// CHECK-NEXT:      %[[DC:[a-z0-9_]+]] = arith.cmpi slt, %[[D]]
// CHECK-NEXT:      %[[DS:[a-z0-9_]+]] = arith.select %[[DC]]
// CHECK-NEXT:      scf.yield %[[CS]], %[[DS]]
func.func @yielded(%branch: i1, %a: i32, %b: i32, %x: f32, %y: f32) -> (f32, f32) {
  %s, %t = scf.if %branch -> (f32, f32) {
    %c = arith.divui %a, %b : i32
    %d = arith.divui %b, %a : i32
    %cc = arith.cmpi slt, %c, %a : i32
    %dc = arith.cmpi slt, %d, %a : i32
    %cs = arith.select %cc, %x, %y : f32
    %ds = arith.select %dc, %x, %y : f32
    scf.yield %cs, %ds : f32, f32
  } else {
    scf.yield %x, %y : f32, f32
  }
  return %s, %t : f32, f32
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

// An address that branches alone read, one of them behind a loop, is computed in each.
// CHECK-LABEL: func.func @beside_a_loop
// CHECK-NOT:     arith.muli
// CHECK:         scf.if %arg0
// CHECK-NEXT:      %[[A:[a-z0-9_]+]] = arith.muli %arg2, %arg2
// CHECK-NEXT:      llvm.getelementptr %arg1[%[[A]]]
// CHECK:         scf.for
// CHECK:         scf.if %arg0
// CHECK-NEXT:      %[[B:[a-z0-9_]+]] = arith.muli %arg2, %arg2
// CHECK-NEXT:      llvm.getelementptr %arg1[%[[B]]]
func.func @beside_a_loop(%c: i1, %p: !llvm.ptr, %n: i64, %x: f32, %i: index) {
  %offset = arith.muli %n, %n : i64
  %at = llvm.getelementptr %p[%offset] : (!llvm.ptr, i64) -> !llvm.ptr, f32
  scf.if %c {
    llvm.store %x, %at : f32, !llvm.ptr
  }
  scf.for %k = %i to %i step %i {
    llvm.store %x, %p : f32, !llvm.ptr
  }
  scf.if %c {
    llvm.store %x, %at : f32, !llvm.ptr
  }
  return
}

// Negative twin: what the loop reads too, or what no branch behind it reads, is computed once, before.
// CHECK-LABEL: func.func @read_by_the_loop
// CHECK:         %[[T:[a-z0-9_]+]] = arith.addi %arg2, %arg2
// CHECK:         scf.if %arg0
// CHECK-NEXT:      llvm.store %[[T]]
// CHECK:         %[[O:[a-z0-9_]+]] = arith.muli %arg2, %arg2
// CHECK:         scf.for
// CHECK-NEXT:      llvm.store %[[O]]
// CHECK:         scf.if %arg0
// CHECK-NEXT:      llvm.store %[[O]]
func.func @read_by_the_loop(%c: i1, %p: !llvm.ptr, %n: i64, %x: f32, %i: index) {
  %often = arith.muli %n, %n : i64
  %early = arith.addi %n, %n : i64
  scf.if %c {
    llvm.store %early, %p : i64, !llvm.ptr
  }
  scf.for %k = %i to %i step %i {
    llvm.store %often, %p : i64, !llvm.ptr
  }
  scf.if %c {
    llvm.store %often, %p : i64, !llvm.ptr
  }
  return
}
