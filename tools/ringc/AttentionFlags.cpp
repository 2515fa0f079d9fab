#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/Numbers.h"

#include "ringc/attention/shared/AlibiSlopes.h"
#include "ringc/files/TensorFile.h"
#include "ringc/support/ClosestName.h"
#include "ringc/support/Error.h"

#include <array>
#include <sstream>

namespace ringc::cli {

namespace {

std::vector<std::string> split(const std::string &text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);)
    parts.push_back(part);
  if (!text.empty() && text.back() == separator)
    parts.emplace_back();
  return parts;
}

/// The library's functions have flags of their own.
std::string flagOf(std::string_view function) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 8> flags = {
      {{"causal", "--causal"},
       {"prefix", "--prefix with --causal"},
       {"window", "--window"},
       {"documents", "--cu-seqlens"},
       {"key_padding", "--key-mask"},
       {"softcap", "--softcap"},
       {"alibi", "--alibi"},
       {"bias", "--bias"}}};
  for (auto [name, flag] : flags)
    if (name == function)
      return "; the library's " + std::string(name) + " is the flag " + std::string(flag);
  return "";
}

UserFunction parseFunction(const std::string &flag, const std::string &text) {
  size_t colon = text.rfind(':');
  if (colon == text.npos || colon == 0 || colon + 1 == text.size())
    throw InputError(flag, "\"" + text + "\"", "FILE.tile:NAME" + flagOf(text));
  return {.file = text.substr(0, colon), .name = text.substr(colon + 1)};
}

/// Nothing for "auto".
std::optional<Schedule> parseScheduleOrAuto(const std::string &text) try {
  return text == "auto" ? std::nullopt : std::optional(parseSchedule(text));
} catch (const InputError &) {
  throw InputError("schedule", text, "auto, " + std::string(scheduleNames));
}

bool isTensorFile(std::string_view text) {
  return text.ends_with(".npy") || text.find(".npz:") != text.npos ||
         text.find(".safetensors:") != text.npos;
}

/// What masks and scores read: floats as f32, the widest type of the language, integers as i32.
ReadOptions sideFloats(const Session &session, const AttentionFlags &flags) {
  ReadOptions options = floatInputs(session, flags);
  if (!options.as.empty())
    options.as = {DType::F32};
  return options;
}

/// NAME=VALUE or NAME=FILE.
std::pair<std::string, std::string> splitArgument(const std::string &text) {
  size_t equal = text.find('=');
  if (equal == text.npos || equal == 0)
    throw InputError("--arg", "\"" + text + "\"", "NAME=VALUE or NAME=FILE");
  return {text.substr(0, equal), text.substr(equal + 1)};
}

std::pair<std::string, ArgumentValue> readArgument(const std::string &text, ReadOptions options,
                                                   std::vector<HostTensor> &memory) {
  auto [name, value] = splitArgument(text);
  options.as.push_back(DType::I32);
  if (isTensorFile(value))
    return {name, memory.emplace_back(readFile("--arg " + name, value, options)).view()};
  if (value == "true" || value == "false")
    return {name, value == "true"};
  if (auto integer = parseNumber<int64_t>(value))
    return {name, *integer};
  if (auto real = parseNumber<double>(value))
    return {name, *real};
  throw InputError("argument " + name, "\"" + value + "\"",
                   "a number, true, false, FILE.npy, FILE.npz:NAME, FILE.safetensors:NAME");
}

} // namespace

void AttentionFlags::addTo(CLI::App &command) {
  addNumber(command, "--ranks", ranks, "Logical ranks of the world")->type_name("N");
  addNumber(command, "--ring-size", ringSize, "Ranks of one ring, a divisor of N; N unless given")
      ->type_name("M");
  command.add_option("--layout", layout, "contiguous, striped, striped:S or zigzag")
      ->type_name("LAYOUT");
  addScheduleTo(command);
  command.add_flag("--causal", causal, "A query sees no later key");
  addWindowAndScoresTo(command);
  addNumber(command, "--prefix", prefix, "With --causal: everybody sees the first N keys")
      ->type_name("N");
  addFunctionsTo(command);
  command.add_option("--bias", bias, "[b or 1, h or 1, n_q, n_k], added")->type_name("FILE");
  command.add_option("--key-mask", keyMask, "bool, or integers 0 and 1, [b, n_k]: 1 is visible")
      ->type_name("FILE");
  command.add_option("--cu-seqlens", cuSeqlens, "integers, 0 .. n_k rising: where documents begin")
      ->type_name("FILE");
  addHeadsTo(command);
  command
      .add_option("--backward", backward,
                  "split: dq in a kernel of its own, the same bits every time; fused: with dk and "
                  "dv, fewer products, on a GPU in any order of f32 additions; split unless given, "
                  "on the CPU fused where there are KV heads for all processors")
      ->type_name("split|fused");
  command.add_option("--dtype", dtype, "Type to compute in; inputs are rounded to it")
      ->type_name("f32|f16|bf16");
  command
      .add_option("--f32", f32,
                  "With --device cuda: three products of tf32 for one of f32, or one, which is "
                  "faster and within 2e-3")
      ->type_name("3xtf32|tf32");
  command.add_option("--device", device, "cpu unless given")->type_name("cpu|cuda");
  addNumber(command, "--threads", threads,
            "Threads of all ranks together; 0: OMP_NUM_THREADS, or the processors there are")
      ->type_name("T");
  command.add_option("--tile", tile, "Tile sizes by hand")->type_name("q=64,kv=128");
}

void AttentionFlags::addFunctionsTo(CLI::App &command) {
  command.add_option("--mask", masks, "A mask of your own")->type_name("FILE.tile:NAME");
  command.add_option("--score", scores, "A score of your own")->type_name("FILE.tile:NAME");
  command
      .add_option("--arg", arguments, "A parameter of your mask or score: a number, or a tensor")
      ->type_name("NAME=VALUE|FILE");
}

void AttentionFlags::addHeadsTo(CLI::App &command) {
  addNumber(command, "--scale", scale, "d^-1/2 unless given")->type_name("X");
  command.add_option("--kv-head-map", headMap, "blocked: kv = q / group; tiled: kv = q % h_kv")
      ->type_name("blocked|tiled");
}

void AttentionFlags::addWindowAndScoresTo(CLI::App &command) {
  command.add_option("--window", window, "i - L <= j <= i + R; -1 is unbounded")->type_name("L,R");
  addNumber(command, "--softcap", softcap, "C * tanh(s / C)")->type_name("C");
  command.add_flag("--alibi", alibi, "s minus 2^(-8 (h + 1) / heads) * |i - j|");
  command
      .add_option("--alibi-slopes", alibiSlopes,
                  "ALiBi with the slopes of a file, [h]; or of the paper's code, which has others "
                  "where heads is no power of two")
      ->type_name("FILE|paper");
}

void AttentionFlags::addScheduleTo(CLI::App &command) {
  command
      .add_option(
          "--schedule", schedule,
          "ring: keys from neighbour to neighbour, beside the kernels; ring:C: in C chunks, each "
          "with a kernel of its own, for slow links; all-gather: from their owners to all at once, "
          "for short sequences; auto: the faster one, where it needs little memory")
      ->type_name("auto|ring|ring:C|all-gather");
}

AttentionOptions optionsOf(const AttentionFlags &flags) {
  AttentionOptions options;
  options.headMap = parseEnum<HeadMap>("kv head map", flags.headMap);
  if (!flags.backward.empty())
    options.backward = parseEnum<BackwardForm>("backward", flags.backward);
  options.scale = flags.scale;
  options.f32Products = parseEnum<F32Products>("f32", flags.f32);
  options.causal = flags.causal;
  options.prefix = flags.prefix;
  if (!flags.window.empty()) {
    const char *allowed = "L,R: two numbers, each -1 or more";
    std::vector<int64_t> sides = parseIntegers("window", flags.window, allowed);
    if (sides.size() != 2)
      throw InputError("window", flags.window, allowed);
    options.window = {sides[0], sides[1]};
  }
  options.softcap = flags.softcap;
  options.alibi = flags.alibi || !flags.alibiSlopes.empty();
  for (const std::string &mask : flags.masks)
    options.masks.push_back(parseFunction("mask", mask));
  for (const std::string &score : flags.scores)
    options.scores.push_back(parseFunction("score", score));
  options.layout = parseLayout(flags.layout);
  options.ringSize = flags.ringSize;
  options.schedule = parseScheduleOrAuto(flags.schedule);
  options.tile = parseTile(flags.tile);
  return options;
}

HostTensor readFile(const std::string &flag, const std::string &source,
                    const ReadOptions &options) {
  try {
    return readTensor(source, options);
  } catch (const InputError &error) {
    throw InputError(flag + ": " + error.what());
  }
}

ReadOptions floatInputs(const Session &session, const AttentionFlags &flags) {
  ReadOptions options{
      .note = [&session](const std::string &line) { session.say("ringc: " + line); }};
  if (!flags.dtype.empty())
    options.as = {parseFloatType(flags.dtype)};
  return options;
}

void setAlibiSlopes(const Session &session, const AttentionFlags &flags,
                    AttentionOptions &options) {
  if (flags.alibiSlopes == "paper") {
    options.alibiSlopes = alibiSlopesOfPaper(options.heads);
  } else if (!flags.alibiSlopes.empty()) {
    HostTensor given = readFile("--alibi-slopes", flags.alibiSlopes, sideFloats(session, flags));
    if (!isFloat(given.dtype()) || given.rank() != 1 || given.dim(0) != options.heads)
      throw InputError("ALiBi slopes", describe(given),
                       "floats [" + std::to_string(options.heads) + "], one for each head");
    HostTensor slopes(DType::F32, given.shape());
    convert(given, slopes);
    options.alibiSlopes.assign(slopes.dataAs<float>(), slopes.dataAs<float>() + slopes.dim(0));
  }
}

std::vector<std::string> sourcesOf(const AttentionFlags &flags) {
  std::vector<std::string> sources;
  for (const std::string *file : {&flags.bias, &flags.keyMask, &flags.cuSeqlens})
    if (!file->empty())
      sources.push_back(*file);
  if (isTensorFile(flags.alibiSlopes))
    sources.push_back(flags.alibiSlopes);
  for (const std::string &text : flags.arguments)
    if (std::string value = splitArgument(text).second; isTensorFile(value))
      sources.push_back(value);
  for (const std::string &mask : flags.masks)
    sources.push_back(parseFunction("mask", mask).file);
  for (const std::string &score : flags.scores)
    sources.push_back(parseFunction("score", score).file);
  return sources;
}

SideInputs readSideInputs(const Session &session, const AttentionFlags &flags) {
  SideInputs side;
  ReadOptions floats = sideFloats(session, flags);
  auto read = [&](const char *flag, const std::string &file, const ReadOptions &options,
                  std::optional<Tensor> &into) {
    if (!file.empty())
      into = side.memory.emplace_back(readFile(flag, file, options)).view();
  };
  read("--bias", flags.bias, floats, side.inputs.bias);
  read("--key-mask", flags.keyMask, {.as = {DType::Bool}}, side.inputs.keyMask);
  read("--cu-seqlens", flags.cuSeqlens, {.as = {DType::I32}}, side.inputs.cuSeqlens);
  for (const std::string &text : flags.arguments) {
    auto [name, value] = readArgument(text, floats, side.memory);
    if (!side.inputs.arguments.emplace(name, value).second)
      throw InputError("argument " + name, "two values", "one");
  }
  return side;
}

void checkMachine(const AttentionFlags &flags) {
  constexpr int most = 1024;
  if (flags.device != "cpu" && flags.device != "cuda")
    throw InputError("device", flags.device, "cpu, cuda");
  if (flags.device == "cpu" && flags.f32 == enumName(F32Products::Tf32))
    throw InputError("f32", flags.f32,
                     std::string(enumName(F32Products::Tf32x3)) +
                         " with --device cpu, which multiplies in f32");
  auto check = [](const char *argument, int value, int low) {
    if (value < low || value > most)
      throw InputError(argument, std::to_string(value),
                       std::to_string(low) + " to " + std::to_string(most));
  };
  check("ranks", flags.ranks, 1);
  check("threads", flags.threads, 0);
}

DType parseFloatType(const std::string &text) {
  std::optional<DType> dtype = parseDType(text);
  if (!dtype || !isFloat(*dtype))
    throw InputError("dtype", text, "f32, f16, bf16");
  return *dtype;
}

std::map<std::string, int64_t> parseTile(const std::string &text) {
  std::map<std::string, int64_t> tile;
  for (const std::string &part : split(text, ',')) {
    size_t equal = part.find('=');
    auto size = parseNumber<int64_t>(
        std::string_view(part).substr(equal == part.npos ? part.size() : equal + 1));
    if (!size || !tile.emplace(part.substr(0, equal), *size).second)
      throw InputError("tile", text, "sizes by dimension, each once: q=64,kv=128");
  }
  return tile;
}

std::vector<int64_t> parseIntegers(const std::string &argument, const std::string &text,
                                   const std::string &allowed) {
  std::vector<int64_t> numbers;
  for (const std::string &part : split(text, ',')) {
    auto number = parseNumber<int64_t>(part);
    if (!number)
      throw InputError(argument, text, allowed);
    numbers.push_back(*number);
  }
  return numbers;
}

} // namespace ringc::cli
