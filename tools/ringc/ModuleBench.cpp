#include "tools/ringc/ModuleBench.h"

#include "ringc/comm/InProcess.h"
#include "ringc/driver/CudaStream.h"
#include "ringc/jit/DeviceCompiler.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/module/DeviceModuleBackend.h"
#include "ringc/module/HostModuleBackend.h"
#include "ringc/module/QkvHeads.h"
#include "ringc/module/RingAttention.h"
#include "ringc/support/Error.h"
#include "tools/ringc/BenchLines.h"
#include "tools/ringc/RandomProblem.h"

#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <random>

namespace ringc::cli {

namespace {

struct ModuleShape {
  int64_t batch, length;
  RingAttentionOptions options;
};

ModuleShape parseModuleShape(const std::string &text, const AttentionFlags &flags, DType dtype) {
  std::string allowed = "b,n,dim,heads,dim_head, each 1 or more";
  std::vector<int64_t> numbers = parseIntegers("module", text, allowed);
  bool fits = numbers.size() == 5;
  for (int64_t number : numbers)
    fits &= number >= 1;
  if (!fits)
    throw InputError("module", text, allowed);
  AttentionOptions asked = optionsOf(flags);
  ModuleShape shape{numbers[0], numbers[1], {}};
  RingAttentionOptions &options = shape.options;
  options.dim = numbers[2];
  options.heads = numbers[3];
  options.dimHead = numbers[4];
  options.causal = asked.causal;
  options.softcap = asked.softcap;
  options.f32Products = asked.f32Products;
  options.rotaryEmbed = true;
  options.dtype = dtype;
  validate(options);
  return shape;
}

/// A module of one rank, and what it is made of.
class Parts {
public:
  Parts(const ModuleShape &of, std::shared_ptr<ModuleBackend> on)
      : shape(of), options(of.options), backend(std::move(on)),
        module(options, backend, RingAttentionWeights::initial(options, 1)),
        products(backend->products(options.f32Products)),
        attention(backend->attention(attentionOf(options, 1), ModuleBackend::Scope::Alone)) {
    int64_t b = shape.batch, n = shape.length, rows = b * n;
    int64_t inner = options.heads * options.dimHead;
    tokens = filled({b, n, options.dim});
    dout = filled({b, n, options.dim});
    qkv = filled({rows, options.qkvRows()});
    dqkv = backend->allocate(options.dtype, std::array{rows, options.qkvRows()});
    mixed = filled({b, n, options.heads, options.dimHead});
    dmixed = filled({b, n, options.heads, options.dimHead});
    toQkv = filled({options.qkvRows(), options.dim});
    toOut = filled({options.dim, inner});
    dtoQkv = backend->allocate(DType::F32, toQkv.view().shape());
    dtoOut = backend->allocate(DType::F32, toOut.view().shape());
    for (SharedTensor *each : {&lse, &rowMax, &rowSum})
      *each = backend->allocate(DType::F32, std::array{b, options.heads, n});
  }

  void runModule() {
    RingAttentionForward forward = module.forward({.tokens = tokens});
    module.backward(forward, dout);
  }

  void runAttention() {
    QkvHeads heads{shape.batch, shape.length, options.heads, options.kvHeads(), options.dimHead};
    AttentionShape whole{shape.batch, shape.length, shape.length};
    AttentionInputs inputs{.q = heads.queries(qkv), .k = heads.keys(qkv), .v = heads.values(qkv)};
    ForwardResults results{mixed, lse, rowMax.view(), rowSum.view()};
    attention->forward(whole, inputs, results);
    attention->backward(whole, inputs, results, dmixed,
                        {heads.queries(dqkv), heads.keys(dqkv), heads.values(dqkv)});
  }

  /// The two of the forward, the four of the backward.
  void runProducts() {
    Tensor in = rowsOf(tokens, options.dim), out = rowsOf(dout, options.dim),
           heads = rowsOf(mixed, options.heads * options.dimHead),
           dheads = rowsOf(dmixed, options.heads * options.dimHead);
    products->multiply({in}, transposed(toQkv), dqkv);
    products->multiply({heads}, transposed(toOut), out);
    products->multiply({out}, {toOut}, dheads);
    products->multiply(transposed(out), {heads}, dtoOut);
    products->multiply(transposed(qkv), {in}, dtoQkv);
    products->multiply({qkv}, {toQkv}, in);
  }

  /// After products and attentions, whose results they are.
  void renew() {
    for (const SharedTensor *each : {&tokens, &dout, &dmixed})
      fill(*each);
  }

private:
  Tensor rowsOf(const Tensor &tensor, int64_t columns) const {
    return Tensor(tensor.data(), tensor.dtype(), {shape.batch * shape.length, columns});
  }
  void fill(const Tensor &tensor) {
    std::mt19937_64 random(1);
    backend->upload(repeatedTensor(DType::F32, {tensor.elementCount()}, random),
                    Tensor(tensor.data(), tensor.dtype(), {tensor.elementCount()}));
  }
  SharedTensor filled(std::initializer_list<int64_t> extents) {
    SharedTensor made =
        backend->allocate(options.dtype, std::span(extents.begin(), extents.size()));
    fill(made);
    return made;
  }

  ModuleShape shape;
  RingAttentionOptions options;
  std::shared_ptr<ModuleBackend> backend;
  RingAttention module;
  std::unique_ptr<Products> products;
  std::unique_ptr<ModuleAttention> attention;
  SharedTensor tokens, dout, qkv, dqkv, mixed, dmixed, toQkv, toOut, dtoQkv, dtoOut, lse, rowMax,
      rowSum;
};

/// Where the module works.
struct Place {
  explicit Place(const Session &session, const AttentionFlags &flags)
      : host(hostContext(flags.threads, session.details())) {
    if (flags.device == "cuda") {
      device = deviceContext(0, session.details());
      stream.emplace(device->device);
    }
    auto tell = [&session](const std::string &line) { session.say(line); };
    backend = device ? deviceModuleBackend(*device, *stream, tell)
                     : hostModuleBackend(host, world.at(0), tell);
  }

  struct Took {
    double milliseconds, processorSeconds;
  };
  Took run(const std::function<void()> &work) const {
    double before = processorSeconds();
    auto start = std::chrono::steady_clock::now();
    work();
    if (stream)
      stream->synchronize();
    std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    return {took.count(), processorSeconds() - before};
  }

  AttentionContext host;
  std::optional<DeviceContext> device;
  std::optional<CudaStream> stream;
  InProcessWorld world{1};
  std::shared_ptr<ModuleBackend> backend;
};

BenchLines::Line measure(const Place &place, Parts &parts, int repeats) {
  std::array<std::function<void()>, 3> works = {
      [&] { parts.runModule(); }, [&] { parts.runAttention(); }, [&] { parts.runProducts(); }};
  std::array<std::vector<double>, 3> times;
  std::vector<double> ratios, ofProcessor;
  for (int turn = -1; turn < repeats; ++turn) { // the first compiles, and finds memory
    parts.renew();
    std::array<Place::Took, 3> took{};
    for (size_t each = 0; each < works.size(); ++each)
      took[each] = place.run(works[each]);
    if (turn < 0)
      continue;
    for (size_t each = 0; each < works.size(); ++each)
      times[each].push_back(took[each].milliseconds);
    ratios.push_back(took[0].milliseconds / (took[1].milliseconds + took[2].milliseconds));
    ofProcessor.push_back(took[0].processorSeconds /
                          (took[1].processorSeconds + took[2].processorSeconds));
  }
  BenchLines::Line line = {{"module_ms", medianOf(times[0])},
                           {"attention_ms", medianOf(times[1])},
                           {"products_ms", medianOf(times[2])},
                           {"of_both", medianOf(ratios)},
                           {"spread_percent", spreadOf(ratios)}};
  if (!place.stream)
    line.push_back({"of_both_processor_time", medianOf(ofProcessor)});
  return line;
}

} // namespace

int benchModule(const Session &session, const AttentionFlags &flags,
                const std::vector<std::string> &shapes, int repeats, bool json) {
  Place place(session, flags);
  std::vector<std::string> dtypes = {"f32", "bf16"};
  if (!flags.dtype.empty())
    dtypes = {flags.dtype};
  BenchLines lines(json);
  for (const std::string &text : shapes)
    for (const std::string &dtype : dtypes) {
      ModuleShape shape = parseModuleShape(text, flags, parseFloatType(dtype));
      Parts parts(shape, place.backend);
      BenchLines::Line line = {{"shape", text},
                               {"dtype", dtype},
                               {"mask", std::string(shape.options.causal ? "causal" : "full")},
                               {"device", flags.device},
                               {"threads", int64_t(place.host.pool->threads())}};
      for (const auto &column : measure(place, parts, repeats))
        line.push_back(column);
      lines.add(line);
    }
  lines.finish();
  return Ok;
}

} // namespace ringc::cli
