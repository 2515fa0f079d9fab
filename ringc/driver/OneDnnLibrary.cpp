#include "ringc/driver/OneDnnLibrary.h"

#include <vector>

namespace ringc {

namespace {

constexpr int cpuEngine = 1; // dnnl_cpu

constexpr const char *install =
    "install oneDNN 2.6 or later (Debian: libdnnl2, later libdnnl3), or name the "
    "file in RINGC_ONEDNN_LIBRARY";

template <typename Function>
void load(Function &function, const SharedLibrary &library, const char *symbol) {
  function = reinterpret_cast<Function>(library.find(symbol));
  if (!function)
    throw OneDnnError(library.path() + " has no " + symbol + ": an old oneDNN; " + install);
}

} // namespace

std::shared_ptr<const OneDnnLibrary> OneDnnLibrary::open(const std::optional<std::string> &asked) {
  std::vector<std::string> names = {"libdnnl.so.3", "libdnnl.so.2"};
  if (asked)
    names = {*asked};
  std::string problem;
  auto opened = SharedLibrary::open(names, problem);
  if (!opened)
    throw OneDnnError("no oneDNN: " + problem + " (looked for " +
                      (asked ? "what RINGC_ONEDNN_LIBRARY names"
                             : "libdnnl.so in LD_LIBRARY_PATH and the loader's folders") +
                      "); " + install);
  std::shared_ptr<OneDnnLibrary> library(new OneDnnLibrary);
  library->file = opened->path();
#define RINGC_ONEDNN_LOAD(member, name, ...) load(library->table.member, *opened, #name);
  RINGC_ONEDNN_FUNCTIONS(RINGC_ONEDNN_LOAD)
  if (library->isThree()) {
    RINGC_ONEDNN_3_FUNCTIONS(RINGC_ONEDNN_LOAD)
  } else {
    RINGC_ONEDNN_2_FUNCTIONS(RINGC_ONEDNN_LOAD)
  }
#undef RINGC_ONEDNN_LOAD
  // Found through the library that needs it: of several OpenMPs in a process that one counts.
  library->openMpThreads = reinterpret_cast<int (*)()>(opened->find("omp_get_max_threads"));
  library->setOpenMpThreads = reinterpret_cast<void (*)(int)>(opened->find("omp_set_num_threads"));
  library->check(library->table.engineCreate(&library->engine, cpuEngine, 0), "its CPU");
  return library;
}

OneDnnLibrary::~OneDnnLibrary() {
  if (engine)
    table.engineDestroy(engine);
}

std::string OneDnnLibrary::version() const {
  const OneDnnVersion &known = *table.version();
  return std::to_string(known.major) + "." + std::to_string(known.minor) + "." +
         std::to_string(known.patch);
}

void OneDnnLibrary::check(int status, std::string_view what) const {
  if (status != 0)
    throw OneDnnError("oneDNN: " + std::string(what) + ": dnnl_status_t " + std::to_string(status));
}

OneDnnLibrary::Threads::Threads(const OneDnnLibrary &of, int count) : library(of) {
  if (!library.openMpThreads || !library.setOpenMpThreads)
    return;
  before = library.openMpThreads();
  if (before != count)
    library.setOpenMpThreads(count);
}

OneDnnLibrary::Threads::~Threads() {
  if (before)
    library.setOpenMpThreads(before);
}

} // namespace ringc
