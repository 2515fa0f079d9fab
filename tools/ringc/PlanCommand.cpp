#include "ringc/attention/HostAttentionRing.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/ring/PlanText.h"
#include "ringc/support/Error.h"
#include "tools/ringc/AttentionFlags.h"
#include "tools/ringc/Command.h"
#include "tools/ringc/Numbers.h"

#include <iostream>

namespace ringc::cli {

namespace {

struct PlanFlags {
  AttentionFlags attention;
  int64_t length = 4096;
  std::optional<int> rank;
  bool json = false;
};

int planCommand(const Session &, const PlanFlags &flags) {
  checkMachine(flags.attention);
  int world = flags.attention.ranks;
  if (flags.rank && (*flags.rank < 0 || *flags.rank >= world))
    throw InputError("rank", std::to_string(*flags.rank), "0 to " + std::to_string(world - 1));
  (void)paddedLength(parseLayout(flags.attention.layout), world, flags.length);

  HostAttentionRing ring(optionsOf(flags.attention), world, hostContext(1));
  Tensor one(nullptr, DType::F32, {1, flags.length, 1, AttentionOptions().headDim});
  for (Pass pass : allPasses) {
    std::vector<Plan> plans = ring.plans(pass, {.q = one, .k = one, .v = one});
    if (flags.rank)
      plans = {plans[size_t(*flags.rank)]};
    if (flags.json)
      std::cout << (pass == Pass::Forward ? "{\n  \"" : ",\n  \"") << nameOf(pass) << "\": ";
    if (flags.json)
      writePlanJson(std::cout, plans, 2);
    else
      writePlanTable(std::cout, plans);
    if (!flags.json && pass == Pass::Forward)
      std::cout << '\n';
  }
  if (flags.json)
    std::cout << "\n}\n";
  return Ok;
}

} // namespace

void addPlan(CLI::App &app, Session &session) {
  auto flags = std::make_shared<PlanFlags>();
  CLI::App *command =
      addCommand(app, session, "plan",
                 "Print who computes and sends what, hop by hop; bytes are those of one f32 head "
                 "of 64 elements",
                 flags, planCommand);
  addNumber(*command, "--ranks", flags->attention.ranks, "Ranks of the world")
      ->type_name("N")
      ->required();
  command->add_option("--layout", flags->attention.layout, "contiguous, striped, striped:S, zigzag")
      ->type_name("L")
      ->required();
  flags->attention.addScheduleTo(*command);
  addNumber(*command, "--ring-size", flags->attention.ringSize, "Ranks of one ring")
      ->type_name("M");
  command->add_flag("--causal", flags->attention.causal, "A query sees no later key");
  command->add_option("--window", flags->attention.window, "i - L <= j <= i + R")->type_name("L,R");
  addNumber(*command, "--length", flags->length, "Of the unsharded sequence")->type_name("n");
  addNumber(*command, "--rank", flags->rank, "This rank alone")->type_name("R");
  command->add_flag("--json", flags->json, "JSON instead of tables");
}

} // namespace ringc::cli
