#include "tools/ringc/MatmulPeers.h"

#include "ringc/compiler/spec/Target.h"
#include "ringc/driver/OneDnnLibrary.h"
#include "ringc/driver/SharedLibrary.h"
#include "ringc/support/Error.h"
#include "tools/ringc/OneDnnPeer.h"

#include <cstdlib>

namespace ringc::cli {

namespace {

// cblas.h
constexpr int rowMajor = 101, asItIs = 111, turned = 112;
using Sgemm = void (*)(int, int, int, int, int, int, float, const float *, int, const float *, int,
                       float, float *, int);

class OpenBlas final : public Products {
public:
  explicit OpenBlas(int threads) : library(open()), sgemm(find<Sgemm>("cblas_sgemm")) {
    find<void (*)(int)>("openblas_set_num_threads")(threads);
  }

  /// Of which processor its kernels are, too.
  std::string describe() const {
    return find<char *(*)()>("openblas_get_config")() + std::string(", ") + library.path();
  }

  void multiply(const Factor &a, const Factor &b, const Tensor &c) override {
    checkProduct(a, b, c);
    auto leadingA = leadingDimension(a.matrix), leadingB = leadingDimension(b.matrix),
         leadingC = leadingDimension(c);
    if (a.matrix.dtype() != DType::F32 || !leadingA || !leadingB || !leadingC)
      throw InputError("OpenBLAS", describeProduct(a, b, c), "f32");
    sgemm(rowMajor, a.transposed ? turned : asItIs, b.transposed ? turned : asItIs, int(c.dim(0)),
          int(c.dim(1)), int(a.columns()), 1, a.matrix.dataAs<float>(), int(*leadingA),
          b.matrix.dataAs<float>(), int(*leadingB), 0, c.dataAs<float>(), int(*leadingC));
  }

private:
  static SharedLibrary open() {
    std::vector<std::string> names = {"libopenblas.so.0"};
    std::string problem;
    if (auto opened = SharedLibrary::open(names, problem))
      return *opened;
    throw InputError("OpenBLAS", problem, "libopenblas.so.0 (Debian: libopenblas0)");
  }
  template <typename Function> Function find(const char *symbol) const {
    if (void *found = library.find(symbol))
      return reinterpret_cast<Function>(found);
    throw InputError("OpenBLAS", library.path() + " without " + symbol, "OpenBLAS 0.3 or later");
  }

  SharedLibrary library;
  Sgemm sgemm;
};

} // namespace

std::vector<MatmulPeer> matmulPeers(int threads, std::vector<std::string> &missing) {
  // Before they are opened. Threads that look for work would take others' time.
  setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0);
  std::vector<MatmulPeer> peers;
  auto add = [&](auto make) {
    try {
      peers.push_back(make());
    } catch (const InputError &error) {
      missing.emplace_back(error.what());
    } catch (const OneDnnError &error) {
      missing.emplace_back(error.what());
    }
  };
  add([&] { return oneDnnPeer(threads); });
  add([&] {
    auto products = std::make_unique<OpenBlas>(threads);
    std::string version = products->describe();
    return MatmulPeer{"OpenBLAS", version, std::move(products)};
  });
  return peers;
}

} // namespace ringc::cli
