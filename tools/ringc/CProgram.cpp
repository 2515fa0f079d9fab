// The command line tool as a function of the C interface: a package that has libringc.so needs no
// second copy of the compiler for it.

#include "ringc/c/ringc_c.h"
#include "tools/ringc/Program.h"

int ringc_program(int argc, char **argv) { return ringc::cli::runProgram(argc, argv); }
