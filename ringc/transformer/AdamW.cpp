#include "ringc/transformer/AdamW.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/files/File.h"
#include "ringc/files/Safetensors.h"
#include "ringc/support/Error.h"
#include "ringc/transformer/ParameterMemory.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <string_view>
#include <vector>

namespace ringc {

namespace {

constexpr std::string_view meanPrefix = "adamw.mean.", squarePrefix = "adamw.square.",
                           stepsName = "adamw.steps";

void require(bool holds, std::string_view option, double value, std::string_view allowed) {
  if (holds)
    return;
  std::ostringstream text;
  text << value;
  throw InputError(option, text.str(), std::string(allowed));
}

void validate(const AdamWOptions &options) {
  auto isNotNegative = [](double value) { return std::isfinite(value) && value >= 0; };
  require(isNotNegative(options.rate), "lr", options.rate, "a finite number, 0 or more");
  require(options.beta1 >= 0 && options.beta1 < 1, "beta1", options.beta1, "0 to below 1");
  require(options.beta2 >= 0 && options.beta2 < 1, "beta2", options.beta2, "0 to below 1");
  require(std::isfinite(options.eps) && options.eps > 0, "eps", options.eps,
          "a finite number above 0");
  require(isNotNegative(options.decay), "weight_decay", options.decay,
          "a finite number, 0 or more");
}

/// All of a piece of memory, as kernels of matrices take it.
Tensor rowsOf(const Tensor &memory) {
  constexpr int64_t columns = ParameterPlaces::alignment;
  return Tensor(memory.data(), memory.dtype(), {memory.elementCount() / columns, columns});
}

RingTransformerWeights read(const std::string &path, std::string_view prefix,
                            const std::vector<RingTransformerWeight> &list) {
  RingTransformerWeights made;
  for (const RingTransformerWeight &weight : list) {
    std::string name = std::string(prefix) + weight.name;
    HostTensor tensor = readSafetensors(path, name, {.as = {DType::F32}});
    if (tensor.dtype() != DType::F32 || !std::ranges::equal(tensor.shape(), weight.shape))
      throw InputError(path + ":" + name, describe(tensor),
                       describe(Tensor(nullptr, DType::F32, weight.shape)));
    made.tensors[weight.name] = std::move(tensor);
  }
  return made;
}

int64_t readSteps(const std::string &path) {
  HostTensor steps = readSafetensors(path, std::string(stepsName), {.as = {DType::I32}});
  bool fits =
      steps.dtype() == DType::I32 && steps.elementCount() == 1 && *steps.dataAs<int32_t>() >= 0;
  if (!fits)
    throw InputError(path + ":" + std::string(stepsName), describe(steps),
                     "i32[1], a number of steps");
  return *steps.dataAs<int32_t>();
}

} // namespace

AdamW::AdamW(RingTransformer &of, const AdamWOptions &given)
    : model(of), options((validate(given), given)), mean(of.parameters().allocate(DType::F32)),
      square(of.parameters().allocate(DType::F32)) {}

void AdamW::setRate(double rate) {
  AdamWOptions next = options;
  next.rate = rate;
  validate(next);
  options = next;
}

void AdamW::step(const RingTransformerGradients &gradients) {
  const ParameterMemory &parameters = model.parameters();
  const Tensor &master = parameters.master(), &rounded = parameters.rounded();
  ++done;
  auto power = [&](double base) { return 1 - std::pow(base, double(done)); };
  Spec spec;
  spec.dtype = elementTypeOf(rounded.dtype());
  KernelViews views{{"weight", rowsOf(rounded)},
                    {"gradient", rowsOf(gradients.all())},
                    {"mean", rowsOf(mean)},
                    {"square", rowsOf(square)}};
  spec.kernel = "adamw";
  if (master.data() != rounded.data()) {
    spec.kernel = "adamw_master";
    views.emplace("master", rowsOf(master));
  }
  model.backend().kernels().launch(spec, views,
                                   {{"rate", options.rate},
                                    {"decay", options.decay},
                                    {"beta1", options.beta1},
                                    {"beta2", options.beta2},
                                    {"eps", options.eps},
                                    {"correction1", power(options.beta1)},
                                    {"correction2", power(options.beta2)}});
  model.changed();
}

void AdamW::save(const std::string &path) const {
  const ParameterMemory &parameters = model.parameters();
  RingTransformerWeights weights = model.weights(), means = parameters.download(mean),
                         squares = parameters.download(square);
  HostTensor steps(DType::I32, {1}), turns = inverseFrequencies(model.options());
  *steps.dataAs<int32_t>() = int32_t(std::min<int64_t>(done, std::numeric_limits<int32_t>::max()));
  std::vector<NamedTensor> list = {{std::string(stepsName), steps}, {"rotary_emb.inv_freq", turns}};
  for (auto [prefix, of] :
       {std::pair(std::string_view(), &weights), {meanPrefix, &means}, {squarePrefix, &squares}})
    for (const auto &[name, tensor] : of->tensors)
      list.push_back({std::string(prefix) + name, tensor});
  OutputFile file(path);
  writeSafetensors(file, list);
  file.close();
  file.publish();
}

void AdamW::load(const std::string &path) {
  const ParameterMemory &parameters = model.parameters();
  std::vector<RingTransformerWeight> list = weightsOf(model.options());
  RingTransformerWeights weights = RingTransformerWeights::load(path, model.options());
  RingTransformerWeights means = read(path, meanPrefix, list),
                         squares = read(path, squarePrefix, list);
  int64_t steps = readSteps(path);
  model.setWeights(weights);
  parameters.upload(means, mean);
  parameters.upload(squares, square);
  done = steps;
}

} // namespace ringc
