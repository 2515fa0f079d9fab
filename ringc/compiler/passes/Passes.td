#ifndef RINGC_COMPILER_PASSES_PASSES
#define RINGC_COMPILER_PASSES_PASSES

include "mlir/Pass/PassBase.td"

def DeriveScoreGradient : Pass<"derive-score-gradient", "::mlir::ModuleOp"> {
  let summary = "Names a function for every derivative of a score";
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

def Specialise : Pass<"specialise", "::mlir::ModuleOp"> {
  let summary = "Inlines scalar functions and simplifies what is known of masks, scores and factors";
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def SplitLoops : Pass<"split-loops", "::mlir::ModuleOp"> {
  let summary = "Turns masked loops into loops whose body depends on what the mask shows of a tile";
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect"];
  let options = [
    Option<"bodies", "bodies", "LoopBodies", "LoopBodies::Two", "how often a masked loop's body stands in the code",
           [{::llvm::cl::values(
               clEnumValN(LoopBodies::Two, "two", "for tiles seen in part and for those seen whole"),
               clEnumValN(LoopBodies::One, "one", "for both, with branches around what the mask selects"))}]>
  ];
}

def TakeShortcuts : Pass<"take-shortcuts", "::mlir::ModuleOp"> {
  let summary = "Branches between the quick and the other way to compute rows, or goes the other alone";
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect"];
  let options = [
    Option<"branches", "branches", "bool", "false", "a branch costs less than the other way saves">
  ];
}

def ChooseProducts : Pass<"choose-products", "::mlir::ModuleOp"> {
  let summary = "Gives each product of 16-bit tiles the form that it is made in on a host";
  let options = [
    Option<"vectorBytes", "vector-bytes", "int64_t", "32", "bytes of a vector register">,
    Option<"bf16Dot", "bf16-dot", "bool", "false", "pairs of bf16 are multiplied and added to f32 in one instruction">,
    Option<"pairSpeed", "pair-speed", "int64_t", "200", "multiply-adds of pairs, in hundredths of f32's">,
    Option<"bf16Tiles", "bf16-tiles", "bool", "false", "there are registers of tiles for bf16">,
    Option<"f16Tiles", "f16-tiles", "bool", "false", "and for f16">,
    Option<"tileSpeed", "tile-speed", "int64_t", "1600", "multiply-adds of tiles, in hundredths of f32's">,
    Option<"microDepth", "micro-depth", "int64_t", "0", "terms of a sum at a time, at most: 1, 2 or 32; 0: as is fastest">
  ];
}

def LowerToVector : Pass<"lower-to-vector", "::mlir::ModuleOp"> {
  let summary = "Turns the kernel of tiles into a host function of loops over vectors and scratch memory";
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
                           "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
  let options = [
    Option<"vectorBytes", "vector-bytes", "int64_t", "32", "bytes of a vector register">,
    Option<"registers", "registers", "int64_t", "16", "vector registers">,
    Option<"bf16Dot", "bf16-dot", "bool", "false", "pairs of bf16 are multiplied and added to f32 in one instruction">,
    Option<"bf16Tiles", "bf16-tiles", "bool", "false", "products in tiles of bf16 are made in registers of tiles, and not by loops">,
    Option<"f16Tiles", "f16-tiles", "bool", "false", "of f16, the same">,
    Option<"microRows", "micro-rows", "int64_t", "0", "rows of a product's register block; 0: as many as fit">,
    Option<"microVectors", "micro-vectors", "int64_t", "0", "vectors in a row of a product's register block; 0: at most 4">
  ];
}

def LowerToLlvm : Pass<"lower-to-llvm", "::mlir::ModuleOp"> {
  let summary = "Turns loops over vectors into the LLVM dialect, in one conversion";
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::cf::ControlFlowDialect", "::mlir::math::MathDialect", "::mlir::vector::VectorDialect"];
}

#endif
