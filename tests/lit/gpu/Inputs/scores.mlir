// The largest product of each row of q with any row of k, as split-loops leaves it.
func.func @scores(%q: !tile.view<bf16, ["M", "64"]> {tile.name = "q"}, %k: !tile.view<bf16, ["N", "64"]> {tile.name = "k"},
                  %most: !tile.view<f32, ["M"]> {tile.name = "most"}) attributes {tile.grid = [["M", 64]], tile.kernel} {
  %c0 = arith.constant 0 : i32
  %c64 = arith.constant 64 : i32
  %none = arith.constant dense<0xFF800000> : tensor<64x1xf32>
  %p = tile.program_id 0
  %rows = arith.muli %p, %c64 : i32
  %qt = tile.load %q[%rows, %c0] : !tile.view<bf16, ["M", "64"]> -> tensor<64x64xbf16>
  %n = tile.extent "N"
  %best = scf.for %cols = %c0 to %n step %c64 iter_args(%m = %none) -> (tensor<64x1xf32>) : i32 {
    %kt = tile.load %k[%cols, %c0] : !tile.view<bf16, ["N", "64"]> -> tensor<64x64xbf16>
    %turned = tile.transpose %kt : tensor<64x64xbf16> -> tensor<64x64xbf16>
    %s = tile.dot %qt, %turned : tensor<64x64xbf16>, tensor<64x64xbf16> -> tensor<64x64xf32>
    %row = tile.reduce max %s axis 1 : tensor<64x64xf32> -> tensor<64x1xf32>
    %better = arith.maxnumf %m, %row : tensor<64x1xf32>
    scf.yield %better : tensor<64x1xf32>
  }
  tile.store %best, %most[%rows] : tensor<64x1xf32>, !tile.view<f32, ["M"]>
  return
}
