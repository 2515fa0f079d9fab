#pragma once

#include "ringc/compiler/dialect/Tile.h"

namespace ringc {

/// Which programs of a launch may write where another one does, by one store.
///
/// Along an axis of the grid programs write places of their own where the window, or an index of
/// its view, moves with the program by at least what it covers. Heads and batch entries do where
/// the view has axes of both. Rows that a tile names may be any.
struct StorePlaces {
  bool sharedAlongP0 = false;
  bool sharedOtherwise = false; ///< along p1, or among heads or batch entries
  bool areOwn() const { return !sharedAlongP0 && !sharedOtherwise; }
};

StorePlaces storePlacesOf(tile::StoreOp store);

} // namespace ringc
