#include "ringc/attention/shared/CallAgreement.h"
#include "ringc/attention/shared/Options.h"
#include "ringc/decode/Decode.h"
#include "ringc/files/TensorFile.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/support/Error.h"
#include "ringc/world/WorldAgreement.h"
#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/Command.h"
#include "tools/ringc/DecodeOnDevice.h"
#include "tools/ringc/Numbers.h"
#include "tools/ringc/Table.h"
#include "tools/ringc/WorldCommand.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <utility>
#include <vector>

namespace ringc::cli {

namespace {

struct DecodeFlags {
  AttentionFlags attention;
  WorldFlags world;
  std::string q, k, v, lengths, pageTable, out, lse;
  int64_t split = 0;
};

struct Files {
  HostTensor q, k, v, lengths, table;
};

HostTensor readIntegers(const char *flag, const std::string &file) {
  ReadOptions integers;
  integers.as = {DType::I32};
  return readFile(flag, file, integers);
}

Files readFiles(const Session &session, const DecodeFlags &flags) {
  ReadOptions as = floatInputs(session, flags.attention);
  Files read{readFile("--q", flags.q, as),
             readFile("--k", flags.k, as),
             readFile("--v", flags.v, as),
             {},
             {}};
  for (auto [name, tensor] : {std::pair("q", &read.q), {"k", &read.k}, {"v", &read.v}}) {
    if (!isFloat(tensor->dtype()) || tensor->rank() != 4 || tensor->dim(2) < 1 ||
        tensor->dim(3) < 1)
      throw InputError(name, describe(*tensor), "f32, f16 or bf16, four axes, one head or more");
    if (tensor->dtype() != read.q.dtype())
      throw InputError(name, describe(*tensor),
                       std::string(nameOf(read.q.dtype())) +
                           " as q, or a type asked for by --dtype");
  }
  if (!flags.lengths.empty())
    read.lengths = readIntegers("--lengths", flags.lengths);
  if (!flags.pageTable.empty())
    read.table = readIntegers("--page-table", flags.pageTable);
  return read;
}

/// What ranks do not see of the whole, of which each has a share.
void checkWhole(const DecodeInputs &whole) {
  if (whole.v.dim(1) != whole.k.dim(1))
    throw InputError("v", describe(whole.v), "as many rows as k, " + describe(whole.k));
  if (whole.pageTable && whole.pageTable->rank() != 2)
    throw InputError("page table", describe(*whole.pageTable), "i32 [b, pages of an entry]");
  int64_t rows = (whole.pageTable ? whole.pageTable->dim(1) : 1) * whole.k.dim(1);
  for (int64_t entry = 0; whole.lengths->rank() == 1 && entry < whole.lengths->dim(0); ++entry)
    if (int64_t length = *whole.lengths->select(0, entry).dataAs<int32_t>(); length > rows)
      throw InputError("length of entry " + std::to_string(entry), std::to_string(length),
                       "0 to " + std::to_string(rows) +
                           (whole.pageTable ? ", the rows of its pages" : ", its keys"));
}

/// What a rank has: of rows a share of consecutive ones, of pages each `ranks`-th.
struct Share {
  DecodeInputs inputs;
  DecodeKeys keys;
  HostTensor table;
};

Share shareOf(const DecodeInputs &whole, int rank, int ranks) {
  Share made{.inputs = whole, .keys = {}, .table = {}};
  if (whole.pageTable) {
    const Tensor &table = *whole.pageTable;
    int64_t entries = table.dim(0),
            pages = std::max<int64_t>(table.dim(1) - rank + ranks - 1, 0) / ranks;
    made.table = HostTensor(DType::I32, {entries, pages});
    for (int64_t entry = 0; entry < entries; ++entry)
      for (int64_t page = 0; page < pages; ++page)
        made.table.dataAs<int32_t>()[entry * pages + page] =
            *table.select(0, entry).select(0, page * ranks + rank).dataAs<int32_t>();
    made.inputs.pageTable = made.table;
    made.keys = DecodeKeys::ofPages(rank, ranks, whole.k.dim(1));
    return made;
  }
  int64_t each = (whole.k.dim(1) + ranks - 1) / ranks,
          begin = std::min(each * rank, whole.k.dim(1)),
          end = std::min(begin + each, whole.k.dim(1));
  made.inputs.k = whole.k.slice(1, begin, end - begin);
  made.inputs.v = whole.v.slice(1, begin, end - begin);
  made.keys.positions.first = begin;
  return made;
}

DecodeOptions optionsFor(const Session &session, const DecodeFlags &flags, const Files &files) {
  DecodeOptions options;
  options.attention = optionsOf(flags.attention);
  options.split = flags.split;
  AttentionOptions &attention = options.attention;
  attention.dtype = files.q.dtype();
  attention.heads = files.q.dim(2);
  attention.kvHeads = files.k.dim(2);
  attention.headDim = files.q.dim(3);
  attention.valueHeadDim = files.v.dim(3);
  setAlibiSlopes(session, flags.attention, attention);
  return options;
}

/// Throws DisagreementError where the files of the processes do not hold the same.
void agree(World &world, const DecodeOptions &options, const DecodeInputs &inputs,
           const AttentionContext &context) {
  const AttentionOptions &of = options.attention;
  AttentionInputs main{.q = inputs.q, .k = inputs.k, .v = inputs.v};
  main.arguments = inputs.arguments;
  Agreement files =
      agreementOf(of, context.kernels->sources(userSources(of)), main, /*dout=*/Tensor());
  for (auto [name, tensor] :
       {std::pair("lengths", &inputs.lengths), {"page table", &inputs.pageTable}}) {
    files.add("shape of " + std::string(name), *tensor ? describe(**tensor) : "not given");
    if (*tensor)
      addTensor(files, name, **tensor, Memory::Host);
  }
  world.agree(files);
}

std::vector<std::string> sourcesOf(const DecodeFlags &flags) {
  std::vector<std::string> sources = sourcesOf(flags.attention);
  for (const std::string *file : {&flags.q, &flags.k, &flags.v, &flags.lengths, &flags.pageTable})
    if (!file->empty())
      sources.push_back(*file);
  return sources;
}

std::vector<std::string> targetsOf(const DecodeFlags &flags) {
  std::vector<std::string> targets;
  for (const std::string *file : {&flags.out, &flags.lse})
    if (!file->empty())
      targets.push_back(*file);
  return targets;
}

/// out and lse, which all ranks have.
struct Results {
  HostTensor out, lse;
};

/// Those of the first rank of this process.
Results decodeIn(World &world, const DecodeOptions &options, const DecodeInputs &inputs,
                 const AttentionContext &context) {
  const AttentionOptions &of = options.attention;
  int64_t batch = inputs.q.dim(0), queries = inputs.q.dim(1);
  std::vector<Results> results;
  for (size_t rank = 0; rank < world.ranks().size(); ++rank)
    results.push_back({HostTensor(of.dtype, {batch, queries, of.heads, of.valueHeadDim}),
                       HostTensor(DType::F32, {batch, of.heads, queries})});
  if (!world.devices().empty()) {
    std::deque<Share> shares;
    std::vector<HostDecodeCall> calls;
    for (size_t rank = 0; rank < results.size(); ++rank) {
      const Share &share = shares.emplace_back(shareOf(inputs, world.ranks()[rank], world.size()));
      calls.push_back({share.inputs, share.keys, results[rank].out, results[rank].lse});
    }
    decodeOnDevices(world, options, calls);
    return std::move(results.front());
  }
  world.onRanks([&](const WorldRank &rank) {
    Results &own = results[size_t(rank.rank - world.ranks().front())];
    HostDecode decode(options, context);
    if (world.size() == 1)
      return decode.run(inputs, own.out, own.lse);
    Share share = shareOf(inputs, rank.rank, world.size());
    decode.run(share.inputs, share.keys, *rank.transport, own.out, own.lse);
  });
  return std::move(results.front());
}

int runIn(World &world, const Session &session, const DecodeFlags &flags) {
  if (world.isFirst())
    checkTargets(targetsOf(flags), sourcesOf(flags));
  Files files = readFiles(session, flags);
  SideInputs side = readSideInputs(session, flags.attention);
  DecodeOptions options = optionsFor(session, flags, files);
  DecodeInputs inputs{.q = files.q, .k = files.k, .v = files.v};
  inputs.arguments = side.inputs.arguments;
  if (!flags.lengths.empty())
    inputs.lengths = files.lengths;
  if (!flags.pageTable.empty())
    inputs.pageTable = files.table;
  HostTensor whole;
  if (!inputs.lengths && !inputs.pageTable) { // each rank says how long the whole is
    whole = HostTensor(DType::I32, {inputs.q.dim(0)});
    std::fill_n(whole.dataAs<int32_t>(), whole.elementCount(), int32_t(inputs.k.dim(1)));
    inputs.lengths = whole;
  }
  AttentionContext context = hostContext(flags.attention.threads, session.details());
  agree(world, options, inputs, context);
  if (world.size() > 1)
    checkWhole(inputs);
  if (targetsOf(flags).empty())
    session.say("ringc: nothing will be written: name a file by --out or --lse");

  auto start = std::chrono::steady_clock::now();
  Results results = decodeIn(world, options, inputs, context);
  double ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  if (!world.isFirst())
    return Ok;
  std::vector<TensorOutput> outputs;
  if (!flags.out.empty())
    outputs.push_back({flags.out, results.out});
  if (!flags.lse.empty())
    outputs.push_back({flags.lse, results.lse});
  writeTensors(outputs);
  session.say("decode: " + number(ms, 4) + " ms, compiling included");
  return Ok;
}

int runCommand(const Session &session, const DecodeFlags &flags) {
  checkMachine(flags.attention);
  return runInWorld(session, flags.attention, flags.world,
                    [&](const Session &heard, World &world) { return runIn(world, heard, flags); });
}

} // namespace

void addDecode(CLI::App &app, Session &session) {
  auto flags = std::make_shared<DecodeFlags>();
  CLI::App *command = addCommand(app, session, "decode",
                                 "Attention of a few queries to long or paged keys: FILE.npy, "
                                 "FILE.npz:NAME, FILE.safetensors:NAME",
                                 flags, runCommand);
  auto file = [&](const char *name, std::string &into, const char *description) {
    return command->add_option(name, into, description)->type_name("F");
  };
  AttentionFlags &attention = flags->attention;
  file("--q", flags->q, "[b, n_q, h, d], n_q up to 16: the last queries of each entry")->required();
  file("--k", flags->k, "[b, n_k, h_kv, d]; with --page-table [pages, page size, h_kv, d]")
      ->required();
  file("--v", flags->v, "[b, n_k, h_kv, d_v]; with --page-table [pages, page size, h_kv, d_v]")
      ->required();
  CLI::Option *lengths =
      file("--lengths", flags->lengths, "i32 [b]: keys of each entry; all unless given");
  file("--page-table", flags->pageTable, "i32 [b, pages of an entry]: where they are, -1: none")
      ->needs(lengths);
  command->add_option("--ranks", attention.ranks, "Logical ranks that share the keys")
      ->transform(decimal<int>())
      ->type_name("N");
  flags->world.addTo(*command);
  command
      ->add_option("--split", flags->split,
                   "Keys that a program attends to, a multiple of 64; 0: as fills the processors")
      ->transform(decimal<int64_t>())
      ->type_name("KEYS");
  command->add_flag("--causal", attention.causal, "A query sees no later key");
  attention.addWindowAndScoresTo(*command);
  attention.addFunctionsTo(*command);
  attention.addHeadsTo(*command);
  command->add_option("--dtype", attention.dtype, "Type to compute in; inputs are rounded to it")
      ->type_name("f32|f16|bf16");
  command->add_option("--device", attention.device, "cpu unless given")->type_name("cpu|cuda");
  command
      ->add_option("--threads", attention.threads,
                   "Threads; 0: OMP_NUM_THREADS, or the processors there are")
      ->transform(decimal<int>())
      ->type_name("T");
  file("--out", flags->out, "Writes [b, n_q, h, d_v]");
  file("--lse", flags->lse, "Writes f32 [b, h, n_q], natural logarithm");
}

} // namespace ringc::cli
