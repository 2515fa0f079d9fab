#pragma once

#include <csignal>

namespace ringc::testing {

/// Lets a processor without AMX run its instructions: each is an illegal one there, and the signal
/// does what Intel's manual says that it does (but for denormal numbers, which AMX takes for 0).
/// While an object lives; of one thread. Where there is AMX nothing is illegal.
class TileFaults {
public:
  TileFaults();
  ~TileFaults();
  TileFaults(const TileFaults &) = delete;
  TileFaults &operator=(const TileFaults &) = delete;

private:
  struct sigaction before;
};

} // namespace ringc::testing
