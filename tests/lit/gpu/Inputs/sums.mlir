// dk as a backward has it: the transpose of a computed tile is multiplied, and a computed tile is a right operand.
func.func @sums(%q: !tile.view<bf16, ["M", "64"]> {tile.name = "q"}, %k: !tile.view<bf16, ["N", "64"]> {tile.name = "k"},
                %dk: !tile.view<f32, ["N", "64"]> {tile.name = "dk"}, %w: !tile.view<f32, ["M"]> {tile.name = "w"})
    attributes {tile.grid = [["N", 64]], tile.kernel} {
  %c0 = arith.constant 0 : i32
  %c64 = arith.constant 64 : i32
  %zero = arith.constant dense<0.0> : tensor<64x64xf32>
  %p = tile.program_id 0
  %keys = arith.muli %p, %c64 : i32
  %kt = tile.load %k[%keys, %c0] : !tile.view<bf16, ["N", "64"]> -> tensor<64x64xbf16>
  %turned = tile.transpose %kt : tensor<64x64xbf16> -> tensor<64x64xbf16>
  %m = tile.extent "M"
  %sum = scf.for %rows = %c0 to %m step %c64 iter_args(%acc = %zero) -> (tensor<64x64xf32>) : i32 {
    %qt = tile.load %q[%rows, %c0] : !tile.view<bf16, ["M", "64"]> -> tensor<64x64xbf16>
    %wt = tile.load %w[%rows] : !tile.view<f32, ["M"]> -> tensor<64x1xf32>
    %wide = tile.broadcast %wt : tensor<64x1xf32> -> tensor<64x64xf32>
    %s = tile.dot %qt, %turned : tensor<64x64xbf16>, tensor<64x64xbf16> -> tensor<64x64xf32>
    %scaled = arith.mulf %s, %wide : tensor<64x64xf32>
    %ds = arith.truncf %scaled : tensor<64x64xf32> to tensor<64x64xbf16>
    %dst = tile.transpose %ds : tensor<64x64xbf16> -> tensor<64x64xbf16>
    %next = tile.dot %dst, %qt acc(%acc : tensor<64x64xf32>) : tensor<64x64xbf16>, tensor<64x64xbf16> -> tensor<64x64xf32>
    scf.yield %next : tensor<64x64xf32>
  }
  tile.store %sum, %dk[%keys, %c0] : tensor<64x64xf32>, !tile.view<f32, ["N", "64"]>
  return
}
