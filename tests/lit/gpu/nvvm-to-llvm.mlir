// RUN: ringc-opt --nvvm-to-llvm %s | FileCheck %s --implicit-check-not="{{(scf|arith|math|vector|index|builtin)\.}}"

// Loops become branches; indices are 64 bits wide; NVVM operations stay, for they have a translation.
// CHECK-LABEL: llvm.func @sum(
// CHECK-SAME:    attributes {nvvm.kernel, nvvm.reqntid = array<i32: 32, 1, 1>}
// CHECK:         llvm.icmp "slt" {{.*}} : i64
// CHECK:         llvm.cond_br
// CHECK:         llvm.fadd
// CHECK:         llvm.br
// CHECK:         nvvm.barrier0
// CHECK:         llvm.return
llvm.func @sum(%in: !llvm.ptr<1>, %out: !llvm.ptr<1>, %n: i64) attributes {nvvm.kernel, nvvm.reqntid = array<i32: 32, 1, 1>} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %count = arith.index_cast %n : i64 to index
  %sum = scf.for %i = %c0 to %count step %c1 iter_args(%acc = %zero) -> (f32) {
    %i64 = arith.index_cast %i : index to i64
    %p = llvm.getelementptr %in[%i64] : (!llvm.ptr<1>, i64) -> !llvm.ptr<1>, f32
    %x = llvm.load %p : !llvm.ptr<1> -> f32
    %next = arith.addf %acc, %x : f32
    scf.yield %next : f32
  }
  nvvm.barrier0
  llvm.store %sum, %out : f32, !llvm.ptr<1>
  llvm.return
}

// Two functions have no exact instruction, and there is no library to call.
// CHECK-LABEL: llvm.func @functions(
// CHECK-NOT:     @{{.*}}tanh
// CHECK-NOT:     intr.log2
// CHECK:         llvm.return
llvm.func @functions(%x: f32) -> f32 {
  %t = math.tanh %x : f32
  %l = math.log2 %t : f32
  llvm.return %l : f32
}

// What stands for PTX text becomes inline assembly.
// CHECK-LABEL: llvm.func @text(
// CHECK:         llvm.inline_asm has_side_effects
// CHECK-SAME:      "ex2.approx.ftz.f32 $0, $1;", "=f,f"
llvm.func @text(%x: f32) -> f32 {
  %y = nvvm.inline_ptx "ex2.approx.ftz.f32 {$w0}, {$r0};" ro(%x : f32) -> f32
  llvm.return %y : f32
}
