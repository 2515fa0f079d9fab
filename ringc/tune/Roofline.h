#pragma once

#include <string>

namespace ringc {

/// What a run has to do at least: where it lies along a roofline (Williams, Waterman, Patterson,
/// CACM 52(4), 2009).
struct RooflineWork {
  double flops = 0; ///< of its products; 0: not known
  double bytes = 0; ///< of what it reads and writes, each once; 0: not known
};

/// The two lines of a roofline, as this machine reaches them.
struct MachinePeak {
  double flopsPerSecond = 0; ///< of products; 0: not measured
  double bytesPerSecond = 0; ///< to and from memory; 0: not measured
  std::string products;      ///< what was measured: "f32 FMA (AVX2), 2 threads"
  std::string memory;        ///< the same of the memory
  std::string problem;       ///< why something was not measured
};

} // namespace ringc
