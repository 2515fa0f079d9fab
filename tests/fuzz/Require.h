#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace ringc::fuzz {

/// What does not hold is a crash, which libFuzzer keeps the input of. NDEBUG does not remove it.
inline void require(bool holds, const std::string &what) {
  if (holds)
    return;
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}

} // namespace ringc::fuzz
