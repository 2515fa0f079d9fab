#include "ringc/attention/shared/Extents.h"
#include "ringc/attention/shared/Options.h"
#include "ringc/attention/shared/PassWork.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/support/Error.h"
#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/BenchLines.h"
#include "tools/ringc/Command.h"
#include "tools/ringc/CompileTimes.h"
#include "tools/ringc/DecodeBench.h"
#include "tools/ringc/MatmulBench.h"
#include "tools/ringc/ModuleBench.h"
#include "tools/ringc/Numbers.h"
#include "tools/ringc/PeakBench.h"
#include "tools/ringc/RandomProblem.h"
#include "tools/ringc/Shape.h"
#include "tools/ringc/Table.h"
#include "tools/ringc/WorldCommand.h"
#include "tools/ringc/WorldTrace.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <iostream>
#include <optional>
#include <random>

namespace ringc::cli {

namespace {

struct BenchFlags {
  std::vector<std::string> shapes, matmuls, modules;
  bool peak = false;
  DecodeBenchFlags decode;
  std::vector<std::string> dtypes = {"f32", "bf16"};
  AttentionFlags attention;
  WorldFlags world;
  bool fullOnly = false;
  int repeats = 5;
  bool besideOne = false;
  bool json = false;
  std::string trace;
};

/// One line of the result.
struct Measured {
  std::string pass, shape, dtype, mask, device;
  int devices = 0, ranks = 1, threads = 1; ///< devices of all processes, threads of this one
  double medianMs = 0, tflops = 0;
  std::optional<double> oneRankMs, timesOneRank;
  CompileTimes compile;
  std::optional<double> launchUs; ///< on devices: for which the host is busy
  std::vector<double> exposedUs;  ///< of one more run: by hop, of the slowest rank
};

template <typename Value> void visitColumns(const Measured &line, Value &&value) {
  value("pass", line.pass);
  value("shape", line.shape);
  value("dtype", line.dtype);
  value("mask", line.mask);
  value("device", line.device);
  value("devices", line.devices);
  value("ranks", line.ranks);
  value("threads", line.threads);
  value("median_ms", line.medianMs);
  value("tflops", line.tflops);
  if (line.timesOneRank) {
    value("one_rank_ms", line.oneRankMs);
    value("times_one_rank", line.timesOneRank);
  }
  value("launch_us", line.launchUs);
  value("cold_compile_ms", line.compile.coldMs);
  value("cold_load_ms", line.compile.loadMs);
  value("warm_lookup_us", line.compile.warmLookupUs);
  value("exposed_us", line.exposedUs);
}

std::string cell(const std::string &text) { return text; }
std::string cell(double value) { return number(value, 4); }
std::string cell(const std::optional<double> &value) { return value ? number(*value, 4) : "-"; }
/// Hops side by side.
std::string cell(const std::vector<double> &values) {
  std::string text;
  for (double value : values)
    text += (text.empty() ? "" : "/") + number(std::round(value), 9);
  return text;
}

void print(const std::vector<Measured> &lines) {
  std::vector<std::vector<std::string>> rows(1);
  for (const Measured &line : lines) {
    std::vector<std::string> row;
    visitColumns(line, [&](const char *name, const auto &value) {
      if (rows.size() == 1)
        rows[0].emplace_back(name);
      row.push_back(cell(value));
    });
    rows.push_back(std::move(row));
  }
  std::cout << table(rows);
}

void printJson(const Measured &line) {
  nlohmann::ordered_json json;
  visitColumns(line, [&](const char *name, const auto &value) {
    if constexpr (std::is_same_v<decltype(value), const std::optional<double> &>)
      json[name] = value ? nlohmann::ordered_json(*value) : nullptr;
    else
      json[name] = value;
  });
  std::cout << json.dump() << std::endl;
}

/// After runs that are not counted: one, and on a host as many as take a third of a second, for the
/// first ones of a process find memory that has no pages yet. Each as long as the slowest process
/// took. `one`, where there is one, takes turns with the ring, so that what slows the machine down
/// for a while slows both.
void measurePass(World &world, WorldRing &ring, WorldRing *one, Pass pass, int repeats,
                 Measured &line) {
  constexpr double warmUpMs = 333;
  double warm = 0;
  do {
    if (one)
      (void)one->timed(pass);
    warm += world.largest(ring.timed(pass).milliseconds);
  } while (world.devices().empty() && warm < warmUpMs);
  std::vector<double> times, launches, ofOne, ratios;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    if (one)
      ofOne.push_back(one->timed(pass).milliseconds);
    (void)world.largest(0); // all start together
    WorldRing::Took took = ring.timed(pass);
    times.push_back(world.largest(took.milliseconds));
    if (took.launchMicroseconds)
      launches.push_back(*took.launchMicroseconds);
    if (one)
      ratios.push_back(times.back() / ofOne.back());
  }
  line.medianMs = medianOf(times);
  if (!launches.empty())
    line.launchUs = medianOf(launches);
  if (one) {
    line.oneRankMs = medianOf(ofOne);
    line.timesOneRank = medianOf(ratios);
  }
}

/// "full", "causal", "window 4096,0", "causal, window 4096,-1"
std::string maskName(const AttentionOptions &options) {
  if (options.window == Window{})
    return options.causal ? "causal" : "full";
  return (options.causal ? "causal, window " : "window ") + std::to_string(options.window.left) +
         "," + std::to_string(options.window.right);
}

/// Forward and backward of one shape.
std::vector<Measured> measure(World &world, const Session &session, const BenchFlags &flags,
                              const std::string &text, DType dtype, bool causal,
                              const AttentionContext &context, WorldTrace &trace) {
  Shape shape = parseShape(text);
  AttentionOptions options = optionsOf(flags.attention);
  options.dtype = dtype;
  options.heads = shape.heads;
  options.kvHeads = shape.kvHeads;
  options.headDim = shape.headDim;
  options.valueHeadDim = shape.valueHeadDim;
  options.causal = causal;
  setAlibiSlopes(session, flags.attention, options);
  validate(options);
  (void)RankProblem(options, world.size(), 0, {shape.batch, shape.queries, shape.keys});
  static std::mt19937_64 random(1);
  HostTensor q = repeatedTensor(dtype, {shape.batch, shape.queries, shape.heads, shape.headDim},
                                random),
             k = repeatedTensor(dtype, {shape.batch, shape.keys, shape.kvHeads, shape.headDim},
                                random),
             v = repeatedTensor(dtype, {shape.batch, shape.keys, shape.kvHeads, shape.valueHeadDim},
                                random),
             dout = repeatedTensor(
                 dtype, {shape.batch, shape.queries, shape.heads, shape.valueHeadDim}, random);
  AttentionInputs inputs{.q = q, .k = k, .v = v};
  AttentionOptions complete =
      world.devices().empty() ? completed(options, hostProcessors()) : completed(options);
  std::unique_ptr<WorldRing> ring = world.ring(options, context, inputs, dout), one;
  if (flags.besideOne) {
    AttentionOptions alone = options;
    alone.ringSize = 1;
    alone.layout = {};
    one = world.oneRank(alone, context, inputs, dout);
  }

  auto line = [&](Pass pass) {
    Measured made{.pass = std::string(nameOf(pass)),
                  .shape = text,
                  .dtype = std::string(nameOf(dtype)),
                  .mask = maskName(options),
                  .device = flags.attention.device,
                  .devices = int(world.devices().size()) * world.size() / int(world.ranks().size()),
                  .ranks = world.size(),
                  .threads = context.pool->threads()};
    if (world.isFirst())
      made.compile = compileTimes(pass, complete, context, world.devices());
    measurePass(world, *ring, one.get(), pass, flags.repeats, made);
    made.tflops = passWork(complete, {shape.batch, shape.queries, shape.keys}, pass).flops /
                  made.medianMs * 1e-9;
    auto work = [&] { (void)ring->timed(pass); };
    for (std::chrono::nanoseconds exposed : exposedByHop(trace.record(work), pass))
      made.exposedUs.push_back(double(exposed.count()) / 1000);
    return made;
  };
  std::vector<Measured> lines;
  lines.push_back(line(Pass::Forward));
  lines.push_back(line(Pass::Backward));
  return lines;
}

int benchIn(World &world, const Session &session, const BenchFlags &given) {
  BenchFlags flags = given;
  if (flags.besideOne && world.ranks().size() != size_t(world.size()))
    throw InputError("beside-one", std::to_string(world.size()) + " ranks of several processes",
                     "ranks of one process, as --ranks makes them");
  if (flags.shapes.empty())
    flags.shapes = {"1,4096,8,8,64", "1,4096,8,8,128"};
  if (!flags.attention.dtype.empty())
    flags.dtypes = {flags.attention.dtype};
  WorldTrace trace(world, flags.trace);
  AttentionContext context = hostContext(flags.attention.threads, session.details());
  context.trace = trace.recorder();
  std::vector<bool> masks = {true};
  if (!flags.attention.causal)
    masks = {false, true};
  if (flags.fullOnly)
    masks = {false};
  std::vector<Measured> all;
  for (const std::string &shape : flags.shapes)
    for (const std::string &dtype : flags.dtypes)
      for (bool causal : masks) {
        session.detail("measuring " + shape + " " + dtype + (causal ? " causal" : " full"));
        for (Measured &line :
             measure(world, session, flags, shape, parseFloatType(dtype), causal, context, trace)) {
          if (flags.json && world.isFirst())
            printJson(line);
          all.push_back(std::move(line));
        }
      }
  if (!flags.json && world.isFirst())
    print(all);
  trace.write();
  return Ok;
}

void checkRepeats(const BenchFlags &flags) {
  if (flags.repeats < 1 || flags.repeats > 10000)
    throw InputError("repeats", std::to_string(flags.repeats), "1 to 10000");
}

int benchCommand(const Session &session, const BenchFlags &flags) {
  checkMachine(flags.attention);
  checkRepeats(flags);
  if (flags.peak)
    return benchPeak(session, flags.attention, flags.json);
  if (!flags.matmuls.empty())
    return benchMatmul(session, flags.attention, flags.matmuls, flags.repeats, flags.json);
  if (!flags.modules.empty())
    return benchModule(session, flags.attention, flags.modules, flags.repeats, flags.json);
  return runInWorld(session, flags.attention, flags.world, [&](const Session &heard, World &world) {
    if (flags.decode.shapes.empty())
      return benchIn(world, heard, flags);
    DecodeBenchFlags decode = flags.decode;
    decode.repeats = flags.repeats;
    decode.json = flags.json;
    return benchDecode(heard, world, flags.attention, decode);
  });
}

} // namespace

void addBench(CLI::App &app, Session &session) {
  auto flags = std::make_shared<BenchFlags>();
  CLI::App *command =
      addCommand(app, session, "bench",
                 "Median times of both passes, full and causal; of each pass the slowest kernel to "
                 "compile and to look up, and the communication that no kernel hides, by hop",
                 flags, benchCommand);
  command->add_option("--shape", flags->shapes, "1,4096,8,8,64 and 1,4096,8,8,128 unless given")
      ->type_name("b,n[/nk],h,hkv,d[/dv]");
  command
      ->add_option(
          "--decode", flags->decode.shapes,
          "Of decoding, one query an entry, whose keys the ranks share (part_us: each its own "
          "alone, exchange_us: what it takes more together); on the CPU beside a read and a copy "
          "of memory, on devices also replayed as graphs; bf16 unless --dtype is given")
      ->type_name("b,n,h,hkv,d[/dv]");
  command
      ->add_option("--matmul", flags->matmuls,
                   "Of products of the module's forms on the CPU, beside oneDNN and OpenBLAS where "
                   "they are found")
      ->type_name("m,n,k");
  command->add_flag("--peak", flags->peak,
                    "Of products in registers alone, in each form that the CPU has for a type: "
                    "what a kernel's GFLOP/s are held against");
  command
      ->add_option("--module", flags->modules,
                   "Of the attention module of one rank, both passes, in turns with its attention "
                   "and its products alone; of_both is the median of the turns' ratios")
      ->type_name("b,n,dim,heads,dim_head");
  command
      ->add_option("--page", flags->decode.pageSizes,
                   "With --decode: keys in pages of so many rows, too")
      ->transform(decimal<int64_t>())
      ->type_name("ROWS");
  addNumber(*command, "--split", flags->decode.split,
            "With --decode: keys that a program attends to, a multiple of 64")
      ->type_name("KEYS");
  command->add_option("--dtype", flags->attention.dtype, "f32 and bf16 unless given")
      ->type_name("f32|f16|bf16");
  command->add_flag("--causal", flags->attention.causal, "Causal alone");
  command->add_flag("--full", flags->fullOnly, "Full alone");
  flags->attention.addWindowAndScoresTo(*command);
  addNumber(*command, "--ranks", flags->attention.ranks, "Logical ranks")->type_name("N");
  command->add_option("--layout", flags->attention.layout, "Of the sequence over the ranks")
      ->type_name("L");
  flags->attention.addScheduleTo(*command);
  addNumber(*command, "--threads", flags->attention.threads, "Of all ranks together")
      ->type_name("T");
  command->add_option("--tile", flags->attention.tile, "Tile sizes by hand")
      ->type_name("q=64,kv=128");
  command->add_option("--backward", flags->attention.backward, "dq by itself, or with dk and dv")
      ->type_name("split|fused");
  addNumber(*command, "--repeats", flags->repeats, "Runs of which the median is taken")
      ->type_name("R")
      ->capture_default_str();
  command->add_flag("--beside-one", flags->besideOne,
                    "In turns with one rank alone, on the same threads or the first device; "
                    "times_one_rank is the median of the turns' ratios");
  command->add_option("--f32", flags->attention.f32, "With --device cuda: products of f32")
      ->type_name("3xtf32|tf32");
  command->add_option("--device", flags->attention.device, "cpu unless given")
      ->type_name("cpu|cuda");
  flags->world.addTo(*command);
  addTraceOption(*command, flags->trace);
  command->add_flag("--json", flags->json, "A line of JSON for each measurement, as they come");
}

} // namespace ringc::cli
