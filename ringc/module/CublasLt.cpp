#include "ringc/module/CublasLt.h"

#include <compare>
#include <map>
#include <string>
#include <utility>

namespace ringc {

namespace {

/// NVIDIA's advice for compute capability 9.0 and later (cuBLAS, cublasSetWorkspace).
constexpr int64_t workspaceBytes = int64_t(32) << 20;

/// No kernel of it asks for more. More would let the bits depend on where an allocator puts things.
constexpr int64_t mostAlignment = 16;

/// Of batches whose lengths always differ.
constexpr size_t mostPlans = 1024;

CublasType typeOf(DType dtype) {
  return dtype == DType::F32   ? CublasType::F32
         : dtype == DType::F16 ? CublasType::F16
                               : CublasType::BF16;
}

/// The exact products of f32 are those of its own units: they are exact to the last bits, and
/// faster than three of TF32 by matmul.tile.
CublasCompute computeOf(DType dtype, F32Products f32) {
  if (dtype != DType::F32)
    return CublasCompute::F32;
  return f32 == F32Products::Tf32 ? CublasCompute::F32FastTf32 : CublasCompute::F32Pedantic;
}

/// A matrix as it lies in memory, columns beside each other: a row-major one is its transpose.
struct Stored {
  CublasType type{};
  int64_t rows = 0, columns = 0, leading = 0, alignment = 0;

  static Stored of(const Tensor &matrix, int64_t leading) {
    return {typeOf(matrix.dtype()), matrix.dim(1), matrix.dim(0), leading,
            alignmentOf(matrix, mostAlignment)};
  }
  auto operator<=>(const Stored &) const = default;
};

CublasOperation operationOf(const Factor &factor) {
  return factor.transposed ? CublasOperation::Transpose : CublasOperation::None;
}

/// Owns one of the library's objects.
template <typename Object, CublasStatus (*CublasLtFunctions::*destroy)(Object)> class Owned {
public:
  template <typename... Of>
  Owned(const CublasLtLibrary &from, CublasStatus (*create)(Object *, Of...), const char *call,
        Of... of)
      : library(from) {
    library.check(create(&object, of...), call);
  }
  ~Owned() { (void)(library.functions().*destroy)(object); }
  Owned(const Owned &) = delete;
  Owned &operator=(const Owned &) = delete;

  operator Object() const { return object; }

private:
  const CublasLtLibrary &library;
  Object object = nullptr;
};
using Layout = Owned<CublasLtMatrixLayout, &CublasLtFunctions::layoutDestroy>;
using Matmul = Owned<CublasLtMatmulDesc, &CublasLtFunctions::matmulDescDestroy>;
using Preference = Owned<CublasLtMatmulPreference, &CublasLtFunctions::preferenceDestroy>;

} // namespace

/// The product as cuBLAS, whose matrices lie column by column, has it: c' = b' a', so that its
/// A is b and its B is a.
struct CublasLt::Key {
  CublasCompute compute{};
  CublasOperation operationA{}, operationB{};
  Stored a, b, c;

  auto operator<=>(const Key &) const = default;
};

struct CublasLt::Plan {
  Plan(const CublasLtLibrary &library, const Key &key)
      : matmul(library, library.functions().matmulDescCreate, "cublasLtMatmulDescCreate",
               key.compute, CublasType::F32),
        a(layoutOf(library, key.a)), b(layoutOf(library, key.b)), c(layoutOf(library, key.c)) {
    auto set = [&](CublasLtMatmulAttribute attribute, CublasOperation operation) {
      library.check(
          library.functions().matmulDescSet(matmul, attribute, &operation, sizeof operation),
          "cublasLtMatmulDescSetAttribute");
    };
    set(CublasLtMatmulAttribute::TransposeA, key.operationA);
    set(CublasLtMatmulAttribute::TransposeB, key.operationB);
  }

  static Layout layoutOf(const CublasLtLibrary &library, const Stored &matrix) {
    return {library,
            library.functions().layoutCreate,
            "cublasLtMatrixLayoutCreate",
            matrix.type,
            uint64_t(matrix.rows),
            uint64_t(matrix.columns),
            matrix.leading};
  }

  Matmul matmul;
  Layout a, b, c;
  CublasLtHeuristic chosen{};
};

/// Null: there is no kernel.
struct CublasLt::Plans : std::map<Key, std::unique_ptr<Plan>> {};

CublasLt::CublasLt(std::shared_ptr<const CublasLtLibrary> from, const CudaStream &order)
    : library(std::move(from)), stream(order), plans(std::make_unique<Plans>()) {
  CudaCurrent current(*stream.device());
  library->check(library->functions().create(&handle),
                 library->path() + ": cublasLtCreate on " + stream.device()->facts().describe());
  try {
    workspace = DeviceMemory(stream, workspaceBytes);
  } catch (...) {
    (void)library->functions().destroy(handle);
    throw;
  }
}

CublasLt::~CublasLt() {
  plans.reset();
  CudaCurrent current(*stream.device());
  (void)library->functions().destroy(handle);
}

std::unique_ptr<CublasLt::Plan> CublasLt::planOf(const Key &key) const {
  auto plan = std::make_unique<Plan>(*library, key);
  Preference preference(*library, library->functions().preferenceCreate,
                        "cublasLtMatmulPreferenceCreate");
  auto prefer = [&](CublasLtPreferenceAttribute attribute, auto value) {
    library->check(library->functions().preferenceSet(preference, attribute, &value, sizeof value),
                   "cublasLtMatmulPreferenceSetAttribute");
  };
  using enum CublasLtPreferenceAttribute;
  prefer(MaxWorkspaceBytes, uint64_t(workspaceBytes));
  prefer(ReductionSchemeMask, cublasLtReductionInComputeType);
  prefer(MinAlignmentA, uint32_t(key.a.alignment));
  prefer(MinAlignmentB, uint32_t(key.b.alignment));
  prefer(MinAlignmentC, uint32_t(key.c.alignment));
  prefer(MinAlignmentD, uint32_t(key.c.alignment));
  int found = 0;
  CublasStatus status =
      library->functions().heuristic(handle, plan->matmul, plan->a, plan->b, plan->c, plan->c,
                                     preference, 1, &plan->chosen, &found);
  bool none = status == CublasStatus::NotSupported || status == CublasStatus::InvalidValue;
  if (!none)
    library->check(status, "cublasLtMatmulAlgoGetHeuristic");
  if (none || found < 1 || plan->chosen.state != CublasStatus::Success)
    return nullptr;
  return plan;
}

bool CublasLt::multiply(const Factor &a, const Factor &b, const Tensor &c, F32Products f32) {
  auto leadingA = leadingDimension(a.matrix), leadingB = leadingDimension(b.matrix),
       leadingC = leadingDimension(c);
  if (!leadingA || !leadingB || !leadingC)
    return false;
  CudaCurrent current(*stream.device());
  Key key{.compute = computeOf(a.matrix.dtype(), f32),
          .operationA = operationOf(b),
          .operationB = operationOf(a),
          .a = Stored::of(b.matrix, *leadingB),
          .b = Stored::of(a.matrix, *leadingA),
          .c = Stored::of(c, *leadingC)};
  auto known = plans->find(key);
  if (known == plans->end()) {
    if (plans->size() >= mostPlans)
      plans->clear();
    known = plans->emplace(key, planOf(key)).first;
  }
  const Plan *plan = known->second.get();
  if (!plan)
    return false;
  float one = 1, zero = 0; // read before the call returns
  CublasStatus status = library->functions().matmul(
      handle, plan->matmul, &one, b.matrix.data(), plan->a, a.matrix.data(), plan->b, &zero,
      c.data(), plan->c, c.data(), plan->c, &plan->chosen.algorithm, workspace.data(),
      size_t(workspace.bytes()), stream.handle());
  if (status != CublasStatus::Success)
    library->check(status, "cublasLtMatmul of " + describeProduct(a, b, c) + " on " +
                               stream.device()->facts().describe());
  return true;
}

} // namespace ringc
