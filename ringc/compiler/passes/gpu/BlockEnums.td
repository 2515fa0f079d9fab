#ifndef RINGC_COMPILER_PASSES_GPU_BLOCK_ENUMS
#define RINGC_COMPILER_PASSES_GPU_BLOCK_ENUMS

include "mlir/IR/EnumAttr.td"

def Block_FragmentKind : I32EnumAttr<"FragmentKind", "what a tile's elements are for a thread", [
    I32EnumAttrCase<"Matrix", 0, "matrix">, I32EnumAttrCase<"AlongM", 1, "along_m">, I32EnumAttrCase<"AlongN", 2, "along_n">,
    I32EnumAttrCase<"Single", 3, "single">]> {
  let cppNamespace = "::ringc::block";
  let genSpecializedAttr = 0;
}

#endif
