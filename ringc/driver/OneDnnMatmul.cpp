#include "ringc/driver/OneDnnMatmul.h"

#include <array>
#include <utility>

namespace ringc {

namespace {

// dnnl_types.h, of 2.6 and 3.
constexpr int unimplemented = 3;                  // dnnl_status_t
constexpr int userScratchpad = 1, strictMath = 0; // dnnl_*_mode_t
constexpr unsigned inOrder = 1;                   // dnnl_stream_flags_t
constexpr int sourceLayout = 129, weightsLayout = 131, resultLayout = 133, scratchLayout = 136;
constexpr int source = 1, result = 17, weights = 33, scratchpad = 80; // DNNL_ARG_*
constexpr int typeOf(DType dtype) { return dtype == DType::F16 ? 1 : dtype == DType::BF16 ? 2 : 3; }

/// dnnl_memory_desc_t and dnnl_matmul_desc_t of oneDNN 2: 696 and 2800 bytes in 2.6.
using LayoutRoom = std::array<std::byte, 2048>;
using MatmulRoom = std::array<std::byte, 8192>;

/// An object that is destroyed with its owner.
class Owned {
public:
  explicit Owned(int (*with)(OneDnnObject)) : destroy(with) {}
  ~Owned() {
    if (object && destroy)
      destroy(object);
  }
  Owned(const Owned &) = delete;
  Owned &operator=(const Owned &) = delete;

  OneDnnObject object = nullptr;

private:
  int (*destroy)(OneDnnObject);
};

/// What oneDNN 2 writes to `room`, and 3 allocates.
class Description {
public:
  Description(const OneDnnLibrary &library, const OneDnnLayout &of)
      : made(library.functions().layoutDestroy) {
    const OneDnnFunctions &call = library.functions();
    // Longer in both than the library reads.
    std::array<int64_t, 12> extents{of.rows, of.columns}, strides{of.rowStride, of.columnStride};
    library.check(
        library.isThree()
            ? call.layoutCreate(&made.object, 2, extents.data(), typeOf(of.dtype), strides.data())
            : call.layoutInit(room.data(), 2, extents.data(), typeOf(of.dtype), strides.data()),
        "a layout");
  }
  OneDnnObject get() { return made.object ? made.object : room.data(); }

private:
  LayoutRoom room{};
  Owned made;
};

} // namespace

std::unique_ptr<OneDnnMatmul> OneDnnMatmul::create(std::shared_ptr<const OneDnnLibrary> from,
                                                   const OneDnnLayout &a, const OneDnnLayout &b,
                                                   const OneDnnLayout &c) {
  std::unique_ptr<OneDnnMatmul> made(new OneDnnMatmul(std::move(from)));
  const OneDnnLibrary &library = *made->library;
  const OneDnnFunctions &call = library.functions();
  Description left(library, a), right(library, b), to(library, c);
  Owned attributes(call.attributesDestroy);
  library.check(call.attributesCreate(&attributes.object), "attributes");
  library.check(call.setScratchpadMode(attributes.object, userScratchpad), "a scratchpad's mode");
  library.check(call.setMathMode(attributes.object, strictMath), "a product's mode");
  int status;
  if (library.isThree()) {
    status = call.matmulCreate(&made->description, library.cpu(), left.get(), right.get(), nullptr,
                               to.get(), attributes.object);
  } else {
    MatmulRoom room{};
    status = call.matmulInit(room.data(), left.get(), right.get(), nullptr, to.get());
    if (status == 0)
      status = call.descriptionCreate(&made->description, room.data(), attributes.object,
                                      library.cpu(), nullptr);
  }
  if (status == unimplemented)
    return nullptr;
  library.check(status, "a matmul");
  library.check(call.primitiveCreate(&made->primitive, made->description), "a matmul");
  if (OneDnnObject layout = call.describedLayout(made->description, scratchLayout, 0))
    made->scratch = call.layoutBytes(layout);
  return made;
}

OneDnnMatmul::~OneDnnMatmul() {
  const OneDnnFunctions &call = library->functions();
  if (primitive)
    call.primitiveDestroy(primitive);
  if (description)
    call.descriptionDestroy(description);
}

bool OneDnnMatmul::run(const void *a, const void *b, void *c, void *scratchMemory) const noexcept {
  const OneDnnFunctions &call = library->functions();
  Owned stream(call.streamDestroy);
  if (call.streamCreate(&stream.object, library->cpu(), inOrder) != 0)
    return false;
  Owned left(call.memoryDestroy), right(call.memoryDestroy), to(call.memoryDestroy),
      between(call.memoryDestroy);
  auto place = [&](Owned &memory, int layout, const void *at) {
    return call.memoryCreate(&memory.object, call.describedLayout(description, layout, 0),
                             library->cpu(), const_cast<void *>(at)) == 0;
  };
  if (!place(left, sourceLayout, a) || !place(right, weightsLayout, b) ||
      !place(to, resultLayout, c) || (scratch && !place(between, scratchLayout, scratchMemory)))
    return false;
  std::array arguments{OneDnnArgument{source, left.object}, OneDnnArgument{weights, right.object},
                       OneDnnArgument{result, to.object},
                       OneDnnArgument{scratchpad, between.object}};
  return call.execute(primitive, stream.object, scratch ? 4 : 3, arguments.data()) == 0 &&
         call.streamWait(stream.object) == 0;
}

} // namespace ringc
