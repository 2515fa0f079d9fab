#include "ringc/kernel/Kernel.h"

#include "ringc/TileFile.h"

#include <utility>

namespace ringc {

KernelLaunch::KernelLaunch(HostCode code, KernelBinding bound)
    : arguments(std::move(bound)), state(std::make_unique<KeptMemory>()),
      launch(std::move(code), arguments.heads(), nullptr, state.get()) {
  arguments.fill(launch);
  if (auto carry = arguments.carry())
    launch.setCarry(carry->step.begins, carry->step.ends);
}

void KernelLaunch::set(std::string_view name, const KernelValue &value) {
  arguments.set(launch, name, value);
  if (auto *step = std::get_if<CarryStep>(&value))
    launch.setCarry(step->begins, step->ends);
}

void KernelLaunch::run(HostPool &pool) { launch.run(pool, HostLaunch::Order::Rising); }

Kernel::Kernel(const AttentionContext &context, const Spec &asked, std::vector<SourceText> texts,
               std::optional<std::string> tableOfTiles)
    : Kernel(context, context.kernels->sources(sourceTexts(asked, std::move(texts))), asked,
             std::move(tableOfTiles)) {}

Kernel::Kernel(const AttentionContext &context, SourceSet all, const Spec &asked,
               std::optional<std::string> tableOfTiles)
    : source(context.kernels), spec(asked), sources(std::move(all)), table(std::move(tableOfTiles)),
      compiled(source->get(spec, sources, {.table = ""}).kernel) {}

KernelLaunch Kernel::bind(const KernelViews &views, const KernelValues &values) const {
  KernelBinding arguments(compiled, spec, KernelBinding::Where::Host, views, values);
  HostCode code = source->get(arguments.specOfLaunch(), sources, arguments.work(table));
  return {std::move(code), std::move(arguments)};
}

void launch(const Kernel &kernel, const KernelViews &views, const KernelValues &values,
            HostPool &pool) {
  KernelLaunch once = kernel.bind(views, values);
  requireWholeState(values);
  once.run(pool);
}

} // namespace ringc
