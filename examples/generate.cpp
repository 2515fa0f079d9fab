// Continues a text with a model that train_bytes has saved. Keys and values are kept in pages,
// dealt over the ranks; what it says is what it says without (--no-cache), and on any number of
// ranks.
//
//     example-generate model.safetensors --prompt "The ring " --tokens 100 --ranks 2

#include "ringc/ringc.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <random>
#include <string>
#include <vector>

using namespace ringc;

namespace {

struct Flags {
  std::string checkpoint, prompt = "\n", device = "cpu", dtype = "f32";
  std::optional<int> ranks;
  int64_t tokens = 100, pageSize = 64;
  double temperature = 0;
  uint64_t seed = 1;
  bool noCache = false;

  void addTo(CLI::App &app) {
    app.add_option("CHECKPOINT", checkpoint, "What train_bytes --save wrote")->required();
    app.add_option("--prompt", prompt, "What the text begins with");
    app.add_option("--tokens", tokens, "Bytes to add")
        ->check(CLI::Range(int64_t(0), int64_t(1) << 24));
    app.add_option("--temperature", temperature, "0: always the most likely byte")
        ->check(CLI::NonNegativeNumber);
    app.add_option("--seed", seed, "Of the choice, with a temperature");
    app.add_option("--ranks", ranks, "Ranks that share the keys")->type_name("N");
    app.add_option("--page-size", pageSize, "Tokens of a page");
    app.add_option("--device", device, "Where")->check(CLI::IsMember({"cpu", "cuda"}));
    app.add_option("--dtype", dtype, "Of activations")
        ->check(CLI::IsMember({"f32", "f16", "bf16"}));
    app.add_flag("--no-cache", noCache, "Computes the whole text for each byte");
  }
};

/// The same on each rank: `logits` f32 [1, num_tokens] are.
int32_t choice(const HostTensor &logits, double temperature, std::mt19937_64 &random) {
  const auto *numbers = logits.dataAs<float>();
  int64_t count = logits.elementCount();
  auto best = int32_t(std::max_element(numbers, numbers + count) - numbers);
  if (temperature == 0)
    return best;
  std::vector<double> weights;
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    weights.push_back(std::exp((double(numbers[i]) - double(numbers[best])) / temperature));
    sum += weights.back();
  }
  double left = double(random() >> 11) * 0x1p-53 * sum;
  for (int64_t i = 0; i < count; ++i)
    if ((left -= weights[size_t(i)]) < 0)
      return int32_t(i);
  return best;
}

/// Without a cache: of the whole text, which the first rank brings.
HostTensor lastLogits(RingTransformer &model, const std::vector<int32_t> &text) {
  ModuleRanks &ranks = model.backend().ranks();
  auto length = int64_t(text.size());
  HostTensor tokens(DType::I32, {ranks.rank() == 0 ? 1 : 0, length});
  if (ranks.rank() == 0)
    std::ranges::copy(text, tokens.dataAs<int32_t>());
  SharedTensor logits = model.logits({.tokens = tokens});
  HostTensor read(model.options().dtype, {1, model.options().numTokens}),
      made(DType::F32, read.shape());
  if (ranks.rank() == 0) {
    model.backend().download(logits.view().select(0, 0).slice(0, length - 1, 1), read);
    convert(read, made);
  }
  std::span<std::byte> bytes(made.dataAs<std::byte>(), size_t(made.byteCount()));
  std::ranges::copy(ranks.gather(bytes)[0], bytes.begin());
  return made;
}

void generate(const Flags &flags, const std::shared_ptr<ModuleBackend> &backend) {
  RingTransformerOptions options = optionsOfCheckpoint(flags.checkpoint);
  if (options.numTokens != 256)
    throw InputError(flags.checkpoint, std::to_string(options.numTokens) + " tokens", "256, bytes");
  options.causal = options.ringAttn = true;
  options.dtype = *parseDType(flags.dtype);
  auto most = int64_t(flags.prompt.size()) + flags.tokens;
  int64_t world = backend->ranks().world();
  options.ringSeqSize = options.bucketSize = (most + world - 1) / world;
  RingTransformer model(options, backend, RingTransformerWeights::load(flags.checkpoint, options));
  std::vector<int32_t> text;
  for (char byte : flags.prompt)
    text.push_back(uint8_t(byte));
  bool isFirst = backend->ranks().rank() == 0;
  if (isFirst)
    std::fputs(flags.prompt.c_str(), stdout);

  std::mt19937_64 random(flags.seed);
  std::optional<TokenDecoder> decoder;
  if (!flags.noCache)
    decoder.emplace(model, TokenDecoderOptions{.tokens = most, .pageSize = flags.pageSize});
  std::span<const int32_t> fresh(text);
  for (int64_t added = 0; added < flags.tokens; ++added) {
    HostTensor logits = decoder ? decoder->append(0, fresh) : lastLogits(model, text);
    text.push_back(choice(logits, flags.temperature, random));
    fresh = std::span(text).last(1);
    if (isFirst) {
      std::putchar(text.back());
      std::fflush(stdout);
    }
  }
  if (isFirst)
    std::putchar('\n');
}

} // namespace

int main(int argc, char **argv) try {
  Flags flags;
  CLI::App app("Continues a text with a model of bytes");
  flags.addTo(app);
  CLI11_PARSE(app, argc, argv);
  if (flags.prompt.empty())
    throw InputError("--prompt", "nothing", "one byte or more");
  std::unique_ptr<World> world =
      makeWorld({.ranks = flags.ranks, .onDevices = flags.device == "cuda"});
  onModuleRanks(*world, hostContext(),
                [&](const std::shared_ptr<ModuleBackend> &backend) { generate(flags, backend); });
  return 0;
} catch (const std::exception &error) {
  std::fprintf(stderr, "generate: %s\n", error.what());
  return 1;
}
