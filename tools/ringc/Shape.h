#pragma once

#include <cstdint>
#include <string>

namespace ringc::cli {

/// "b,n[/nk],h,hkv,d[/dv]"
struct Shape {
  int64_t batch = 1, queries = 1, keys = 1, heads = 1, kvHeads = 1, headDim = 1, valueHeadDim = 1;
};

/// Throws InputError. n and b may be 0.
Shape parseShape(const std::string &text);

} // namespace ringc::cli
