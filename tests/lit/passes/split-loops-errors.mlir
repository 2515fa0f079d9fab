// RUN: ringc-opt --split-loops --split-input-file --verify-diagnostics %s

func.func private @mask(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> i32 {
  return %j : i32
}
func.func @number_for_a_mask(%qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32) {
  // expected-error@below {{@mask is not a function of b, h, i, j, queryRow, keyRow and parameters with one i1 result}}
  tile.masked_for @mask over 1 from %r to %r step 16 at %qpos, %kpos fixed %r : !tile.positions<"Nq">, !tile.positions<"Nk"> {
  ^bb0(%cols: i32, %seen: tensor<8x16xi1>):
    tile.yield
  }
  return
}

// -----

func.func private @mask(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> i1
func.func @mask_without_a_body(%qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32) {
  // expected-error@below {{@mask is not a function of b, h, i, j, queryRow, keyRow and parameters with one i1 result}}
  tile.masked_for @mask over 1 from %r to %r step 16 at %qpos, %kpos fixed %r : !tile.positions<"Nq">, !tile.positions<"Nk"> {
  ^bb0(%cols: i32, %seen: tensor<8x16xi1>):
    tile.yield
  }
  return
}
