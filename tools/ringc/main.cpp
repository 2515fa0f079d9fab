#include "tools/ringc/Program.h"

int main(int argc, char **argv) { return ringc::cli::runProgram(argc, argv); }
