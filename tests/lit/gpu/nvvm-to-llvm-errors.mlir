// RUN: ringc-opt --nvvm-to-llvm --split-input-file --verify-diagnostics %s

// Tiles are lowered first.
func.func @extent() -> i32 {
  // expected-error@below {{failed to legalize operation 'tile.extent'}}
  %n = tile.extent "N"
  return %n : i32
}
