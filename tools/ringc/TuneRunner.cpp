#include "tools/ringc/TuneRunner.h"

#include "runtime/attention/Options.h"
#include "runtime/jit/HostCompiler.h"
#include "runtime/tune/DevicePeak.h"
#include "runtime/tune/HostPeak.h"
#include "tools/ringc/Interpreter.h"
#include "tools/ringc/ReferenceProblem.h"

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
  return {randomTensor(dtype, {of.batch, of.queries, of.heads, of.headDim}, numbers),
          randomTensor(dtype, {of.batch, of.keys, of.kvHeads, of.headDim}, numbers),
          randomTensor(dtype, {of.batch, of.keys, of.kvHeads, of.valueHeadDim}, numbers),
          randomTensor(dtype, {of.batch, of.queries, of.heads, of.valueHeadDim}, numbers)};
}

AttentionOptions WorldTuneRunner::with(const TileSizes &tile) const {
  AttentionOptions made = options;
  made.tile = tile;
  return made;
}

/// A ring has memory of its own: few are kept.
WorldTuneRunner::Ring &WorldTuneRunner::ringOf(const TileSizes &tile) {
  constexpr size_t most = 3;
  auto known = rings.find(tile);
  if (known == rings.end()) {
    if (rings.size() == most)
      rings.erase(std::ranges::min_element(rings, {}, [](auto &each) { return each.second.used; }));
    Ring made;
    made.ring = world.ring(with(tile), context, inputs, data.dout);
    known = rings.emplace(tile, std::move(made)).first;
  }
  known->second.used = ++uses;
  return known->second;
}

/// A ring of its own, which any thread may have: the kernels stay in the context.
void WorldTuneRunner::compile(const TileSizes &tile, Pass pass) {
  std::unique_ptr<WorldRing> ring = world.ring(with(tile), context, inputs, data.dout);
  ring->prepare(pass);
}

double WorldTuneRunner::milliseconds(const TileSizes &tile, Pass pass) {
  Ring &ring = ringOf(tile);
  if (pass == Pass::Backward && ring.warm.insert(Pass::Forward).second)
    ring.ring->forward();
  if (ring.warm.insert(pass).second)
    (void)ring.ring->timed(pass);
  return ring.ring->timed(pass).milliseconds;
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

double WorldTuneRunner::error(const TileSizes &tile, Pass pass, uint64_t seed) {
  const Check &right = checkOf(seed);
  AttentionOptions own = right.options;
  own.tile = tile;
  Results found = runBoth(*world.ring(own, context, right.inputs, right.data.dout));
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
    return hostPeak(*context.pool, options.dtype);
  std::vector<std::shared_ptr<const CudaDevice>> devices;
  for (const DeviceContext &each : world.devices())
    devices.push_back(each.device);
  return devicePeak(devices, options.dtype, options.f32Products);
}

} // namespace ringc::cli
