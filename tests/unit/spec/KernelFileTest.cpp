#include "ringc/compiler/spec/KernelFile.h"
#include "ringc/compiler/predicate/Builder.h"
#include "ringc/support/Error.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace ringc;

namespace {

/// Every field differs from its default.
CompiledKernel fullKernel() {
  predicate::Builder builder;
  using predicate::Term, predicate::Variable;
  Term causal =
      Term::of(builder, Variable::KeyPosition) <= Term::of(builder, Variable::QueryPosition);
  CompiledKernel kernel;
  kernel.name = "attention_forward";
  kernel.format = CompiledKernel::Format::Ptx;
  kernel.code = std::string("\x7f"
                            "ELF\0\xff code",
                            10);
  kernel.entry = "entry";
  kernel.arguments = {{.name = "q",
                       .kind = KernelArgument::Kind::View,
                       .type = ElementType::BF16,
                       .axes = {{"B"}, {"Hkv"}, {"G"}, {"Nq"}, {"64"}},
                       .written = true,
                       .slot = 3},
                      {.name = "scale", .kind = KernelArgument::Kind::Scalar, .slot = 9}};
  kernel.slotCount = 10;
  kernel.grid = {{"Nq", 64}, {"M", 2}};
  kernel.perHead = true;
  kernel.groupSize = 4;
  kernel.scratchBytes = 4096;
  kernel.threads = 128;
  kernel.sharedBytes = 65536;
  kernel.carryBytes = 123;
  kernel.serialAxis0 = true;
  kernel.mask = causal.build();
  kernel.provenance = R"({"spec":{}})";
  return kernel;
}

bool decodes(std::string_view bytes, std::string_view key = "key") {
  try {
    decodeKernel(bytes, key);
    return true;
  } catch (const InputError &) {
    return false;
  }
}

} // namespace

TEST_CASE("bytes keep a kernel") {
  CompiledKernel kernel = fullKernel();
  nlohmann::json json = toJson(kernel), defaults = toJson(CompiledKernel{});
  for (const auto &[name, value] : json.items())
    CHECK_MESSAGE(value != defaults[name], name);

  CompiledKernel decoded = decodeKernel(encodeKernel(kernel, "key"), "key");
  CHECK(toJson(decoded) == json);
  CHECK(decoded.code == kernel.code);
  CHECK(decoded.arguments == kernel.arguments);
  CHECK(decoded.mask == kernel.mask);
  CHECK(encodeKernel(decoded, "key") == encodeKernel(kernel, "key"));

  CompiledKernel plain = decodeKernel(encodeKernel(CompiledKernel{}, "k"), "k");
  CHECK(!plain.mask);
  CHECK(plain.code.empty());
}

TEST_CASE("a file of any other length is refused") {
  std::string bytes = encodeKernel(fullKernel(), "key");
  for (size_t length = 0; length < bytes.size(); ++length)
    CHECK_MESSAGE(!decodes(bytes.substr(0, length)), length);
  CHECK(!decodes(bytes + '\0'));
}

TEST_CASE("any flipped bit is noticed") {
  std::string bytes = encodeKernel(fullKernel(), "key");
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
    CHECK_MESSAGE(!decodes(bytes), bit);
    bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
  }
  CHECK(decodes(bytes));
}

TEST_CASE("a file under another's key is refused") {
  CHECK(!decodes(encodeKernel(fullKernel(), "key"), "yek"));
}
