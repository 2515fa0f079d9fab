#include "ringc/module/ProductsChoice.h"

#include "ringc/Env.h"
#include "ringc/module/CublasLt.h"
#include "ringc/module/CublasLtProducts.h"
#include "ringc/module/OneDnnProducts.h"
#include "ringc/module/TileProducts.h"

namespace ringc {

namespace {

constexpr const char *notLookedFor = "none";

void say(const TellProducts &tell, const std::string &line) {
  if (tell)
    tell("products: " + line);
}

} // namespace

ProductsChoice ProductsChoice::onDevice(const Env &env, ModuleKernels &kernels,
                                        const CudaStream &stream, const TellProducts &tell) {
  ProductsChoice choice(kernels);
  const std::optional<std::string> &file = env.cublasLtLibrary;
  if (file == notLookedFor) {
    say(tell, "matmul.tile, as RINGC_CUBLASLT_LIBRARY says");
    return choice;
  }
  try {
    auto library = CublasLtLibrary::open(file);
    choice.cublas = std::make_shared<CublasLt>(library, stream);
    say(tell, "cuBLASLt " + library->version() + ", " + library->path());
  } catch (const CublasError &error) {
    if (file)
      throw;
    say(tell, std::string("matmul.tile; ") + error.what());
  }
  return choice;
}

ProductsChoice ProductsChoice::onHost(const Env &env, ModuleKernels &kernels, HostPool &pool,
                                      const TellProducts &tell) {
  ProductsChoice choice(kernels);
  choice.pool = &pool;
  const std::optional<std::string> &file = env.oneDnnLibrary;
  if (file == notLookedFor) {
    say(tell, "matmul.tile, as RINGC_ONEDNN_LIBRARY says");
    return choice;
  }
  try {
    choice.oneDnn = OneDnnLibrary::open(file);
    say(tell, "oneDNN " + choice.oneDnn->version() + ", " + choice.oneDnn->path());
  } catch (const OneDnnError &error) {
    if (file)
      throw;
    say(tell, std::string("matmul.tile; ") + error.what());
  }
  return choice;
}

std::unique_ptr<Products> ProductsChoice::make(F32Products f32) const {
  auto tiles = std::make_unique<TileProducts>(*kernels, f32);
  if (cublas)
    return std::make_unique<CublasLtProducts>(cublas, std::move(tiles), f32);
  if (oneDnn)
    return std::make_unique<OneDnnProducts>(oneDnn, *pool, std::move(tiles));
  return tiles;
}

} // namespace ringc
