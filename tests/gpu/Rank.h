#pragma once

namespace ringc::test {

/// One rank of a world of processes over NCCL, as nccl_test.py starts them, with RANK and the like
/// set: `test-gpu rank MODE [DEADLINE_MS]`. Returns the exit code.
int runRank(int argc, char **argv);

} // namespace ringc::test
