// RUN: ringc-opt --specialise --split-input-file --verify-diagnostics %s

func.func private @even(%x: f32) -> f32 {
  %r = func.call @odd(%x) : (f32) -> f32
  return %r : f32
}
func.func private @odd(%x: f32) -> f32 {
  // expected-error@below {{@even calls itself}}
  %r = func.call @even(%x) : (f32) -> f32
  return %r : f32
}

// -----

// Sixteen levels, each of which calls the one below twice.
func.func private @f0(%x: f32) -> f32 {
  %r = arith.mulf %x, %x : f32
  return %r : f32
}
func.func private @f1(%x: f32) -> f32 {
  %a = func.call @f0(%x) : (f32) -> f32
  %b = func.call @f0(%a) : (f32) -> f32
  return %b : f32
}
func.func private @f2(%x: f32) -> f32 {
  %a = func.call @f1(%x) : (f32) -> f32
  %b = func.call @f1(%a) : (f32) -> f32
  return %b : f32
}
func.func private @f3(%x: f32) -> f32 {
  %a = func.call @f2(%x) : (f32) -> f32
  %b = func.call @f2(%a) : (f32) -> f32
  return %b : f32
}
func.func private @f4(%x: f32) -> f32 {
  %a = func.call @f3(%x) : (f32) -> f32
  %b = func.call @f3(%a) : (f32) -> f32
  return %b : f32
}
func.func private @f5(%x: f32) -> f32 {
  %a = func.call @f4(%x) : (f32) -> f32
  %b = func.call @f4(%a) : (f32) -> f32
  return %b : f32
}
func.func private @f6(%x: f32) -> f32 {
  %a = func.call @f5(%x) : (f32) -> f32
  %b = func.call @f5(%a) : (f32) -> f32
  %c = func.call @f5(%b) : (f32) -> f32
  %d = func.call @f5(%c) : (f32) -> f32
  return %d : f32
}
func.func private @f7(%x: f32) -> f32 {
  %a = func.call @f6(%x) : (f32) -> f32
  %b = func.call @f6(%a) : (f32) -> f32
  %c = func.call @f6(%b) : (f32) -> f32
  %d = func.call @f6(%c) : (f32) -> f32
  return %d : f32
}
func.func private @f8(%x: f32) -> f32 {
  %a = func.call @f7(%x) : (f32) -> f32
  %b = func.call @f7(%a) : (f32) -> f32
  %c = func.call @f7(%b) : (f32) -> f32
  %d = func.call @f7(%c) : (f32) -> f32
  return %d : f32
}
func.func private @f9(%x: f32) -> f32 {
  %a = func.call @f8(%x) : (f32) -> f32
  %b = func.call @f8(%a) : (f32) -> f32
  %c = func.call @f8(%b) : (f32) -> f32
  %d = func.call @f8(%c) : (f32) -> f32
  return %d : f32
}
// expected-error@below {{has more than 20000 operations, those of the functions it calls included}}
func.func private @f10(%x: f32) -> f32 {
  %a = func.call @f9(%x) : (f32) -> f32
  %b = func.call @f9(%a) : (f32) -> f32
  %c = func.call @f9(%b) : (f32) -> f32
  %d = func.call @f9(%c) : (f32) -> f32
  return %d : f32
}
