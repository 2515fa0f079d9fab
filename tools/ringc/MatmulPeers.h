#pragma once

#include "ringc/module/Products.h"

#include <memory>
#include <string>
#include <vector>

namespace ringc::cli {

/// A library that multiplies matrices on the host, to be measured beside ours.
struct MatmulPeer {
  std::string name;    ///< "oneDNN"
  std::string version; ///< "2.6.3, /usr/lib/..."
  std::unique_ptr<Products> products;
};

/// Those of oneDNN and OpenBLAS that the dynamic loader finds, on `threads` threads of their own,
/// which sleep while they have nothing to do; `missing` hears why one is not there. Products of
/// types that a library does not have throw InputError.
std::vector<MatmulPeer> matmulPeers(int threads, std::vector<std::string> &missing);

} // namespace ringc::cli
