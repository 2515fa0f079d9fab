#include "ringc/driver/SharedLibrary.h"

#include <climits>
#include <dlfcn.h>

namespace ringc {

SharedLibrary::SharedLibrary(void *opened, const std::string &name) : handle(opened), file(name) {
  char folder[PATH_MAX];
  if (name.find('/') == name.npos && dlinfo(handle, RTLD_DI_ORIGIN, folder) == 0)
    file = std::string(folder) + "/" + name;
}

std::optional<SharedLibrary> SharedLibrary::open(std::span<const std::string> names,
                                                 std::string &problem) {
  for (const std::string &name : names) {
    if (void *handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL))
      return SharedLibrary(handle, name);
    const char *why = dlerror();
    problem += (problem.empty() ? "" : "; ") + (why ? std::string(why) : name);
  }
  return std::nullopt;
}

void *SharedLibrary::find(const char *symbol) const { return dlsym(handle, symbol); }

} // namespace ringc
