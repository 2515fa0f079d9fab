#include "ringc/jit/KernelFolder.h"

#include <doctest/doctest.h>

#include <cstdlib>

using namespace ringc;

TEST_CASE("the folder of kernels follows RINGC_CACHE_DIR, XDG_CACHE_HOME, HOME in this order") {
  CHECK(kernelFolderPath({.cacheDir = "/c", .xdgCacheHome = "/x", .home = "/h"}) == "/c");
  CHECK(kernelFolderPath({.xdgCacheHome = "/x", .home = "/h"}) == "/x/ringc");
  CHECK(kernelFolderPath({.xdgCacheHome = "x", .home = "/h"}) == "/h/.cache/ringc");
  CHECK(kernelFolderPath({.home = "/h"}) == "/h/.cache/ringc");
  CHECK(!kernelFolderPath({}));
}

TEST_CASE("an empty variable counts as unset") {
  setenv("RINGC_CACHE_DIR", "", 1);
  CHECK(!Env::read().cacheDir);
  setenv("RINGC_CACHE_DIR", "/c", 1);
  CHECK(Env::read().cacheDir == "/c");
  unsetenv("RINGC_CACHE_DIR");
  CHECK(!Env::read().cacheDir);
}
