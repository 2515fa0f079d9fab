#include "tools/ringc/CompileTimes.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/compiler/Compiler.h"
#include "ringc/jit/DeviceCompiler.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <chrono>
#include <string_view>

namespace ringc::cli {

namespace {

using Clock = std::chrono::steady_clock;

template <typename Unit, typename Body> double timeOf(Body &&body) {
  Clock::time_point start = Clock::now();
  body();
  return std::chrono::duration<double, Unit>(Clock::now() - start).count();
}

std::vector<std::string_view> kernelsOf(Pass pass, const AttentionOptions &options) {
  switch (pass) {
  case Pass::Forward:
    return {"attention_forward"};
  case Pass::Backward:
    break;
  }
  BackwardNames names = backwardNames(*options.backward);
  return {"attention_delta", names.keys, names.queries};
}

/// The driver keeps what it has compiled, by its text.
CompiledKernel neverSeen(CompiledKernel kernel) {
  kernel.code += "\n// " + std::to_string(Clock::now().time_since_epoch().count()) + "\n";
  return kernel;
}

} // namespace

CompileTimes compileTimes(Pass pass, const AttentionOptions &options,
                          const AttentionContext &context,
                          const std::vector<DeviceContext> &devices) {
  bool onDevice = !devices.empty();
  Target target = onDevice ? targetFor(devices[0].device->facts()) : compilerHost();
  SourceSet sources = onDevice ? devices[0].kernels->sources(userSources(options))
                               : context.kernels->sources(userSources(options));
  CompileTimes slowest;
  for (std::string_view kernel : kernelsOf(pass, options)) {
    Spec spec = specOf(options, 1, {}, kernel);
    if (onDevice)
      spec.target = target.name;
    CompileOutput made;
    double cold = timeOf<std::milli>([&] { made = compile(makeRequest(spec, sources, target)); });
    if (!made.kernel)
      throw InputError(made.diagnostics);
    auto unseen =
        std::make_shared<const CompiledKernel>(onDevice ? neverSeen(*made.kernel) : *made.kernel);
    double load = timeOf<std::milli>([&] {
      if (onDevice)
        (void)DeviceCode::load(devices[0].device, unseen);
      else
        HostModule module(*unseen);
    });
    auto ask = [&] {
      if (onDevice)
        (void)devices[0].kernels->get(spec, sources);
      else
        (void)context.kernels->get(spec, sources);
    };
    ask();
    constexpr int times = 1000;
    double lookup = timeOf<std::micro>([&] {
      for (int time = 0; time < times; ++time)
        ask();
    });
    slowest.coldMs = std::max(slowest.coldMs, cold);
    slowest.loadMs = std::max(slowest.loadMs, load);
    slowest.warmLookupUs = std::max(slowest.warmLookupUs, lookup / times);
  }
  return slowest;
}

} // namespace ringc::cli
