// Trains a transformer on the bytes of a file, whose sequences are dealt over the ranks: threads of
// this process, the processes of mpirun or torchrun, GPUs. Any number of ranks learns the same.
//
//     example-train_bytes README.md --steps 200 --save model.safetensors
//     example-train_bytes README.md --ranks 4 --continue model.safetensors
//     example-generate model.safetensors --prompt "The ring "

#include "examples/LossCurve.h"
#include "ringc/ringc.h"

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdio>
#include <exception>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

using namespace ringc;

namespace {

struct Flags {
  std::string file, save, from, curve = "loss.svg", device = "cpu", dtype = "f32";
  std::optional<int> ranks;
  int64_t steps = 200, length = 256, batch = 4, dim = 128, depth = 2, heads = 4, dimHead = 32;
  int64_t lookBack = -1;
  double rate = 1e-3;
  uint64_t seed = 1;
  bool recompute = false;

  void addTo(CLI::App &app) {
    app.add_option("FILE", file, "Bytes to learn")->required();
    app.add_option("--ranks", ranks, "Ranks that share each sequence")->type_name("N");
    app.add_option("--device", device, "Where")->check(CLI::IsMember({"cpu", "cuda"}));
    app.add_option("--dtype", dtype, "Of activations; weights are f32")
        ->check(CLI::IsMember({"f32", "f16", "bf16"}));
    app.add_option("--steps", steps, "Steps of AdamW")
        ->check(CLI::Range(int64_t(1), int64_t(1) << 30));
    app.add_option("--length", length, "Tokens of a sequence")
        ->check(CLI::Range(int64_t(1), int64_t(1) << 24));
    app.add_option("--batch", batch, "Sequences of a step")
        ->check(CLI::Range(int64_t(1), int64_t(1) << 20));
    app.add_option("--dim", dim, "Elements of a token");
    app.add_option("--depth", depth, "Layers");
    app.add_option("--heads", heads, "Of queries");
    app.add_option("--dim-head", dimHead, "Elements of a head");
    app.add_option("--look-back", lookBack, "Tokens before its own that each sees; -1: all");
    app.add_option("--rate", rate, "Learning rate");
    app.add_option("--seed", seed, "Of weights and batches");
    app.add_flag("--recompute", recompute, "Keep no activations within layers");
    app.add_option("--save", save, "Writes weights and optimiser, .safetensors");
    app.add_option("--continue", from, "Goes on from such a file");
    app.add_option("--curve", curve, "Writes the loss of each step, .svg; \"\": nowhere")
        ->capture_default_str();
  }

  RingTransformerOptions model(int world) const {
    RingTransformerOptions made;
    made.numTokens = 256;
    made.dim = dim;
    made.depth = depth;
    made.heads = heads;
    made.dimHead = dimHead;
    made.causal = true;
    made.ringAttn = made.stripedRingAttn = true;
    made.ringSeqSize = made.bucketSize = (length + world - 1) / world;
    made.dtype = *parseDType(dtype);
    made.recompute = recompute;
    if (lookBack >= 0)
      made.maxLookbackSeqLen = {lookBack};
    return made;
  }
};

/// The bytes of a file, and sequences of one more than `length` from anywhere in it.
class Bytes {
public:
  Bytes(const std::string &path, int64_t tokens) : length(tokens) {
    InputFile file(path);
    if (file.size() < length + 1)
      throw InputError(path, std::to_string(file.size()) + " bytes",
                       std::to_string(length + 1) + " or more, a sequence and its last label");
    bytes.resize(size_t(file.size()));
    file.read(0, std::as_writable_bytes(std::span(bytes)));
  }

  /// The sequences of a step, the same wherever it is asked for; of them those of a rank.
  HostTensor batch(const Flags &flags, int64_t step, const BatchRange &own) const {
    std::mt19937_64 random(flags.seed * 1000003 + uint64_t(step));
    HostTensor made(DType::I32, {own.count, length + 1});
    for (int64_t entry = 0; entry < flags.batch; ++entry) {
      uint64_t from = random() % (bytes.size() - size_t(length));
      for (int64_t i = 0; entry >= own.begin && entry < own.begin + own.count && i <= length; ++i)
        made.dataAs<int32_t>()[(entry - own.begin) * (length + 1) + i] = bytes[from + size_t(i)];
    }
    return made;
  }

private:
  int64_t length;
  std::vector<uint8_t> bytes;
};

/// What the first rank shows: a bar while stderr is a terminal, and a line now and then.
class Report {
public:
  Report(const Flags &of, bool isFirst) : flags(of), shown(isFirst) {
    if (shown)
      std::printf("%8s %10s %14s %12s\n", "step", "loss", "bits per byte", "tokens/s");
  }

  void add(int64_t step, double loss) {
    curve.push_back({step, loss});
    if (!shown)
      return;
    int64_t done = int64_t(curve.size());
    bool isTerminal = isatty(STDERR_FILENO) != 0;
    if (isTerminal)
      std::fprintf(stderr, "\r[%-40s] %ld/%ld loss %.4f", bar(done).c_str(), long(done),
                   long(flags.steps), loss);
    if (done % std::max<int64_t>(1, flags.steps / 10) != 0 && done != flags.steps && done != 1)
      return;
    double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (isTerminal)
      std::fprintf(stderr, "\r%*s\r", 80, "");
    std::printf("%8ld %10.4f %14.4f %12.0f\n", long(step), loss, loss / std::log(2),
                double(done * flags.batch * flags.length) / seconds);
    std::fflush(stdout);
  }

  void end() const {
    if (!shown || flags.curve.empty())
      return;
    OutputFile file(flags.curve);
    file.write(LossCurve(curve).svg());
    file.close();
    file.publish();
  }

private:
  std::string bar(int64_t done) const { return std::string(size_t(done * 40 / flags.steps), '#'); }

  const Flags &flags;
  bool shown;
  std::vector<LossPoint> curve;
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
};

void train(const Flags &flags, const Bytes &bytes, const std::shared_ptr<ModuleBackend> &backend) {
  int rank = backend->ranks().rank(), world = backend->ranks().world();
  RingTransformerOptions options = flags.model(world);
  RingTransformer model(options, backend, RingTransformerWeights::initial(options, flags.seed));
  AdamW optimiser(model, {.rate = flags.rate});
  if (!flags.from.empty())
    optimiser.load(flags.from);
  Report report(flags, rank == 0);
  BatchRange own = batchOfRing(flags.batch, world, rank);
  for (int64_t step = 0; step < flags.steps; ++step) {
    HostTensor tokens = bytes.batch(flags, optimiser.steps(), own);
    RingTransformerLoss forward = model.loss({.tokens = tokens});
    optimiser.step(model.backward(forward));
    report.add(optimiser.steps(), forward.loss);
  }
  report.end();
  if (rank == 0 && !flags.save.empty())
    optimiser.save(flags.save);
}

} // namespace

int main(int argc, char **argv) try {
  Flags flags;
  CLI::App app("Trains a transformer on the bytes of a file");
  flags.addTo(app);
  CLI11_PARSE(app, argc, argv);
  if (!flags.save.empty())
    checkWritable(flags.save);
  if (!flags.curve.empty())
    checkWritable(flags.curve);
  Bytes bytes(flags.file, flags.length);
  std::unique_ptr<World> world =
      makeWorld({.ranks = flags.ranks, .onDevices = flags.device == "cuda"});
  onModuleRanks(*world, hostContext(), [&](const std::shared_ptr<ModuleBackend> &backend) {
    train(flags, bytes, backend);
  });
  return 0;
} catch (const std::exception &error) {
  std::fprintf(stderr, "train_bytes: %s\n", error.what());
  return 1;
}
