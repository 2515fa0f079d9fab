#pragma once

namespace ringc::cli {

/// The command line tool: what `main` is given, and its exit code. No exception leaves it; it
/// changes what signals that end a process do.
int runProgram(int argc, char **argv);

} // namespace ringc::cli
