// RUN: ringc-opt --recompute-behind-loops %s | FileCheck %s

// Behind the loop the head is read anew, from a register that LLVM does not take for the one before it; what the loop
// reads itself stays one number.
// CHECK-LABEL: llvm.func @behind
// CHECK:         %[[HEAD:[a-z0-9_]+]] = nvvm.read.ptx.sreg.ctaid.y
// CHECK:         %[[FROM:[a-z0-9_]+]] = llvm.getelementptr %arg0[%[[HEAD]]]
// CHECK:         scf.for
// CHECK:           llvm.store %{{[a-z0-9_]+}}, %[[FROM]]
// CHECK:         }
// CHECK-NEXT:    %[[AGAIN:[a-z0-9_]+]] = llvm.inline_asm has_side_effects "mov.u32 $0, %ctaid.y;", "=r"
// CHECK-NEXT:    %[[TWICE:[a-z0-9_]+]] = arith.addi %[[AGAIN]], %[[AGAIN]]
// CHECK:         llvm.getelementptr %arg1[%[[TWICE]]]
llvm.func @behind(%q: !llvm.ptr, %out: !llvm.ptr, %x: f32, %n: i32) attributes {nvvm.kernel} {
  %zero = arith.constant 0 : i32
  %one = arith.constant 1 : i32
  %head = nvvm.read.ptx.sreg.ctaid.y : i32
  %twice = arith.addi %head, %head : i32
  %from = llvm.getelementptr %q[%head] : (!llvm.ptr, i32) -> !llvm.ptr, f32
  %before = llvm.getelementptr %q[%twice] : (!llvm.ptr, i32) -> !llvm.ptr, f32
  llvm.store %x, %before : f32, !llvm.ptr
  scf.for %i = %zero to %n step %one : i32 {
    llvm.store %x, %from : f32, !llvm.ptr
  }
  %to = llvm.getelementptr %out[%twice] : (!llvm.ptr, i32) -> !llvm.ptr, f32
  llvm.store %x, %to : f32, !llvm.ptr
  llvm.return
}

// A loop with three addresses of the head keeps the head: all stays as it is.
// CHECK-LABEL: llvm.func @many_addresses
// CHECK-NOT:     inline_asm
// CHECK:         llvm.return
llvm.func @many_addresses(%q: !llvm.ptr, %k: !llvm.ptr, %v: !llvm.ptr, %out: !llvm.ptr, %x: f32, %n: i32) attributes {nvvm.kernel} {
  %zero = arith.constant 0 : i32
  %one = arith.constant 1 : i32
  %head = nvvm.read.ptx.sreg.ctaid.y : i32
  %a = llvm.getelementptr %q[%head] : (!llvm.ptr, i32) -> !llvm.ptr, f32
  %b = llvm.getelementptr %k[%head] : (!llvm.ptr, i32) -> !llvm.ptr, f32
  %c = llvm.getelementptr %v[%head] : (!llvm.ptr, i32) -> !llvm.ptr, f32
  scf.for %i = %zero to %n step %one : i32 {
    llvm.store %x, %a : f32, !llvm.ptr
    llvm.store %x, %b : f32, !llvm.ptr
    llvm.store %x, %c : f32, !llvm.ptr
  }
  %to = llvm.getelementptr %out[%head] : (!llvm.ptr, i32) -> !llvm.ptr, f32
  llvm.store %x, %to : f32, !llvm.ptr
  llvm.return
}

// What the loop alone reads, or nobody behind it, is computed once.
// CHECK-LABEL: llvm.func @not_behind
// CHECK-NOT:     inline_asm
// CHECK:         llvm.return
llvm.func @not_behind(%q: !llvm.ptr, %x: f32, %n: i32) attributes {nvvm.kernel} {
  %zero = arith.constant 0 : i32
  %one = arith.constant 1 : i32
  %head = nvvm.read.ptx.sreg.ctaid.y : i32
  %from = llvm.getelementptr %q[%head] : (!llvm.ptr, i32) -> !llvm.ptr, f32
  scf.for %i = %zero to %n step %one : i32 {
    llvm.store %x, %from : f32, !llvm.ptr
  }
  llvm.return
}
