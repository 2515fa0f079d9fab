// What the verifiers of the tile dialect say.
// RUN: ringc-opt --split-input-file --verify-diagnostics %s

// expected-error@below {{a view has at least one axis}}
func.func @view_without_axes(%x: !tile.view<f32, []>) { return }

// -----

// expected-error@below {{extents are strings, got 64}}
func.func @view_of_numbers(%x: !tile.view<f32, [64]>) { return }

// -----

func.func @window_of_rank_3(%x: !tile.view<f32, ["A", "B", "C"]>, %i: i32) {
  // expected-error@below {{needs a view of rank 1 or 2, got '!tile.view<f32, ["A", "B", "C"]>'}}
  %t = tile.load %x[%i, %i, %i] : !tile.view<f32, ["A", "B", "C"]> -> tensor<8x8xf32>
  return
}

// -----

func.func @too_few_offsets(%x: !tile.view<f32, ["Nq", "64"]>, %i: i32) {
  // expected-error@below {{needs 2 offsets, got 1}}
  %t = tile.load %x[%i] : !tile.view<f32, ["Nq", "64"]> -> tensor<8x8xf32>
  return
}

// -----

func.func @other_element_type(%x: !tile.view<bf16, ["Nq", "64"]>, %i: i32) {
  // expected-error@below {{element types differ}}
  %t = tile.load %x[%i, %i] : !tile.view<bf16, ["Nq", "64"]> -> tensor<8x8xf32>
  return
}

// -----

func.func @window_of_rank_1_is_a_column(%x: !tile.view<f32, ["Nq"]>, %i: i32) {
  // expected-error@below {{a window of a rank-1 view is a column, got 'tensor<1x8xf32>'}}
  %t = tile.load %x[%i] : !tile.view<f32, ["Nq"]> -> tensor<1x8xf32>
  return
}

// -----

func.func @fill_of_other_type(%x: !tile.view<f32, ["Nq"]>, %i: i32) {
  // expected-error@below {{fill has type 'i32'}}
  %t = tile.load %x[%i] else %i : i32 : !tile.view<f32, ["Nq"]> -> tensor<8x1xf32>
  return
}

// -----

func.func @row_predicate_of_other_shape(%x: !tile.view<f32, ["Nq"]>, %i: i32, %keep: tensor<4x1xi1>) {
  // expected-error@below {{row predicate has type 'tensor<4x1xi1>'}}
  %t = tile.load %x[%i] where %keep : tensor<4x1xi1> : !tile.view<f32, ["Nq"]> -> tensor<8x1xf32>
  return
}

// -----

func.func @adding_to_bf16(%x: !tile.view<bf16, ["Nq", "8"]>, %i: i32, %t: tensor<8x8xbf16>) {
  // expected-error@below {{adds to f32 views alone, got '!tile.view<bf16, ["Nq", "8"]>'}}
  tile.store add %t, %x[%i, %i] : tensor<8x8xbf16>, !tile.view<bf16, ["Nq", "8"]>
  return
}

// -----

func.func @rank_3_tile(%x: f32) {
  // expected-error@below {{must be rank-2 tile of static shape}}
  %t = tile.splat %x : f32 -> tensor<8x8x8xf32>
  return
}

// -----

func.func @dynamic_tile(%x: f32) {
  // expected-error@below {{must be rank-2 tile of static shape}}
  %t = tile.splat %x : f32 -> tensor<8x?xf32>
  return
}

// -----

func.func @element_with_too_few_indices(%x: !tile.view<f32, ["B", "H"]>, %i: i32) {
  // expected-error@below {{needs 2 indices, got 1}}
  %e = tile.element %x[%i] : !tile.view<f32, ["B", "H"]> -> f32
  return
}

// -----

func.func @element_of_other_type(%x: !tile.view<f32, ["H"]>, %i: i32) {
  // expected-error@below {{result has type 'i32', the view}}
  %e = tile.element %x[%i] : !tile.view<f32, ["H"]> -> i32
  return
}

// -----

func.func @element_inside_of_no_axis(%x: !tile.view<f32, ["H"]>, %h: i32) {
  // expected-error@below {{inside has axis 1, the view 1 axes}}
  %e = tile.element %x[%h] inside [1] : !tile.view<f32, ["H"]> -> f32
  return
}

// -----

func.func @broadcast_of_two(%t: tensor<2x1xf32>) {
  // expected-error@below {{cannot repeat 'tensor<2x1xf32>' to 'tensor<8x4xf32>'}}
  %b = tile.broadcast %t : tensor<2x1xf32> -> tensor<8x4xf32>
  return
}

// -----

func.func @transpose_to_same_shape(%t: tensor<2x4xf32>) {
  // expected-error@below {{cannot turn 'tensor<2x4xf32>' into 'tensor<2x4xf32>'}}
  %b = tile.transpose %t : tensor<2x4xf32> -> tensor<2x4xf32>
  return
}

// -----

func.func @dot_of_unequal_depth(%a: tensor<8x16xf32>, %b: tensor<8x4xf32>) {
  // expected-error@below {{a has 16 columns, b has 8 rows}}
  %d = tile.dot %a, %b : tensor<8x16xf32>, tensor<8x4xf32> -> tensor<8x4xf32>
  return
}

// -----

func.func @dot_of_two_types(%a: tensor<8x16xf32>, %b: tensor<16x4xbf16>) {
  // expected-error@below {{operands have types}}
  %d = tile.dot %a, %b : tensor<8x16xf32>, tensor<16x4xbf16> -> tensor<8x4xf32>
  return
}

// -----

func.func @dot_in_bf16(%a: tensor<8x16xbf16>, %b: tensor<16x4xbf16>) {
  // expected-error@below {{result has type 'tensor<8x4xbf16>'}}
  %d = tile.dot %a, %b : tensor<8x16xbf16>, tensor<16x4xbf16> -> tensor<8x4xbf16>
  return
}

// -----

func.func @accumulator_of_other_shape(%a: tensor<8x16xf32>, %b: tensor<16x4xf32>, %acc: tensor<8x1xf32>) {
  // expected-error@below {{accumulator has type 'tensor<8x1xf32>'}}
  %d = tile.dot %a, %b acc(%acc : tensor<8x1xf32>) : tensor<8x16xf32>, tensor<16x4xf32> -> tensor<8x4xf32>
  return
}

// -----

func.func @reduce_to_wrong_shape(%t: tensor<8x16xf32>) {
  // expected-error@below {{along axis 1 of 'tensor<8x16xf32>' cannot give 'tensor<1x16xf32>'}}
  %r = tile.reduce sum %t axis 1 : tensor<8x16xf32> -> tensor<1x16xf32>
  return
}

// -----

func.func @third_axis_of_the_grid() {
  // expected-error@below {{attribute 'axis' failed to satisfy constraint}}
  %p = tile.program_id 2
  return
}

// -----

func.func @apply_of_nothing(%qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32) {
  // expected-error@below {{unknown function @nowhere}}
  %p = tile.apply @nowhere at %qpos[%r], %kpos[%r] : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x8xi1>
  return
}

// -----

func.func private @mask(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32, %left: i32) -> i1
func.func @apply_without_parameter(%qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32) {
  // expected-error@below {{@mask takes 7 arguments, got 6}}
  %p = tile.apply @mask at %qpos[%r], %kpos[%r] : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x8xi1>
  return
}

// -----

func.func private @mask(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32, %left: i32) -> i1
func.func @apply_with_other_parameter(%qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32, %left: f32) {
  // expected-error@below {{parameter of type 'f32' where @mask takes 'i32'}}
  %p = tile.apply @mask at %qpos[%r], %kpos[%r] with (%left : f32) : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x8xi1>
  return
}

// -----

func.func private @shown(%b: i32) -> i32
func.func @visibility_of_a_mask(%qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32) {
  // expected-error@below {{@shown takes 1 arguments, got 11}}
  %v = tile.visibility @shown over 1 at %qpos[%r : 8], %kpos[%r : 8] : !tile.positions<"Nq">, !tile.positions<"Nk">
  return
}

// -----

func.func private @mask(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> i1
func.func @masked_loop_of_other_step(%qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32) {
  // expected-error@below {{predicate tile has type 'tensor<8x32xi1>'}}
  tile.masked_for @mask over 1 from %r to %r step 16 at %qpos, %kpos fixed %r : !tile.positions<"Nq">, !tile.positions<"Nk"> {
  ^bb0(%cols: i32, %seen: tensor<8x32xi1>):
    tile.yield
  }
  return
}

// -----

func.func private @mask(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> i1
func.func @masked_loop_without_progress(%qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32) {
  // expected-error@below {{step must be positive, got 0}}
  tile.masked_for @mask over 1 from %r to %r step 0 at %qpos, %kpos fixed %r : !tile.positions<"Nq">, !tile.positions<"Nk"> {
  ^bb0(%cols: i32, %seen: tensor<8x16xi1>):
    tile.yield
  }
  return
}

// -----

func.func private @mask(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> i1
func.func @masked_loop_that_changes_type(%qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32, %t: tensor<8x16xf32>) {
  // expected-error@below {{iteration arguments, yield and results differ in type}}
  %f = tile.masked_for @mask over 1 from %r to %r step 16 at %qpos, %kpos fixed %r init(%t : tensor<8x16xf32>) : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32> {
  ^bb0(%cols: i32, %seen: tensor<8x16xi1>, %acc: tensor<8x16xf32>):
    tile.yield %seen : tensor<8x16xi1>
  }
  return
}

// -----

func.func private @mask(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> i1
func.func @masked_loop_without_predicate(%qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32) {
  // expected-error@below {{body has 1 arguments, needs 2}}
  tile.masked_for @mask over 1 from %r to %r step 16 at %qpos, %kpos fixed %r : !tile.positions<"Nq">, !tile.positions<"Nk"> {
  ^bb0(%cols: i32):
    tile.yield
  }
  return
}

// -----

func.func @resume_of_other_type(%state: !tile.carry, %t: tensor<8x16xf32>) {
  // expected-error@below {{failed to verify that all of {inits, results} have same type}}
  %r = "tile.resume"(%state, %t) : (!tile.carry, tensor<8x16xf32>) -> tensor<8x8xf32>
  return
}

// -----

func.func @shortcut_by_a_matrix(%c: tensor<8x16xi1>, %t: tensor<8x16xf32>) {
  // expected-error@below {{needs a column of i1 with the rows of 'tensor<8x16xf32>', got 'tensor<8x16xi1>'}}
  %r = tile.shortcut %c, %t, %t : tensor<8x16xi1>, tensor<8x16xf32>
  return
}

// -----

func.func @iota_of_a_matrix() {
  // expected-error@below {{is a column or a row of i32, not 'tensor<8x8xi32>'}}
  %n = tile.iota : tensor<8x8xi32>
  return
}

// -----

func.func @iota_of_floats() {
  // expected-error@below {{is a column or a row of i32, not 'tensor<8x1xf32>'}}
  %n = tile.iota : tensor<8x1xf32>
  return
}

// -----

func.func @positions_as_a_row(%qpos: !tile.positions<"Nq">, %rows: i32) {
  // expected-error@below {{is a column of i32, not 'tensor<1x8xi32>'}}
  %i = tile.position %qpos[%rows] : !tile.positions<"Nq"> -> tensor<1x8xi32>
  return
}

// -----

func.func @random_of_other_types(%n: i64) {
  // expected-error@below {{makes f32 of i32, not 'f32' of 'i64'}}
  %r = tile.random %n, %n, %n, %n, %n : i64 -> f32
  return
}

// -----

func.func @own_index_of_rows() {
  // expected-error@below {{is of B or of Hkv, not of Nq}}
  %b = tile.own_index "Nq"
  return
}

// -----

func.func @slice_of_another_axis(%x: !tile.view<f32, ["P", "M", "64"]>, %i: i32) {
  // expected-error@below {{cannot turn '!tile.view<f32, ["P", "M", "64"]>' into '!tile.view<f32, ["P", "64"]>'}}
  %s = tile.slice %x[%i] axes [0] : !tile.view<f32, ["P", "M", "64"]> -> !tile.view<f32, ["P", "64"]>
  return
}

// -----

func.func @slice_of_sums(%x: !tile.view<f32, ["M", "64"], "sums">, %i: i32) {
  // expected-error@below {{indexes sums}}
  %s = tile.slice %x[%i] axes [0] : !tile.view<f32, ["M", "64"], "sums"> -> !tile.view<f32, ["64"]>
  return
}

// -----

func.func @rows_that_are_no_column(%x: !tile.view<f32, ["M", "64"]>, %i: i32, %ids: tensor<4x1xi32>) {
  // expected-error@below {{rows have type 'tensor<4x1xi32>', the tile 'tensor<8x64xf32>'}}
  %t = tile.load %x[%i, %i] rows %ids : tensor<4x1xi32> : !tile.view<f32, ["M", "64"]> -> tensor<8x64xf32>
  return
}

// -----

func.func @rows_of_sums(%x: !tile.view<f32, ["M", "64"], "sums">, %i: i32, %ids: tensor<8x1xi32>, %t: tensor<8x64xf32>) {
  // expected-error@below {{names rows of sums}}
  tile.store %t, %x[%i, %i] rows %ids : tensor<8x1xi32> : tensor<8x64xf32>, !tile.view<f32, ["M", "64"], "sums">
  return
}
