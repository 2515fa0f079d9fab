#include "ringc/compiler/spec/KernelRequest.h"

#include <doctest/doctest.h>

#include <set>

using namespace ringc;

namespace {

KernelRequest baseRequest() {
  return {.spec = {.headDim = 64},
          .sources = SourceSet({{"a.tile", "kernel a"}, {"b.tile", "kernel b"}}),
          .pipelineOptions = "{}",
          .compilerBuild = "build-1",
          .llvmVersion = "22.1"};
}

/// One request for each thing that can differ.
std::vector<KernelRequest> changedRequests() {
  std::vector<KernelRequest> requests;
  auto changed = [&](auto change) {
    requests.push_back(baseRequest());
    change(requests.back());
  };
  changed([](auto &r) { r.spec.kernel = "attention_delta"; });
  changed([](auto &r) { r.spec.source = "a.tile"; });
  changed([](auto &r) { r.spec.headDim = 65; });
  changed([](auto &r) { r.spec.valueHeadDim = 65; });
  changed([](auto &r) { r.spec.groupSize = 2; });
  changed([](auto &r) { r.spec.headMap = HeadMap::Tiled; });
  changed([](auto &r) { r.spec.f32Products = F32Products::Tf32; });
  changed([](auto &r) { r.spec.dtype = ElementType::F16; });
  changed([](auto &r) { r.spec.queryLayout = LayoutKind::Striped; });
  changed([](auto &r) { r.spec.keyLayout = LayoutKind::Striped; });
  changed([](auto &r) { r.spec.mask = {"causal"}; });
  changed([](auto &r) { r.spec.score = {"causal"}; });
  changed([](auto &r) { r.spec.constants = {{"q", 1}}; });
  changed([](auto &r) { r.spec.types = {{"q", ElementType::F16}}; });
  changed([](auto &r) { r.spec.tile = {{"q", 1}}; });
  changed([](auto &r) { r.spec.target = "native"; });
  changed([](auto &r) { r.config.tile = {{"q", 1}}; });
  changed([](auto &r) { r.config.microRows = 1; });
  changed([](auto &r) { r.config.microVectors = 1; });
  changed([](auto &r) { r.config.microDepth = 1; });
  changed([](auto &r) { r.pipelineOptions = "{\"x\":1}"; });
  changed([](auto &r) { r.target.name = "native"; });
  changed([](auto &r) { r.target.triple = "aarch64"; });
  changed([](auto &r) { r.target.chip = "znver4"; });
  changed([](auto &r) { r.target.features = "+avx2"; });
  changed([](auto &r) { r.target.vectorBytes = 64; });
  changed([](auto &r) { r.target.vectorRegisters = 32; });
  changed([](auto &r) { r.target.hasBf16Dot = true; });
  changed([](auto &r) { r.target.pairSpeed = 50; });
  changed([](auto &r) { r.target.hasBf16Tiles = true; });
  changed([](auto &r) { r.target.hasF16Tiles = true; });
  changed([](auto &r) { r.target.tileSpeed = 50; });
  changed([](auto &r) { r.target.l1Bytes = 65536; });
  changed([](auto &r) { r.target.l2Bytes = 65536; });
  changed([](auto &r) { r.target.sm = 80; });
  changed([](auto &r) { r.target.sharedBytes = 65536; });
  changed([](auto &r) { r.compilerBuild = "build-2"; });
  changed([](auto &r) { r.llvmVersion = "22.2"; });
  changed([](auto &r) { r.sources = SourceSet({{"a.tile", "kernel a"}, {"b.tile", "kernel c"}}); });
  changed([](auto &r) { r.sources = SourceSet({{"a.tile", "kernel ab"}, {".tile", "kernel b"}}); });
  changed([](auto &r) { r.sources = SourceSet(std::vector<SourceText>{{"a.tile", "kernel a"}}); });
  return requests;
}

} // namespace

TEST_CASE("SHA-256 is the standard's") {
  CHECK(toHex(sha256("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(toHex(sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(toHex(sha256(std::string(1000000, 'a'))) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("whatever decides a kernel's bytes changes the key") {
  std::set<std::string> keys = {cacheKey(baseRequest())};
  std::set<size_t> hashes = {KernelRequestHash()(baseRequest())};
  for (const KernelRequest &request : changedRequests()) {
    CHECK(!(request == baseRequest()));
    CHECK(keys.insert(cacheKey(request)).second);
    CHECK(hashes.insert(KernelRequestHash()(request)).second);
  }
}

TEST_CASE("equal requests have equal keys, whoever holds the text") {
  CHECK(baseRequest() == baseRequest());
  CHECK(cacheKey(baseRequest()) == cacheKey(baseRequest()));
  CHECK(KernelRequestHash()(baseRequest()) == KernelRequestHash()(baseRequest()));
  CHECK(cacheKey(baseRequest()).size() == 64);
}
