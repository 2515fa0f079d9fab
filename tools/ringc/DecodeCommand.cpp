#include "ringc/attention/device/DeviceTensor.h"
#include "ringc/comm/InProcess.h"
#include "ringc/decode/Decode.h"
#include "ringc/driver/CudaStream.h"
#include "ringc/files/TensorFile.h"
#include "ringc/jit/DeviceCompiler.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/support/Error.h"
#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/Command.h"
#include "tools/ringc/Numbers.h"
#include "tools/ringc/Table.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>
#include <vector>

namespace ringc::cli {

namespace {

struct DecodeFlags {
  AttentionFlags attention;
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

void runOnDevice(const Session &session, const DecodeOptions &options, const DecodeInputs &inputs,
                 HostTensor &out, HostTensor &lse) {
  DeviceContext context = deviceContext(0, session.details());
  CudaStream stream(context.device);
  std::vector<DeviceTensor> memory;
  auto put = [&](const Tensor &tensor) -> Tensor {
    return memory.emplace_back(DeviceTensor::copyOf(stream, tensor)).view();
  };
  DecodeInputs placed{.q = put(inputs.q), .k = put(inputs.k), .v = put(inputs.v)};
  if (inputs.pageTable)
    placed.pageTable = put(*inputs.pageTable);
  if (inputs.lengths)
    placed.lengths = put(*inputs.lengths);
  for (const auto &[name, value] : inputs.arguments) {
    auto *tensor = std::get_if<Tensor>(&value);
    placed.arguments.emplace(name, tensor ? ArgumentValue(put(*tensor)) : value);
  }
  DeviceTensor ownOut(context.device, out.dtype(), out.shape()),
      ownLse(context.device, lse.dtype(), lse.shape());
  DeviceDecode(options, context).run(stream, placed, ownOut, ownLse);
  out = ownOut.download(stream);
  lse = ownLse.download(stream);
}

int runCommand(const Session &session, const DecodeFlags &flags) {
  checkMachine(flags.attention);
  bool onDevice = flags.attention.device == "cuda";
  if (onDevice && flags.attention.ranks > 1)
    throw InputError("ranks", std::to_string(flags.attention.ranks), "1 with --device cuda");
  std::vector<std::string> sources = sourcesOf(flags.attention), targets;
  for (const std::string *file : {&flags.q, &flags.k, &flags.v, &flags.lengths, &flags.pageTable})
    if (!file->empty())
      sources.push_back(*file);
  for (const std::string *file : {&flags.out, &flags.lse})
    if (!file->empty())
      targets.push_back(*file);
  checkTargets(targets, sources);
  Files files = readFiles(session, flags);
  SideInputs side = readSideInputs(session, flags.attention);

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

  DecodeInputs inputs{.q = files.q, .k = files.k, .v = files.v};
  inputs.arguments = side.inputs.arguments;
  if (!flags.lengths.empty())
    inputs.lengths = files.lengths;
  if (!flags.pageTable.empty())
    inputs.pageTable = files.table;
  HostTensor whole;
  int ranks = flags.attention.ranks;
  if (!inputs.lengths && !inputs.pageTable) { // each rank says how long the whole is
    whole = HostTensor(DType::I32, {inputs.q.dim(0)});
    std::fill_n(whole.dataAs<int32_t>(), whole.elementCount(), int32_t(inputs.k.dim(1)));
    inputs.lengths = whole;
  }
  if (targets.empty())
    session.say("ringc: nothing will be written: name a file by --out or --lse");

  int64_t batch = files.q.dim(0), queries = files.q.dim(1);
  AttentionContext context = hostContext(flags.attention.threads, session.details());
  std::vector<std::pair<HostTensor, HostTensor>> results;
  for (int rank = 0; rank < ranks; ++rank)
    results.emplace_back(
        HostTensor(attention.dtype, {batch, queries, attention.heads, attention.valueHeadDim}),
        HostTensor(DType::F32, {batch, attention.heads, queries}));
  auto start = std::chrono::steady_clock::now();
  if (onDevice) {
    runOnDevice(session, options, inputs, results[0].first, results[0].second);
  } else if (ranks == 1) {
    HostDecode(options, context).run(inputs, results[0].first, results[0].second);
  } else {
    InProcessWorld world(ranks);
    runRanks(world, [&](int rank) {
      Share share = shareOf(inputs, rank, ranks);
      HostDecode(options, context)
          .run(share.inputs, share.keys, world.at(rank), results[size_t(rank)].first,
               results[size_t(rank)].second);
    });
  }
  double ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  std::vector<TensorOutput> outputs;
  if (!flags.out.empty())
    outputs.push_back({flags.out, results[0].first});
  if (!flags.lse.empty())
    outputs.push_back({flags.lse, results[0].second});
  writeTensors(outputs);
  session.say("decode: " + number(ms, 4) + " ms, compiling included");
  return Ok;
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
