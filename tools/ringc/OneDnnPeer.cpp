#include "tools/ringc/OneDnnPeer.h"

#include "ringc/driver/SharedLibrary.h"
#include "ringc/support/Error.h"

#include <array>
#include <map>
#include <utility>

namespace ringc::cli {

namespace {

// dnnl.h and dnnl_types.h, of 2.6 and 3.x; statuses are dnnl_status_t, objects what they point to.
using Status = int;
using Object = void *;
using Dims = std::array<int64_t, 12>;
constexpr int ofCpu = 1;                             // dnnl_cpu
constexpr unsigned inOrder = 1;                      // dnnl_stream_default_flags
constexpr int source = 1, result = 17, weights = 33; // DNNL_ARG_SRC, DST, WEIGHTS

struct Version {
  int major, minor, patch; // and more
};

struct Argument {
  int name;
  Object memory;
};

/// dnnl_memory_desc_t and dnnl_matmul_desc_t of oneDNN 2, which a caller makes room for: 696 and
/// 2800 bytes in 2.6.
using MemoryRoom = std::array<std::byte, 2048>;
using MatmulRoom = std::array<std::byte, 8192>;

int typeOf(DType dtype) { return dtype == DType::F16 ? 1 : dtype == DType::BF16 ? 2 : 3; }

class Library {
public:
  explicit Library(int ofThreads)
      : threads(ofThreads), library(open({"libdnnl.so.3", "libdnnl.so.2"})),
        openmp(open({"libgomp.so.1"})) {
    load(version, "dnnl_version");
    load(engineCreate, "dnnl_engine_create");
    load(streamCreate, "dnnl_stream_create");
    load(streamWait, "dnnl_stream_wait");
    load(primitiveCreate, "dnnl_primitive_create");
    load(memoryCreate, "dnnl_memory_create");
    load(memorySetData, "dnnl_memory_set_data_handle");
    load(execute, "dnnl_primitive_execute");
    if (isThree()) {
      load(layoutCreate, "dnnl_memory_desc_create_with_strides");
      load(matmulCreate, "dnnl_matmul_primitive_desc_create");
    } else {
      load(layoutInit, "dnnl_memory_desc_init_by_strides");
      load(matmulInit, "dnnl_matmul_desc_init");
      load(descCreate, "dnnl_primitive_desc_create");
    }
    setThreads = reinterpret_cast<void (*)(int)>(openmp.find("omp_set_num_threads"));
    check(engineCreate(&engine, ofCpu, 0), "dnnl_engine_create");
    check(streamCreate(&stream, engine, inOrder), "dnnl_stream_create");
  }

  bool isThree() const { return version()->major >= 3; }
  std::string describe() const {
    const Version &known = *version();
    return std::to_string(known.major) + "." + std::to_string(known.minor) + "." +
           std::to_string(known.patch) + ", " + library.path();
  }

  /// An opaque layout, of `room` in oneDNN 2.
  Object layoutOf(MemoryRoom &room, const Tensor &matrix, bool transposed) const {
    int row = transposed ? 1 : 0;
    Dims dims{matrix.dim(row), matrix.dim(1 - row)},
        strides{matrix.stride(row), matrix.stride(1 - row)};
    Object made = room.data();
    check(isThree() ? layoutCreate(&made, 2, dims.data(), typeOf(matrix.dtype()), strides.data())
                    : layoutInit(made, 2, dims.data(), typeOf(matrix.dtype()), strides.data()),
          "a memory descriptor");
    return made;
  }

  Object matmulOf(Object a, Object b, Object c) const {
    Object made = nullptr;
    if (isThree()) {
      check(matmulCreate(&made, engine, a, b, nullptr, c, nullptr), "a matmul");
      return made;
    }
    MatmulRoom room{};
    check(matmulInit(room.data(), a, b, nullptr, c), "a matmul");
    check(descCreate(&made, room.data(), nullptr, engine, nullptr), "a matmul");
    return made;
  }

  static void check(Status status, const std::string &what) {
    if (status != 0)
      throw InputError("oneDNN: " + what, "dnnl_status_t " + std::to_string(status),
                       "types and extents that it has");
  }

  int threads;
  SharedLibrary library, openmp;
  Object engine = nullptr, stream = nullptr;
  const Version *(*version)() = nullptr;
  Status (*engineCreate)(Object *, int, size_t) = nullptr;
  Status (*streamCreate)(Object *, Object, unsigned) = nullptr;
  Status (*streamWait)(Object) = nullptr;
  Status (*primitiveCreate)(Object *, Object) = nullptr;
  Status (*memoryCreate)(Object *, Object, Object, void *) = nullptr;
  Status (*memorySetData)(Object, void *) = nullptr;
  Status (*execute)(Object, Object, int, const Argument *) = nullptr;
  Status (*layoutCreate)(Object *, int, const int64_t *, int, const int64_t *) = nullptr;
  Status (*layoutInit)(Object, int, const int64_t *, int, const int64_t *) = nullptr;
  Status (*matmulCreate)(Object *, Object, Object, Object, Object, Object, Object) = nullptr;
  Status (*matmulInit)(void *, Object, Object, Object, Object) = nullptr;
  Status (*descCreate)(Object *, const void *, Object, Object, Object) = nullptr;
  void (*setThreads)(int) = nullptr;

private:
  static SharedLibrary open(std::initializer_list<std::string> names) {
    std::string problem;
    std::vector<std::string> list(names);
    if (auto opened = SharedLibrary::open(list, problem))
      return *opened;
    throw InputError("oneDNN", problem, "libdnnl.so.3 or .2 (Debian: libdnnl-dev)");
  }
  template <typename Function> void load(Function &function, const char *symbol) const {
    function = reinterpret_cast<Function>(library.find(symbol));
    if (!function)
      throw InputError("oneDNN", library.path() + " without " + symbol, "oneDNN 2.6 or later");
  }
};

/// Objects are kept for the process's life: this is a measurement.
class OneDnn final : public Products {
public:
  explicit OneDnn(int threads) : library(threads) {}

  std::string describe() const { return library.describe(); }

  void multiply(const Factor &a, const Factor &b, const Tensor &c) override {
    checkProduct(a, b, c);
    Ready &ready = known[describeProduct(a, b, c)];
    library.setThreads(library.threads);
    if (!ready.matmul)
      ready = make(a, b, c);
    Library::check(library.memorySetData(ready.a, a.matrix.data()), "a");
    Library::check(library.memorySetData(ready.b, b.matrix.data()), "b");
    Library::check(library.memorySetData(ready.c, c.data()), "c");
    std::array arguments{Argument{source, ready.a}, Argument{weights, ready.b},
                         Argument{result, ready.c}};
    Library::check(library.execute(ready.matmul, library.stream, 3, arguments.data()), "a product");
    Library::check(library.streamWait(library.stream), "a product");
  }

private:
  struct Ready {
    Object matmul = nullptr, a = nullptr, b = nullptr, c = nullptr;
  };

  Ready make(const Factor &a, const Factor &b, const Tensor &c) const {
    MemoryRoom roomA{}, roomB{}, roomC{};
    Object layoutA = library.layoutOf(roomA, a.matrix, a.transposed),
           layoutB = library.layoutOf(roomB, b.matrix, b.transposed),
           layoutC = library.layoutOf(roomC, c, false);
    Ready made;
    Library::check(
        library.primitiveCreate(&made.matmul, library.matmulOf(layoutA, layoutB, layoutC)),
        "a matmul");
    auto memory = [&](Object layout, const Tensor &matrix) {
      Object of = nullptr;
      Library::check(library.memoryCreate(&of, layout, library.engine, matrix.data()), "memory");
      return of;
    };
    made.a = memory(layoutA, a.matrix);
    made.b = memory(layoutB, b.matrix);
    made.c = memory(layoutC, c);
    return made;
  }

  Library library;
  std::map<std::string, Ready> known;
};

} // namespace

MatmulPeer oneDnnPeer(int threads) {
  auto products = std::make_unique<OneDnn>(threads);
  std::string version = products->describe();
  return {"oneDNN", version, std::move(products)};
}

} // namespace ringc::cli
