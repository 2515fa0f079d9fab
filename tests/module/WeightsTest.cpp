// Weights by the original's names.

#include "ringc/files/File.h"
#include "ringc/files/Safetensors.h"
#include "ringc/module/RingAttentionWeights.h"
#include "ringc/support/Error.h"
#include "tests/module/ModuleTest.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <span>
#include <string>
#include <unistd.h>
#include <vector>

using namespace ringc;
using namespace ringc::test;

namespace {

RingAttentionOptions small() {
  RingAttentionOptions options;
  options.dim = 24;
  options.dimHead = 6;
  options.heads = 4;
  options.numGroupedQueryHeads = 2;
  return options;
}

/// A folder of the test's own, which goes with it.
class Folder {
public:
  Folder()
      : path(std::filesystem::temp_directory_path() /
             ("ringc-weights-" + std::to_string(getpid()))) {
    std::filesystem::create_directory(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file(const std::string &name) const { return path / name; }

private:
  std::filesystem::path path;
};

bool same(const HostTensor &a, const HostTensor &b) {
  return std::ranges::equal(a.shape(), b.shape()) &&
         std::ranges::equal(std::span(a.dataAs<float>(), size_t(a.elementCount())),
                            std::span(b.dataAs<float>(), size_t(b.elementCount())));
}

void write(const std::string &path, std::span<const NamedTensor> tensors) {
  OutputFile file(path);
  writeSafetensors(file, tensors);
  file.close();
  file.publish();
}

} // namespace

TEST_CASE("names and shapes") {
  std::vector<RingAttentionWeight> list = weightsOf(small());
  REQUIRE(list.size() == 3);
  CHECK(list[0].name == "to_qkv.0.gamma");
  CHECK(list[0].shape == std::vector<int64_t>{24});
  CHECK(list[1].name == "to_qkv.1.weight");
  CHECK(list[1].shape == std::vector<int64_t>{(4 + 2 * 2) * 6, 24});
  CHECK(list[2].name == "to_out.weight");
  CHECK(list[2].shape == std::vector<int64_t>{24, 4 * 6});
  RingAttentionOptions bare = small();
  bare.prenorm = false;
  CHECK(weightsOf(bare).size() == 2);
}

TEST_CASE("initial weights are PyTorch's distribution, and a seed's") {
  RingAttentionOptions options = small();
  RingAttentionWeights first = RingAttentionWeights::initial(options, 7),
                       again = RingAttentionWeights::initial(options, 7),
                       other = RingAttentionWeights::initial(options, 8);
  CHECK(same(first.toQkv, again.toQkv));
  CHECK(same(first.toOut, again.toOut));
  CHECK(!same(first.toQkv, other.toQkv));
  float bound = 1 / std::sqrt(24.0f), least = 0, most = 0;
  double squares = 0;
  for (float weight : std::span(first.toQkv.dataAs<float>(), 48 * 24)) {
    least = std::min(least, weight);
    most = std::max(most, weight);
    squares += double(weight) * double(weight);
  }
  CHECK(least >= -bound);
  CHECK(most <= bound);
  CHECK(squares / (48 * 24) == doctest::Approx(bound * bound / 3).epsilon(0.1));
  for (int64_t i = 0; i < 24; ++i)
    CHECK(first.gamma.dataAs<float>()[i] == 1);
}

TEST_CASE("saved and loaded, alone and within a larger model's file") {
  Folder folder;
  RingAttentionOptions options = small();
  RingAttentionWeights weights = RingAttentionWeights::initial(options, 7);
  for (const char *prefix : {"", "layers.0.0."}) {
    std::string path = folder.file("weights.safetensors");
    weights.save(path, prefix);
    RingAttentionWeights loaded = RingAttentionWeights::load(path, options, prefix);
    CHECK(same(weights.gamma, loaded.gamma));
    CHECK(same(weights.toQkv, loaded.toQkv));
    CHECK(same(weights.toOut, loaded.toOut));
  }
  CHECK(std::distance(std::filesystem::directory_iterator(folder.file("")), {}) == 1);
}

TEST_CASE("floats of another type are taken") {
  Folder folder;
  RingAttentionOptions options = small();
  std::string path = folder.file("half.safetensors");
  HostTensor gamma = randomNormal(DType::BF16, {24}, 1),
             qkv = randomNormal(DType::F16, {48, 24}, 2),
             out = randomNormal(DType::BF16, {24, 24}, 3);
  write(path, std::vector<NamedTensor>{
                  {"to_qkv.0.gamma", gamma}, {"to_qkv.1.weight", qkv}, {"to_out.weight", out}});
  RingAttentionWeights loaded = RingAttentionWeights::load(path, options);
  HostTensor exact(DType::F32, {48, 24});
  convert(qkv, exact);
  CHECK(same(loaded.toQkv, exact));
}

TEST_CASE("a file that does not fit says which tensor") {
  Folder folder;
  RingAttentionOptions options = small();
  std::string path = folder.file("weights.safetensors");
  RingAttentionWeights::initial(options, 7).save(path);
  RingAttentionOptions wider = options;
  wider.heads = 8;
  CHECK(messageOf<InputError>([&] { (void)RingAttentionWeights::load(path, wider); }) ==
        path + ":to_qkv.1.weight: got f32[48, 24], allowed: f32[96, 24], as the module's options "
               "have it");
  CHECK(messageOf<InputError>([&] {
          (void)RingAttentionWeights::load(path, options, "layers.3.0.");
        }).starts_with(path + ": got tensor name 'layers.3.0.to_qkv.0.gamma', allowed: "));
  RingAttentionOptions bare = options;
  bare.prenorm = false;
  CHECK(RingAttentionWeights::load(path, bare).gamma.rank() == 0);
}

TEST_CASE("a save that fails leaves what was there") {
  Folder folder;
  CHECK(
      messageOf<InputError>([&] {
        RingAttentionWeights::initial(small(), 7).save(folder.file("nowhere/weights.safetensors"));
      }) != "");
  std::string path = folder.file("weights.safetensors");
  RingAttentionWeights weights = RingAttentionWeights::initial(small(), 7);
  weights.save(path);
  CHECK(messageOf<InputError>([&] { weights.save(path, "\xff"); }) != ""); // not UTF-8
  CHECK(same(RingAttentionWeights::load(path, small()).toQkv, weights.toQkv));
  CHECK(std::distance(std::filesystem::directory_iterator(folder.file("")), {}) == 1);
}
