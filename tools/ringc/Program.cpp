#include "tools/ringc/Program.h"

#include "ringc/comm/NcclLibrary.h"
#include "ringc/driver/CublasLtLibrary.h"
#include "ringc/driver/CudaDriver.h"
#include "ringc/driver/OneDnnLibrary.h"
#include "ringc/files/TemporaryNames.h"
#include "ringc/support/Error.h"
#include "tools/ringc/Command.h"
#include "tools/ringc/Usage.h"

#include <csignal>
#include <exception>
#include <iostream>
#include <new>
#include <string>

using namespace ringc;
using namespace ringc::cli;

static int run(int argc, char **argv) {
  CLI::App app("A tile compiler and a ring: exact ring attention.", "ringc");
  Session session;
  addCommon(app, session);
  app.require_subcommand(1);
  addCompile(app, session);
  addRun(app, session);
  addDecode(app, session);
  addVerify(app, session);
  addPlan(app, session);
  addBench(app, session);
  addTune(app, session);
  addCache(app, session);
  addInfo(app, session);
  refuseEmptyValues(app);
  app.failure_message(usageMessage);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? Ok : Usage;
  }
  return session.action();
}

int ringc::cli::runProgram(int argc, char **argv) {
  // A file that may not grow is an error of its write, as a full disk is.
  std::signal(SIGXFSZ, SIG_IGN);
  removeTemporaryFilesOnSignals();
  try {
    int code = run(argc, argv);
    std::cout.flush();
    if (!std::cout) {
      std::cerr << "ringc: stdout cannot be written\n";
      return Wrong;
    }
    return code;
  } catch (const InputError &error) {
    std::cerr << "ringc: " + std::string(error.what()) + '\n';
    return Wrong;
  } catch (const CudaError &error) {
    std::cerr << "ringc: " + std::string(error.what()) + '\n';
    return Wrong;
  } catch (const NcclError &error) {
    std::cerr << "ringc: " + std::string(error.what()) + '\n';
    return Wrong;
  } catch (const CublasError &error) {
    std::cerr << "ringc: " + std::string(error.what()) + '\n';
    return Wrong;
  } catch (const OneDnnError &error) {
    std::cerr << "ringc: " + std::string(error.what()) + '\n';
    return Wrong;
  } catch (const std::bad_alloc &) {
    std::cerr << "ringc: out of memory\n";
    return Wrong;
  } catch (const std::exception &error) {
    std::cerr << "ringc: internal error: " << error.what() << '\n';
    return Internal;
  }
}
