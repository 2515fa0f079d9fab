#pragma once

#include "tools/ringc/MatmulPeers.h"

namespace ringc::cli {

/// oneDNN 2 or 3, opened while the program runs: its matmul primitive through its C API. Throws
/// OneDnnError where there is none.
MatmulPeer oneDnnPeer(int threads);

} // namespace ringc::cli
