#include "tools/ringc/OneDnnPeer.h"

#include "ringc/driver/OneDnnMatmul.h"
#include "ringc/support/Error.h"

#include <map>
#include <utility>

namespace ringc::cli {

namespace {

/// The whole product at once, on threads of its own.
class OneDnn final : public Products {
public:
  explicit OneDnn(int ofThreads) : threads(ofThreads), library(OneDnnLibrary::open()) {}

  std::string describe() const { return library->version() + ", " + library->path(); }

  void multiply(const Factor &a, const Factor &b, const Tensor &c) override {
    checkProduct(a, b, c);
    OneDnnLibrary::Threads own(*library, threads);
    Ready &ready = known[describeProduct(a, b, c)];
    if (!ready.matmul) {
      ready.matmul = OneDnnMatmul::create(library, layoutOf(a.matrix, a.transposed),
                                          layoutOf(b.matrix, b.transposed), layoutOf(c, false));
      if (!ready.matmul)
        throw InputError("oneDNN", describeProduct(a, b, c), "types that it multiplies");
      ready.scratch = HostTensor(DType::Bool, {int64_t(ready.matmul->scratchBytes())});
    }
    if (!ready.matmul->run(a.matrix.data(), b.matrix.data(), c.data(), ready.scratch.data()))
      throw OneDnnError("oneDNN: " + describeProduct(a, b, c) + " failed");
  }

private:
  struct Ready {
    std::unique_ptr<OneDnnMatmul> matmul;
    HostTensor scratch;
  };

  static OneDnnLayout layoutOf(const Tensor &matrix, bool transposed) {
    int row = transposed ? 1 : 0;
    return {matrix.dtype(), matrix.dim(row), matrix.dim(1 - row), matrix.stride(row),
            matrix.stride(1 - row)};
  }

  int threads;
  std::shared_ptr<const OneDnnLibrary> library;
  std::map<std::string, Ready> known;
};

} // namespace

MatmulPeer oneDnnPeer(int threads) {
  auto products = std::make_unique<OneDnn>(threads);
  std::string version = products->describe();
  return {"oneDNN", version, std::move(products)};
}

} // namespace ringc::cli
