// RUN: ringc-opt --specialise --split-input-file %s | FileCheck %s

// Calls of scalar functions are inlined, through any number of levels.
func.func private @half(%x: f32) -> f32 {
  %c = arith.constant 0.5 : f32
  %r = arith.mulf %x, %c : f32
  return %r : f32
}
func.func private @slope(%x: f32) -> f32 {
  %a = func.call @half(%x) : (f32) -> f32
  %r = arith.addf %a, %x : f32
  return %r : f32
}
// CHECK-LABEL: func.func private @score(
// CHECK-SAME:    %[[S:[a-z0-9_]+]]: f32
// CHECK-NEXT:    %[[C:[a-z0-9_]+]] = arith.constant 5.000000e-01
// CHECK-NEXT:    %[[HALF:[a-z0-9_]+]] = arith.mulf %[[S]], %[[C]]
// CHECK-NEXT:    %[[R:[a-z0-9_]+]] = arith.addf %[[HALF]], %[[S]]
// CHECK-NEXT:    return %[[R]]
func.func private @score(%s: f32, %b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> f32 {
  %r = func.call @slope(%s) : (f32) -> f32
  return %r : f32
}

// -----

// Factors of one value meet: one multiplication of the tile is left.
// CHECK-LABEL: func.func @factors(
// CHECK-SAME:    %[[X:[a-z0-9_]+]]: tensor<8x16xf32>, %[[SCALE:[a-z0-9_]+]]: f32
// CHECK:         %[[F:[a-z0-9_]+]] = arith.mulf %[[SCALE]], %{{.*}} : f32
// CHECK:         %[[T:[a-z0-9_]+]] = tile.splat %[[F]]
// CHECK:         %[[R:[a-z0-9_]+]] = arith.mulf %[[X]], %[[T]] : tensor<8x16xf32>
// CHECK-NEXT:    return %[[R]]
func.func @factors(%x: tensor<8x16xf32>, %scale: f32) -> tensor<8x16xf32> {
  %log2e = arith.constant dense<1.442695> : tensor<8x16xf32>
  %s = tile.splat %scale : f32 -> tensor<8x16xf32>
  %a = arith.mulf %x, %s : tensor<8x16xf32>
  %b = arith.mulf %log2e, %a : tensor<8x16xf32>
  return %b : tensor<8x16xf32>
}

// CHECK-LABEL: func.func @factor_and_divisor(
// CHECK-SAME:    %[[X:[a-z0-9_]+]]: tensor<8x16xf32>, %[[SCALE:[a-z0-9_]+]]: f32, %[[CAP:[a-z0-9_]+]]: f32
// CHECK-NEXT:    %[[F:[a-z0-9_]+]] = arith.divf %[[SCALE]], %[[CAP]] : f32
// CHECK-NEXT:    %[[T:[a-z0-9_]+]] = tile.splat %[[F]]
// CHECK-NEXT:    %[[R:[a-z0-9_]+]] = arith.mulf %[[X]], %[[T]] : tensor<8x16xf32>
// CHECK-NEXT:    return %[[R]]
func.func @factor_and_divisor(%x: tensor<8x16xf32>, %scale: f32, %cap: f32) -> tensor<8x16xf32> {
  %s = tile.splat %scale : f32 -> tensor<8x16xf32>
  %c = tile.splat %cap : f32 -> tensor<8x16xf32>
  %a = arith.mulf %x, %s : tensor<8x16xf32>
  %b = arith.divf %a, %c : tensor<8x16xf32>
  return %b : tensor<8x16xf32>
}

// Negative twin: of a quotient the uniform part may be the dividend.
// CHECK-LABEL: func.func @uniform_dividend
// CHECK:         arith.mulf %{{.*}} : tensor<8x16xf32>
// CHECK:         arith.divf %{{.*}} : tensor<8x16xf32>
func.func @uniform_dividend(%x: tensor<8x16xf32>, %scale: f32, %cap: f32) -> tensor<8x16xf32> {
  %s = tile.splat %scale : f32 -> tensor<8x16xf32>
  %c = tile.splat %cap : f32 -> tensor<8x16xf32>
  %a = arith.mulf %x, %s : tensor<8x16xf32>
  %b = arith.divf %c, %a : tensor<8x16xf32>
  return %b : tensor<8x16xf32>
}

// Negative twin: another user needs the inner product, so nothing would be saved.
// CHECK-LABEL: func.func @shared_factor
// CHECK-COUNT-2: arith.mulf %{{.*}} : tensor<8x16xf32>
// CHECK:         return
func.func @shared_factor(%x: tensor<8x16xf32>, %scale: f32) -> (tensor<8x16xf32>, tensor<8x16xf32>) {
  %log2e = arith.constant dense<1.442695> : tensor<8x16xf32>
  %s = tile.splat %scale : f32 -> tensor<8x16xf32>
  %a = arith.mulf %x, %s : tensor<8x16xf32>
  %b = arith.mulf %a, %log2e : tensor<8x16xf32>
  return %a, %b : tensor<8x16xf32>, tensor<8x16xf32>
}

// Negative twin: columns are not of one value.
// CHECK-LABEL: func.func @column_factor
// CHECK-COUNT-2: arith.mulf %{{.*}} : tensor<8x16xf32>
// CHECK:         return
func.func @column_factor(%x: tensor<8x16xf32>, %scale: f32, %column: tensor<8x1xf32>) -> tensor<8x16xf32> {
  %s = tile.splat %scale : f32 -> tensor<8x16xf32>
  %c = tile.broadcast %column : tensor<8x1xf32> -> tensor<8x16xf32>
  %a = arith.mulf %x, %c : tensor<8x16xf32>
  %b = arith.mulf %a, %s : tensor<8x16xf32>
  return %b : tensor<8x16xf32>
}

// -----

// A sum with a product is a product that accumulates.
// CHECK-LABEL: func.func @accumulate(
// CHECK-SAME:    %[[A:[a-z0-9_]+]]: tensor<8x16xf32>, %[[B:[a-z0-9_]+]]: tensor<16x4xf32>, %[[ACC:[a-z0-9_]+]]: tensor<8x4xf32>
// CHECK-NEXT:    %[[R:[a-z0-9_]+]] = tile.dot %[[A]], %[[B]] acc(%[[ACC]] : tensor<8x4xf32>)
// CHECK-NEXT:    return %[[R]]
func.func @accumulate(%a: tensor<8x16xf32>, %b: tensor<16x4xf32>, %acc: tensor<8x4xf32>) -> tensor<8x4xf32> {
  %d = tile.dot %a, %b : tensor<8x16xf32>, tensor<16x4xf32> -> tensor<8x4xf32>
  %r = arith.addf %acc, %d : tensor<8x4xf32>
  return %r : tensor<8x4xf32>
}

// Negative twin: the product itself is needed too.
// CHECK-LABEL: func.func @shared_dot
// CHECK-NOT:     acc(
// CHECK:         return
func.func @shared_dot(%a: tensor<8x16xf32>, %b: tensor<16x4xf32>, %acc: tensor<8x4xf32>) -> (tensor<8x4xf32>, tensor<8x4xf32>) {
  %d = tile.dot %a, %b : tensor<8x16xf32>, tensor<16x4xf32> -> tensor<8x4xf32>
  %r = arith.addf %d, %acc : tensor<8x4xf32>
  return %r, %d : tensor<8x4xf32>, tensor<8x4xf32>
}

// -----

func.func private @identity(%s: f32, %b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> f32 {
  return %s : f32
}
func.func private @one(%s: f32, %b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> f32 {
  %one = arith.constant 1.0 : f32
  return %one : f32
}
func.func private @softcap(%s: f32, %b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32, %cap: f32) -> f32 {
  %x = arith.divf %s, %cap : f32
  %t = math.tanh %x : f32
  %r = arith.mulf %cap, %t : f32
  return %r : f32
}
func.func private @everything(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> i1 {
  %true = arith.constant true
  return %true : i1
}

// CHECK-LABEL: func.func @identity_score(
// CHECK-SAME:    %[[S:[a-z0-9_]+]]: tensor<8x16xf32>
// CHECK-NEXT:    return %[[S]]
func.func @identity_score(%s: tensor<8x16xf32>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32, %c: i32) -> tensor<8x16xf32> {
  %t = tile.apply @identity(%s : tensor<8x16xf32>) at %qpos[%r], %kpos[%c] : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32>
  return %t : tensor<8x16xf32>
}

// The derivative of the identity is a factor of 1, which folds away.
// CHECK-LABEL: func.func @slope_of_one(
// CHECK-SAME:    %[[S:[a-z0-9_]+]]: tensor<8x16xf32>
// CHECK-NEXT:    return %[[S]]
func.func @slope_of_one(%s: tensor<8x16xf32>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32, %c: i32) -> tensor<8x16xf32> {
  %t = tile.apply @one(%s : tensor<8x16xf32>) at %qpos[%r], %kpos[%c] : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32>
  %u = arith.mulf %s, %t : tensor<8x16xf32>
  return %u : tensor<8x16xf32>
}

// A score without positions is arithmetic on tiles, whose factors combine with those around it.
// CHECK-LABEL: func.func @capped_score(
// CHECK-SAME:    %[[S:[a-z0-9_]+]]: tensor<8x16xf32>
// CHECK-SAME:    %[[CAP:[a-z0-9_]+]]: f32)
// CHECK-DAG:     %[[LOG2E:[a-z0-9_]+]] = arith.constant 1.44
// CHECK-DAG:     %[[C:[a-z0-9_]+]] = tile.splat %[[CAP]] : f32 -> tensor<8x16xf32>
// CHECK-DAG:     %[[X:[a-z0-9_]+]] = arith.divf %[[S]], %[[C]]
// CHECK-DAG:     %[[T:[a-z0-9_]+]] = math.tanh %[[X]] : tensor<8x16xf32>
// CHECK-DAG:     %[[F:[a-z0-9_]+]] = arith.mulf %[[CAP]], %[[LOG2E]] : f32
// CHECK-DAG:     %[[FT:[a-z0-9_]+]] = tile.splat %[[F]]
// CHECK:         %[[R:[a-z0-9_]+]] = arith.mulf %[[T]], %[[FT]]
// CHECK-NEXT:    return %[[R]]
func.func @capped_score(%s: tensor<8x16xf32>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32, %c: i32, %cap: f32) -> tensor<8x16xf32> {
  %log2e = arith.constant dense<1.442695> : tensor<8x16xf32>
  %t = tile.apply @softcap(%s : tensor<8x16xf32>) at %qpos[%r], %kpos[%c] with (%cap : f32) : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32>
  %u = arith.mulf %t, %log2e : tensor<8x16xf32>
  return %u : tensor<8x16xf32>
}

// A score and its derivative share what they have in common.
func.func private @softcap_slope(%s: f32, %b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32, %cap: f32) -> f32 {
  %x = arith.divf %s, %cap : f32
  %t = math.tanh %x : f32
  %tt = arith.mulf %t, %t : f32
  %one = arith.constant 1.0 : f32
  %r = arith.subf %one, %tt : f32
  return %r : f32
}
// CHECK-LABEL: func.func @score_and_slope
// CHECK:         math.tanh
// CHECK-NOT:     math.tanh
// CHECK:         return
func.func @score_and_slope(%s: tensor<8x16xf32>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32, %c: i32, %cap: f32) -> (tensor<8x16xf32>, tensor<8x16xf32>) {
  %t = tile.apply @softcap(%s : tensor<8x16xf32>) at %qpos[%r], %kpos[%c] with (%cap : f32) : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32>
  %d = tile.apply @softcap_slope(%s : tensor<8x16xf32>) at %qpos[%r], %kpos[%c] with (%cap : f32) : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32>
  return %t, %d : tensor<8x16xf32>, tensor<8x16xf32>
}

// Negative twin: a mask is false outside the views, even one that is always true.
// CHECK-LABEL: func.func @bounds_remain
// CHECK:         tile.apply @everything
func.func @bounds_remain(%qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32, %c: i32) -> tensor<8x16xi1> {
  %t = tile.apply @everything at %qpos[%r], %kpos[%c] : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xi1>
  return %t : tensor<8x16xi1>
}

// -----

// Negative twin: this score reads a position.
func.func private @distance(%s: f32, %b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32) -> f32 {
  %d = arith.subi %i, %j : i32
  %f = arith.sitofp %d : i32 to f32
  %r = arith.subf %s, %f : f32
  return %r : f32
}
// CHECK-LABEL: func.func @positions_remain
// CHECK:         tile.apply @distance
func.func @positions_remain(%s: tensor<8x16xf32>, %qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %r: i32, %c: i32) -> tensor<8x16xf32> {
  %t = tile.apply @distance(%s : tensor<8x16xf32>) at %qpos[%r], %kpos[%c] : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32>
  return %t : tensor<8x16xf32>
}

// -----

// Tiles of one value are constants or splats in every shape.
// CHECK-LABEL: func.func @uniform_tiles
// CHECK-DAG:     %[[TWO:[a-z0-9_]+]] = arith.constant dense<2.000000e+00> : tensor<8x16xf32>
// CHECK-DAG:     %[[X:[a-z0-9_]+]] = tile.splat %{{.*}} : f32 -> tensor<16x8xf32>
// CHECK-NEXT:    return %[[TWO]], %[[X]]
func.func @uniform_tiles(%x: f32) -> (tensor<8x16xf32>, tensor<16x8xf32>) {
  %two = arith.constant 2.0 : f32
  %column = tile.splat %two : f32 -> tensor<8x1xf32>
  %wide = tile.broadcast %column : tensor<8x1xf32> -> tensor<8x16xf32>
  %row = tile.splat %x : f32 -> tensor<8x1xf32>
  %tile = tile.broadcast %row : tensor<8x1xf32> -> tensor<8x16xf32>
  %turned = tile.transpose %tile : tensor<8x16xf32> -> tensor<16x8xf32>
  return %wide, %turned : tensor<8x16xf32>, tensor<16x8xf32>
}
