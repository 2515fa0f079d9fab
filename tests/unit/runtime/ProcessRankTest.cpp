// Who a process is, from the variables of launchers.

#include "ringc/comm/ProcessRank.h"

#include "ringc/Env.h"
#include "ringc/support/Error.h"

#include <doctest/doctest.h>

#include <string>

using namespace ringc;

namespace {

void set(LauncherVariables &by, const char *rank, const char *world, const char *local = nullptr) {
  by.rank = rank ? std::optional<std::string>(rank) : std::nullopt;
  by.world = world ? std::optional<std::string>(world) : std::nullopt;
  by.localRank = local ? std::optional<std::string>(local) : std::nullopt;
}

Env launched() {
  Env env;
  set(env.variables, "3", "8", "1");
  env.masterAddress = "10.0.0.1";
  env.masterPort = "1234";
  return env;
}

/// "3 of 8", "alone", or what is wrong.
std::string place(const Env &env) {
  try {
    std::optional<ProcessRank> process = ProcessRank::of(env);
    return process ? std::to_string(process->rank) + " of " + std::to_string(process->world)
                   : "alone";
  } catch (const InputError &error) {
    return error.what();
  }
}

} // namespace

TEST_CASE("a process knows its rank from its launcher") {
  CHECK_FALSE(ProcessRank::of({}).has_value());
  ProcessRank process = *ProcessRank::of(launched());
  CHECK(process.rank == 3);
  CHECK(process.world == 8);
  CHECK(process.localRank == 1);
  CHECK(process.masterAddress == "10.0.0.1");
  CHECK(process.masterPort == 1234);
  Env torchrun = launched();
  torchrun.torchrun = "none";
  CHECK(ProcessRank::of(torchrun)->masterPort == 1235);
  Env other;
  set(other.pmi, "1", "2", "0");
  other.jobToken = "secret";
  other.job = "job 7";
  process = *ProcessRank::of(other);
  CHECK(process.worldVariable == "PMI_SIZE");
  CHECK(process.localRank == 0);
  CHECK(process.token == "secret");
  CHECK(process.job == "job 7");
}

TEST_CASE("srun names no master: rank 0 is on the step's first host") {
  Env env;
  set(env.slurm, "1", "4");
  auto addressOf = [&](const char *nodes) {
    env.slurmNodes = nodes;
    return ProcessRank::of(env)->masterAddress;
  };
  CHECK(addressOf("gpu07,gpu09") == "gpu07");
  CHECK(addressOf("gpu[007-015,020],big1") == "gpu007");
  CHECK(addressOf("gpu[7,9]") == "gpu7");
  CHECK(addressOf("rack[2-3]-gpu") == "rack2-gpu");
  CHECK(addressOf("rack2-gpu[2-3],b") == "rack2-gpu2");
  CHECK(addressOf("gpu[") == "gpu");
  SUBCASE("one host may not know itself by that name") { CHECK(addressOf("gpu07") == "127.0.0.1"); }
  SUBCASE("mpirun is asked first") {
    set(env.openMpi, "1", "4");
    CHECK(addressOf("gpu[7,9]") == "127.0.0.1");
  }
  SUBCASE("the user even before it") {
    env.masterAddress = "10.0.0.1";
    CHECK(addressOf("gpu[7,9]") == "10.0.0.1");
  }
}

TEST_CASE("variables that cannot be are named") {
  Env env;
  auto variables = [&](const char *rank, const char *world, const char *local = nullptr) {
    set(env.variables, rank, world, local);
    return place(env);
  };
  CHECK(variables("8", "8") == "RANK: got 8, allowed: 0 to 7");
  CHECK(variables("-1", "8") == "RANK: got -1, allowed: 0 to 7");
  CHECK(variables("x", "8") == "RANK: got x, allowed: 0 to 7");
  CHECK(variables("0", "two") == "WORLD_SIZE: got two, allowed: 1 to 2147483647");
  CHECK(variables("0", "0") == "WORLD_SIZE: got 0, allowed: 1 to 2147483647");
  CHECK(variables("0", "99999999999") == "WORLD_SIZE: got 99999999999, allowed: 1 to 2147483647");
  CHECK(variables("0", "2 ") == "WORLD_SIZE: got 2 , allowed: 1 to 2147483647");
  CHECK(variables("0", "2", "2") == "LOCAL_RANK: got 2, allowed: 0 to 1");
  env = launched();
  env.masterPort = "70000";
  CHECK(place(env) == "MASTER_PORT: got 70000, allowed: 1 to 65534");
}

TEST_CASE("one variable of two is no launcher") {
  Env env;
  set(env.variables, "2", nullptr);
  CHECK(place(env) ==
        "RANK: got 2, allowed: WORLD_SIZE beside it, as a launcher sets both, or neither");
  set(env.variables, nullptr, "4");
  CHECK(place(env) ==
        "WORLD_SIZE: got 4, allowed: RANK beside it, as a launcher sets both, or neither");
  set(env.variables, nullptr, "1");
  CHECK(place(env) == "0 of 1");
  set(env.variables, nullptr, nullptr);
  set(env.pmi, nullptr, "4");
  CHECK(place(env) ==
        "PMI_SIZE: got 4, allowed: PMI_RANK beside it, as a launcher sets both, or neither");
  set(env.pmi, nullptr, nullptr);
  SUBCASE("a batch script of Slurm's, or the shell of salloc, is alone") {
    set(env.slurm, "0", nullptr, "0");
    CHECK(place(env) == "alone");
    set(env.slurm, nullptr, nullptr);
    CHECK(place(env) == "alone");
    set(env.slurm, "0", "1", "0"); // an interactive step
    CHECK(place(env) == "0 of 1");
  }
}

TEST_CASE("of two launchers the inner one counts, and half of one has to fit the other") {
  Env env;
  set(env.variables, "3", "8");
  set(env.slurm, "0", "2"); // srun of a torchrun a host
  CHECK(place(env) == "3 of 8");
  set(env.openMpi, "3", "8");
  CHECK(place(env) == "3 of 8");
  CHECK(ProcessRank::of(env)->launcher == ProcessRank::Launcher::Mpi); // what both say
  set(env.openMpi, "1", "4");
  CHECK(place(env) == "3 of 8");
  CHECK(ProcessRank::of(env)->launcher == ProcessRank::Launcher::Variables);
  set(env.variables, nullptr, "4"); // what a user passes on
  CHECK(place(env) == "1 of 4");
  set(env.variables, nullptr, "8");
  CHECK(place(env) == "WORLD_SIZE: got 8, allowed: 4, as OMPI_COMM_WORLD_RANK 1 of "
                      "OMPI_COMM_WORLD_SIZE 4 says, or not set");
}
