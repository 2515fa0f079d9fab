#include "tools/ringc/TuneRunner.h"

#include "ringc/attention/shared/Options.h"
#include "ringc/comm/Transport.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/support/Error.h"
#include "ringc/tune/DevicePeak.h"
#include "ringc/tune/HostPeak.h"
#include "ringc/tune/TuneSetupJson.h"
#include "tools/ringc/Interpreter.h"
#include "tools/ringc/ReferenceProblem.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <variant>

namespace ringc::cli {

AttentionOptions tuneOptions(const Session &session, const AttentionFlags &flags,
                             const Shape &shape) {
  AttentionOptions options = optionsOf(flags);
  options.dtype = flags.dtype.empty() ? DType::F32 : parseFloatType(flags.dtype);
  options.heads = shape.heads;
  options.kvHeads = shape.kvHeads;
  options.headDim = shape.headDim;
  options.valueHeadDim = shape.valueHeadDim;
  setAlibiSlopes(session, flags, options);
  validate(options);
  return options;
}

namespace {

/// Enough for several tiles of any size and for their ragged ends, and soon in double precision.
/// What files give has the lengths that it has.
Shape smaller(const Shape &shape, int ranks, const AttentionInputs &given) {
  bool hasTensors = given.bias || given.keyMask || given.cuSeqlens;
  for (const auto &[name, value] : given.arguments)
    hasTensors |= std::holds_alternative<Tensor>(value);
  if (hasTensors)
    return shape;
  Shape small = shape;
  int64_t longest = std::max<int64_t>(389, 97 * int64_t(ranks));
  small.batch = std::min<int64_t>(shape.batch, 1);
  small.queries = std::min(shape.queries, longest);
  small.keys = std::min(shape.keys, longest + 24);
  int64_t group = shape.heads / shape.kvHeads;
  small.kvHeads = 1;
  small.heads = group;
  return small;
}

} // namespace

WorldTuneRunner::WorldTuneRunner(World &ofRanks, const Session &session,
                                 const AttentionFlags &flags, const Shape &asked)
    : world(ofRanks), options(tuneOptions(session, flags, asked)), shape(asked),
      side(readSideInputs(session, flags)), small(smaller(asked, ofRanks.size(), side.inputs)),
      context(hostContext(flags.threads)), data(random(asked, 1)), inputs(side.inputs) {
  inputs.q = data.q;
  inputs.k = data.k;
  inputs.v = data.v;
}

WorldTuneRunner::Data WorldTuneRunner::random(const Shape &of, uint64_t seed) const {
  std::mt19937_64 numbers(seed);
  DType dtype = options.dtype;
  return {repeatedTensor(dtype, {of.batch, of.queries, of.heads, of.headDim}, numbers),
          repeatedTensor(dtype, {of.batch, of.keys, of.kvHeads, of.headDim}, numbers),
          repeatedTensor(dtype, {of.batch, of.keys, of.kvHeads, of.valueHeadDim}, numbers),
          repeatedTensor(dtype, {of.batch, of.queries, of.heads, of.valueHeadDim}, numbers)};
}

AttentionOptions WorldTuneRunner::with(const TuneSetup &setup) const {
  AttentionOptions made = options;
  made.tile = setup.tile;
  made.tune = "";
  made.layout = setup.layout.value_or(made.layout);
  if (setup.schedule)
    made.schedule = setup.schedule;
  return made;
}

/// A ring has memory of its own: few are kept.
WorldTuneRunner::Ring &WorldTuneRunner::ringOf(const TuneSetup &setup) {
  constexpr size_t most = 3;
  auto known = std::ranges::find(rings, setup, &Ring::setup);
  if (known == rings.end()) {
    if (rings.size() == most)
      rings.pop_back();
    rings.push_front({setup, world.ring(with(setup), context, inputs, data.dout)});
  } else
    rings.splice(rings.begin(), rings, known);
  return rings.front();
}

WorldTuneRunner::Asked WorldTuneRunner::kernelsOf(const TuneSetup &setup, Pass pass) const {
  AttentionOptions all = with(setup);
  all = world.devices().empty() ? completed(all, hostProcessors()) : completed(all);
  int ringSize = all.ringSize ? all.ringSize : world.size();
  std::vector<std::string_view> kernels = {"attention_forward"};
  if (pass == Pass::Backward) {
    BackwardNames names = backwardNames(*all.backward);
    kernels = {names.keys, names.queries};
  }
  Asked asked{{}, compilerSources(userSources(all)), workOf(all, ringSize, shape.keys)};
  for (std::string_view kernel : kernels)
    asked.specs.push_back(specOf(all, ringSize, inputs, kernel));
  return asked;
}

/// The kernels alone: several threads may call it, other processes do not, and a device has no room
/// for many rings.
void WorldTuneRunner::compile(const TuneSetup &setup, Pass pass) {
  Asked asked = kernelsOf(setup, pass);
  for (const Spec &spec : asked.specs) {
    for (const DeviceContext &device : world.devices())
      (void)device.kernels->get(spec, asked.sources, asked.work);
    if (world.devices().empty())
      (void)context.kernels->get(spec, asked.sources, asked.work);
  }
}

int64_t WorldTuneRunner::spilledBytes(const TuneSetup &setup, Pass pass) {
  if (world.devices().empty())
    return 0;
  int64_t bytes = 0;
  Asked asked = kernelsOf(setup, pass);
  for (const Spec &spec : asked.specs)
    bytes += world.devices()[0].kernels->get(spec, asked.sources, asked.work).function.localBytes();
  return bytes;
}

double WorldTuneRunner::milliseconds(const TuneSetup &setup, Pass pass) {
  Ring &ring = ringOf(setup);
  if (pass == Pass::Backward && ring.warm.insert(Pass::Forward).second)
    ring.ring->forward();
  if (ring.warm.insert(pass).second)
    (void)ring.ring->timed(pass);
  (void)world.largest(0); // all begin together
  return world.largest(ring.ring->timed(pass).milliseconds);
}

const WorldTuneRunner::Check &WorldTuneRunner::checkOf(uint64_t seed) {
  if (check && check->seed == seed)
    return *check;
  Check &made = check.emplace(Check{.seed = seed, .data = random(small, seed)});
  made.options = options;
  made.options.heads = small.heads;
  made.options.kvHeads = small.kvHeads;
  if (!made.options.alibiSlopes.empty())
    made.options.alibiSlopes.resize(size_t(small.heads));
  made.inputs = side.inputs;
  made.inputs.q = made.data.q;
  made.inputs.k = made.data.k;
  made.inputs.v = made.data.v;
  if (!world.isFirst()) // which alone has all results
    return made;
  reference::Problem problem = problemOf(made.options, made.inputs, made.data.dout);
  Interpreter interpreter(made.options, made.inputs);
  interpreter.addTo(problem);
  made.measure.emplace(problem, reference::attention(problem));
  Bars bars{options.dtype, options.f32Products, std::nullopt};
  if (options.dtype != DType::F32)
    bars.plain.emplace(reference::plainAttention(problem, options.dtype));
  double rows = independentRows(made.options, small.batch, small.queries, small.keys);
  for (size_t tensor = 0; tensor < Results::names.size(); ++tensor)
    made.bars.push_back(bars.plain ? bars.against(made.measure->whole(*bars.plain, tensor), rows)
                                   : bars.ofF32());
  return made;
}

double WorldTuneRunner::error(const TuneSetup &setup, Pass pass, uint64_t seed) {
  const Check &right = checkOf(seed);
  AttentionOptions own = with(setup);
  own.heads = right.options.heads;
  own.kvHeads = right.options.kvHeads;
  own.alibiSlopes = right.options.alibiSlopes;
  Results found = runBoth(*world.ring(own, context, right.inputs, right.data.dout));
  if (!right.measure)
    return 0;
  constexpr size_t ofForward = 2; // out and lse
  double worst = 0;
  for (size_t tensor = 0; tensor < Results::names.size(); ++tensor) {
    if ((pass == Pass::Forward) != (tensor < ofForward))
      continue;
    double over = right.measure->whole(found, tensor) / right.bars[tensor];
    worst = over <= worst ? worst : over; // NaN is the worst
  }
  return worst;
}

/// Of the threads, or of the devices that this process has.
MachinePeak WorldTuneRunner::peak() {
  if (world.devices().empty())
    return hostPeak(*context.pool, compilerHost(), options.dtype);
  std::vector<std::shared_ptr<const CudaDevice>> devices;
  for (const DeviceContext &each : world.devices())
    devices.push_back(each.device);
  return devicePeak(devices, options.dtype, options.f32Products);
}

namespace {

constexpr const char *released = "over";

std::string askFor(World &world, const char *what, const TuneSetup &setup, Pass pass,
                   uint64_t seed) {
  return world.ofFirst(nlohmann::json{
      {"what", what},
      {"setup", toJson(setup)},
      {"backward", pass == Pass::Backward},
      {"seed", seed}}.dump());
}

} // namespace

LeadingTuneRunner::~LeadingTuneRunner() {
  try {
    (void)world.ofFirst(released);
  } catch (const std::exception &error) {
    world.abort(error.what()); // else they see their deadline
  }
}

double LeadingTuneRunner::error(const TuneSetup &setup, Pass pass, uint64_t seed) {
  (void)askFor(world, "error", setup, pass, seed);
  return own.error(setup, pass, seed);
}

double LeadingTuneRunner::milliseconds(const TuneSetup &setup, Pass pass) {
  (void)askFor(world, "milliseconds", setup, pass, 0);
  return own.milliseconds(setup, pass);
}

MachinePeak LeadingTuneRunner::peak() {
  MachinePeak peak = own.peak();
  int processes = world.size() / int(world.ranks().size());
  std::string times = ", times " + std::to_string(processes) + " processes";
  peak.flopsPerSecond *= processes;
  peak.products += times;
  if (world.devices().empty())
    return peak; // whose memory is that of all
  peak.bytesPerSecond *= processes;
  peak.memory += times;
  return peak;
}

void followTuneRunner(World &world, TuneRunner &own) {
  for (;;) {
    std::string text = world.ofFirst({});
    if (text == released)
      return;
    nlohmann::json asked = nlohmann::json::parse(text);
    TuneSetup setup = tuneSetupFromJson(asked["setup"]);
    Pass pass = asked["backward"].get<bool>() ? Pass::Backward : Pass::Forward;
    try {
      if (asked["what"] == "error")
        (void)own.error(setup, pass, asked["seed"]);
      else
        (void)own.milliseconds(setup, pass);
    } catch (const InputError &) {
      continue; // as in the first, which says why
    }
  }
}

} // namespace ringc::cli
