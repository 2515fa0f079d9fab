// RUN: ringc-opt --lower-to-vector --split-input-file --verify-diagnostics %s

// expected-error@below {{no function has the attribute tile.kernel}}
module {
  func.func @other() {
    return
  }
}

// -----

// The fill of a window is written once, before anything runs.
func.func @fill_that_is_computed(%x: !tile.view<f32, ["M"]> {tile.name = "x"}, %f: f32 {tile.name = "f"}) attributes {tile.grid = [["M", 8]], tile.kernel} {
  %c0 = arith.constant 0 : i32
  %fill = arith.addf %f, %f : f32
  // expected-error@below {{fill must be a constant or an argument of the kernel}}
  %t = tile.load %x[%c0] else %fill : f32 : !tile.view<f32, ["M"]> -> tensor<8x1xf32>
  tile.store %t, %x[%c0] : tensor<8x1xf32>, !tile.view<f32, ["M"]>
  return
}

// -----

func.func @finished_and_never_resumed(%x: !tile.view<f32, ["M"]> {tile.name = "x"}, %state: !tile.carry {tile.name = "state"}) attributes {tile.grid = [["M", 8]], tile.kernel} {
  %c0 = arith.constant 0 : i32
  %t = tile.load %x[%c0] : !tile.view<f32, ["M"]> -> tensor<8x1xf32>
  // expected-error@below {{finishes a carry that is not resumed before}}
  tile.finish %state(%t : tensor<8x1xf32>) {
    tile.yield
  }
  return
}

// -----

// Loops with masks are split first.
func.func private @all(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> i1 {
  %true = arith.constant true
  return %true : i1
}
func.func @loop_that_is_not_split(%qpos: !tile.positions<"Nq"> {tile.name = "qpos"}, %kpos: !tile.positions<"Nk"> {tile.name = "kpos"}) attributes {tile.grid = [["Nq", 8]], tile.kernel, tile.per_head} {
  %c0 = arith.constant 0 : i32
  // expected-error@below {{has no lowering to host code}}
  tile.masked_for @all over 1 from %c0 to %c0 step 16 at %qpos, %kpos fixed %c0 : !tile.positions<"Nq">, !tile.positions<"Nk"> {
  ^bb0(%cols: i32, %seen: tensor<8x16xi1>):
    tile.yield
  }
  return
}

// -----

func.func @loop_of_another_kind(%x: !tile.view<f32, ["M"]> {tile.name = "x"}) attributes {tile.grid = [["M", 8]], tile.kernel} {
  %c0 = arith.constant 0 : i32
  %t = tile.load %x[%c0] : !tile.view<f32, ["M"]> -> tensor<8x1xf32>
  // expected-error@below {{has no lowering to host code}}
  %u = scf.while (%a = %t) : (tensor<8x1xf32>) -> tensor<8x1xf32> {
    %never = arith.constant false
    scf.condition(%never) %a : tensor<8x1xf32>
  } do {
  ^bb0(%a: tensor<8x1xf32>):
    scf.yield %a : tensor<8x1xf32>
  }
  tile.store %u, %x[%c0] : tensor<8x1xf32>, !tile.view<f32, ["M"]>
  return
}
