#pragma once

#include "ringc/Tensor.h"
#include "ringc/driver/SharedLibrary.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace ringc {

/// An object of oneDNN's, or its description: what that is, is the library's business.
using OneDnnObject = void *;

/// dnnl_version_t
struct OneDnnVersion {
  int major, minor, patch; // and more
};

/// dnnl_exec_arg_t
struct OneDnnArgument {
  int name;
  OneDnnObject memory;
};

/// F(member, name in dnnl.h, result, parameters...): what oneDNN 2.6 and 3 have in common.
/// Statuses are dnnl_status_t.
#define RINGC_ONEDNN_FUNCTIONS(F)                                                                  \
  F(version, dnnl_version, const OneDnnVersion *, void)                                            \
  F(engineCreate, dnnl_engine_create, int, OneDnnObject *, int, size_t)                            \
  F(engineDestroy, dnnl_engine_destroy, int, OneDnnObject)                                         \
  F(streamCreate, dnnl_stream_create, int, OneDnnObject *, OneDnnObject, unsigned)                 \
  F(streamWait, dnnl_stream_wait, int, OneDnnObject)                                               \
  F(streamDestroy, dnnl_stream_destroy, int, OneDnnObject)                                         \
  F(attributesCreate, dnnl_primitive_attr_create, int, OneDnnObject *)                             \
  F(attributesDestroy, dnnl_primitive_attr_destroy, int, OneDnnObject)                             \
  F(setScratchpadMode, dnnl_primitive_attr_set_scratchpad_mode, int, OneDnnObject, int)            \
  F(setMathMode, dnnl_primitive_attr_set_fpmath_mode, int, OneDnnObject, int)                      \
  F(describedLayout, dnnl_primitive_desc_query_md, OneDnnObject, OneDnnObject, int, int)           \
  F(layoutBytes, dnnl_memory_desc_get_size, size_t, OneDnnObject)                                  \
  F(descriptionDestroy, dnnl_primitive_desc_destroy, int, OneDnnObject)                            \
  F(primitiveCreate, dnnl_primitive_create, int, OneDnnObject *, OneDnnObject)                     \
  F(primitiveDestroy, dnnl_primitive_destroy, int, OneDnnObject)                                   \
  F(memoryCreate, dnnl_memory_create, int, OneDnnObject *, OneDnnObject, OneDnnObject, void *)     \
  F(memoryDestroy, dnnl_memory_destroy, int, OneDnnObject)                                         \
  F(execute, dnnl_primitive_execute, int, OneDnnObject, OneDnnObject, int, const OneDnnArgument *)

/// Of oneDNN 2, where a caller makes room for descriptions.
#define RINGC_ONEDNN_2_FUNCTIONS(F)                                                                \
  F(layoutInit, dnnl_memory_desc_init_by_strides, int, void *, int, const int64_t *, int,          \
    const int64_t *)                                                                               \
  F(matmulInit, dnnl_matmul_desc_init, int, void *, OneDnnObject, OneDnnObject, OneDnnObject,      \
    OneDnnObject)                                                                                  \
  F(descriptionCreate, dnnl_primitive_desc_create, int, OneDnnObject *, const void *,              \
    OneDnnObject, OneDnnObject, OneDnnObject)

#define RINGC_ONEDNN_3_FUNCTIONS(F)                                                                \
  F(layoutCreate, dnnl_memory_desc_create_with_strides, int, OneDnnObject *, int, const int64_t *, \
    int, const int64_t *)                                                                          \
  F(layoutDestroy, dnnl_memory_desc_destroy, int, OneDnnObject)                                    \
  F(matmulCreate, dnnl_matmul_primitive_desc_create, int, OneDnnObject *, OneDnnObject,            \
    OneDnnObject, OneDnnObject, OneDnnObject, OneDnnObject, OneDnnObject)

struct OneDnnFunctions {
#define RINGC_ONEDNN_MEMBER(member, name, result, ...) result (*member)(__VA_ARGS__) = nullptr;
  RINGC_ONEDNN_FUNCTIONS(RINGC_ONEDNN_MEMBER)
  RINGC_ONEDNN_2_FUNCTIONS(RINGC_ONEDNN_MEMBER)
  RINGC_ONEDNN_3_FUNCTIONS(RINGC_ONEDNN_MEMBER)
#undef RINGC_ONEDNN_MEMBER
};

/// oneDNN is missing, or a call of it failed: names call, object and oneDNN's own code.
class OneDnnError : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// libdnnl.so, opened while the program runs, and its CPU.
class OneDnnLibrary {
public:
  /// Opens libdnnl.so.3 or .2, the first that the dynamic loader finds, or the file `library`.
  /// Throws OneDnnError, which says what is missing, where it was looked for and what to install.
  static std::shared_ptr<const OneDnnLibrary> open(const std::optional<std::string> &library = {});
  ~OneDnnLibrary();
  OneDnnLibrary(const OneDnnLibrary &) = delete;
  OneDnnLibrary &operator=(const OneDnnLibrary &) = delete;

  const OneDnnFunctions &functions() const { return table; }
  OneDnnObject cpu() const { return engine; }
  bool isThree() const { return table.version()->major >= 3; }

  /// "2.6.3"
  std::string version() const;
  const std::string &path() const { return file; }

  /// Throws "oneDNN: a matmul of f32[3, 4] ...: dnnl_status_t 1" unless `status` is 0.
  void check(int status, std::string_view what) const;

  /// While it lives, oneDNN uses so many threads of OpenMP when this thread calls it; threads of
  /// another kind, which it may be built with, are its own business.
  class Threads {
  public:
    Threads(const OneDnnLibrary &of, int count);
    ~Threads();
    Threads(const Threads &) = delete;
    Threads &operator=(const Threads &) = delete;

  private:
    const OneDnnLibrary &library;
    int before = 0;
  };

private:
  OneDnnLibrary() = default;

  OneDnnFunctions table;
  int (*openMpThreads)() = nullptr; ///< null where the library has no OpenMP
  void (*setOpenMpThreads)(int) = nullptr;
  OneDnnObject engine = nullptr;
  std::string file;
};

} // namespace ringc
