#include "tools/ringc/PeakBench.h"

#include "ringc/jit/HostCompiler.h"
#include "ringc/tune/HostPeak.h"
#include "tools/ringc/BenchLines.h"

namespace ringc::cli {

int benchPeak(const Session &session, const AttentionFlags &flags, bool json) {
  AttentionContext host = hostContext(flags.threads, session.details());
  std::vector<std::string> dtypes = {"f32", "bf16", "f16"};
  if (!flags.dtype.empty())
    dtypes = {flags.dtype};
  BenchLines lines(json);
  for (const std::string &dtype : dtypes)
    for (const ProductPeak &peak : productPeaks(*host.pool, compilerHost(), parseFloatType(dtype)))
      lines.add({{"dtype", dtype},
                 {"products", peak.products},
                 {"threads", int64_t(host.pool->threads())},
                 {"gflops", 1e-9 * peak.flopsPerSecond}});
  lines.finish();
  return Ok;
}

} // namespace ringc::cli
