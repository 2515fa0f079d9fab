#include "tools/ringc/DecodeBench.h"

#include "ringc/attention/shared/CallAgreement.h"
#include "ringc/attention/shared/Options.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/ring/Agreement.h"
#include "ringc/support/Error.h"
#include "ringc/tune/HostPeak.h"
#include "tools/ringc/BenchLines.h"
#include "tools/ringc/Table.h"
#include "tools/ringc/TimedDecode.h"

#include <algorithm>
#include <array>
#include <iostream>
#include <optional>
#include <span>
#include <utility>

namespace ringc::cli {

namespace {

/// A line of the result.
struct DecodeLine {
  std::string shape;
  Shape of;
  int64_t page = 0;
};

/// All that are asked for.
std::vector<DecodeLine> linesOf(const DecodeBenchFlags &flags) {
  constexpr int64_t most = (int64_t(1) << 31) - 1;
  std::vector<DecodeLine> lines;
  for (const std::string &text : flags.shapes) {
    Shape shape = parseShape(text);
    if (shape.queries != shape.keys)
      throw InputError("decode", text, "b,n,h,hkv,d[/dv]: one query an entry, n keys");
    if (shape.keys > most)
      throw InputError("keys of an entry", std::to_string(shape.keys), "0 to 2^31 - 1");
    lines.push_back({text, shape});
    for (int64_t page : flags.pageSizes) {
      if (page < 1 || shape.keys % page != 0)
        throw InputError("page size", std::to_string(page),
                         "a divisor of the " + std::to_string(shape.keys) + " keys");
      lines.push_back({text, shape, page});
    }
  }
  return lines;
}

DecodeOptions optionsFor(const Session &session, const AttentionFlags &attention,
                         const DecodeBenchFlags &flags, const Shape &shape) {
  DecodeOptions options;
  options.split = flags.split;
  AttentionOptions &of = options.attention;
  of = optionsOf(attention);
  of.dtype = attention.dtype.empty() ? DType::BF16 : parseFloatType(attention.dtype);
  of.heads = shape.heads;
  of.kvHeads = shape.kvHeads;
  of.headDim = shape.headDim;
  of.valueHeadDim = shape.valueHeadDim;
  setAlibiSlopes(session, attention, of);
  validate(of);
  return options;
}

/// In the first process what is wrong with the results of all ranks, or nothing.
std::string faultOf(World &world, const DecodeWorkCheck *check,
                    const std::vector<DecodeResults> &results) {
  constexpr size_t each = 2;
  std::vector<double> sums;
  for (const DecodeResults &rank : results)
    for (const HostTensor *tensor : {&rank.out, &rank.lse}) {
      uint64_t sum = checksum({tensor->dataAs<std::byte>(), size_t(tensor->byteCount())});
      sums.push_back(double(sum >> 11)); // as many bits as a double has
    }
  sums = world.gather(sums);
  if (!check)
    return {};
  for (size_t at = each; at < sums.size(); ++at)
    if (sums[at] != sums[at % each])
      return std::string(DecodeExpected::names[at % each]) + " of rank " +
             std::to_string(at / each) + " is not that of rank 0";
  DecodeErrors errors = check->errorsOf(results.front().out, results.front().lse);
  for (size_t tensor = 0; tensor < errors.size(); ++tensor)
    if (auto [ours, bar] = errors[tensor]; !(ours <= bar))
      return std::string(DecodeExpected::names[tensor]) + " has an error of " + number(ours) +
             ", may have " + number(bar);
  return {};
}

/// Of all ranks, bytes each second of a plain read and a copy of memory by all of them.
struct Traffic {
  double read, copied;
};

/// Turns of measurements, in the first process.
class DecodeTurns {
public:
  /// All processes call it.
  void add(World &world, const std::vector<DecodeTurn> &turns, std::optional<Traffic> own) {
    std::vector<double> given;
    for (const DecodeTurn &turn : turns) {
      auto share = double(turns.size());
      given.insert(given.end(),
                   {turn.launched.whole, turn.launched.part, turn.graph.whole, turn.graph.part,
                    own ? own->read / share : 0, own ? own->copied / share : 0});
    }
    std::vector<double> all = world.gather(given);
    std::array<double, 6> of{};
    for (size_t at = 0; at < all.size(); ++at) {
      double &number = of[at % of.size()];
      number = at % of.size() < 4 ? std::max(number, all[at]) : number + all[at];
    }
    launched.add({of[0], of[1]});
    graph.add({of[2], of[3]});
    read.push_back(of[4]);
    copied.push_back(of[5]);
  }

  /// Of the slowest rank each time.
  struct Times {
    std::vector<double> whole, part, exchange;
    void add(const DecodeTook &took) {
      whole.push_back(took.whole);
      part.push_back(took.part);
      exchange.push_back(took.whole - took.part);
    }
  };
  Times launched, graph;
  std::vector<double> read, copied;
};

BenchLines::Line lineOf(const World &world, const DecodeWork &work, const DecodeTurns &turns) {
  BenchLines::Line line;
  auto addTimes = [&](const std::array<const char *, 4> &names, const DecodeTurns::Times &times) {
    double us = medianOf(times.whole);
    line.push_back({names[0], us});
    if (world.size() > 1) {
      line.push_back({names[1], medianOf(times.part)});
      line.push_back({names[2], medianOf(times.exchange)});
    }
    line.push_back({names[3], work.bytes() / us * 1e-3});
  };
  addTimes({"us", "part_us", "exchange_us", "gb_s"}, turns.launched);
  double rate = work.bytes() / medianOf(turns.launched.whole) * 1e-3;
  if (world.size() > 1)
    line.push_back({"rank_gb_s", rate / world.size()});
  if (!world.devices().empty()) {
    addTimes({"graph_us", "graph_part_us", "graph_exchange_us", "graph_gb_s"}, turns.graph);
    return line;
  }
  double read = medianOf(turns.read) * 1e-9;
  line.push_back({"read_gb_s", read});
  line.push_back({"copy_gb_s", medianOf(turns.copied) * 1e-9});
  line.push_back({"of_read", rate / read});
  return line;
}

/// Lines one after another.
class DecodeBench {
public:
  DecodeBench(const Session &session, World &of, const AttentionFlags &attention,
              const DecodeBenchFlags &given)
      : world(of), flags(given), context(hostContext(attention.threads, session.details())),
        device(attention.device), lines(given.json) {
    if (world.devices().empty())
      traffic.emplace(*context.pool);
  }

  /// Whether its results are right, on all ranks.
  bool measure(const DecodeLine &asked, const DecodeOptions &options) {
    DecodeWork work(options, asked.of, asked.page);
    std::optional<DecodeWorkCheck> check;
    if (world.isFirst())
      check.emplace(work);
    std::unique_ptr<TimedDecode> decode =
        world.devices().empty() ? timedOnHost(world, work, context) : timedOnDevices(world, work);
    auto isRight = [&] {
      std::string fault = faultOf(world, check ? &*check : nullptr, decode->results());
      if (!fault.empty()) // in one piece
        std::cerr << "ringc: decode " + titleOf(asked) + ": " + fault + '\n';
      return world.largest(fault.empty() ? 0 : 1) == 0;
    };
    decode->run();
    if (!isRight())
      return false;
    (void)decode->turn(); // finds memory, and captures graphs
    if (!isRight())
      return false;
    DecodeTurns turns;
    for (int turn = 0; turn < flags.repeats; ++turn) {
      std::optional<Traffic> own;
      (void)world.largest(0); // all begin together
      if (traffic)
        own = {traffic->read(), traffic->copied()};
      turns.add(world, decode->turn(), own);
    }
    if (world.isFirst())
      add(asked, work, turns);
    return true;
  }

  void finish() const { lines.finish(); }

private:
  static std::string titleOf(const DecodeLine &line) {
    return line.shape + (line.page > 0 ? ", pages of " + std::to_string(line.page) : "");
  }

  void add(const DecodeLine &asked, const DecodeWork &work, const DecodeTurns &turns) {
    size_t processes = size_t(world.size()) / world.ranks().size();
    BenchLines::Line line = {
        {"shape", asked.shape},
        {"dtype", std::string(nameOf(work.options.attention.dtype))},
        {"page", asked.page > 0 ? BenchLines::Cell(asked.page) : BenchLines::Cell()},
        {"device", device},
        {"devices", int64_t(world.devices().size() * processes)},
        {"ranks", int64_t(world.size())},
        {"threads", int64_t(context.pool->threads())}};
    for (const auto &column : lineOf(world, work, turns))
      line.push_back(column);
    lines.add(line);
  }

  World &world;
  const DecodeBenchFlags &flags;
  AttentionContext context;
  std::string device;
  std::optional<HostTraffic> traffic; ///< on the host
  BenchLines lines;
};

} // namespace

int benchDecode(const Session &session, World &world, const AttentionFlags &attention,
                const DecodeBenchFlags &flags) {
  std::vector<std::pair<DecodeLine, DecodeOptions>> asked;
  Agreement files; // what command lines do not say
  for (const DecodeLine &line : linesOf(flags)) {
    asked.emplace_back(line, optionsFor(session, attention, flags, line.of));
    addOptions(files, asked.back().second.attention);
  }
  world.agree(files);
  DecodeBench bench(session, world, attention, flags);
  for (const auto &[line, options] : asked) {
    session.detail("measuring decodes of " + line.shape);
    if (!bench.measure(line, options))
      return Wrong;
  }
  bench.finish();
  return Ok;
}

} // namespace ringc::cli
