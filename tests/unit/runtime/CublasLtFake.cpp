// The library itself: see CublasLtFake.h.
#include "tests/unit/runtime/CublasLtFake.h"

#include "ringc/Float16.h"
#include "tests/unit/runtime/CudaFake.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

using namespace ringc;

namespace ringc {

struct CublasLtLayout {
  CublasType type;
  int64_t rows, columns, leading;

  size_t elementBytes() const { return type == CublasType::F32 ? 4 : 2; }
  bool operator==(const CublasLtLayout &) const = default;
};

struct CublasLtMatmul {
  CublasCompute compute;
  bool transposeA = false, transposeB = false;
};

struct CublasLtPreference {
  uint64_t workspaceBytes = 0;
  uint32_t reductions = 7;
  std::map<CublasLtPreferenceAttribute, uint32_t> alignments;
};

} // namespace ringc

struct cublasLtContext {};

namespace {

CublasLtFake fake;
std::mutex mutex;

CublasStatus begun(const std::string &call) {
  std::lock_guard lock(mutex);
  fake.calls.push_back(call);
  return fake.failing == call.substr(0, call.find(' ')) ? fake.failure : CublasStatus::Success;
}

template <typename Object> CublasStatus made(Object **into, Object object, const char *call) {
  CublasStatus status = begun(call);
  if (status != CublasStatus::Success)
    return status;
  *into = new Object(object);
  std::lock_guard lock(mutex);
  ++fake.liveObjects;
  return status;
}

template <typename Object> CublasStatus destroyed(Object *object) {
  delete object;
  std::lock_guard lock(mutex);
  --fake.liveObjects;
  return CublasStatus::Success;
}

/// What the library's documentation lists for f32 sums.
bool isSupported(const CublasLtMatmul &matmul, const CublasLtLayout &a, const CublasLtLayout &b,
                 const CublasLtLayout &c) {
  bool types = a.type == b.type && (c.type == a.type || c.type == CublasType::F32);
  bool compute = a.type == CublasType::F32 || matmul.compute == CublasCompute::F32;
  return types && compute;
}

bool fits(const CublasLtMatmul &matmul, const CublasLtLayout &a, const CublasLtLayout &b,
          const CublasLtLayout &c) {
  auto isMatrix = [](const CublasLtLayout &matrix) {
    return matrix.rows > 0 && matrix.columns > 0 && matrix.leading >= matrix.rows;
  };
  return isMatrix(a) && isMatrix(b) && isMatrix(c) &&
         (matmul.transposeA ? a.columns : a.rows) == c.rows &&
         (matmul.transposeB ? b.rows : b.columns) == c.columns &&
         (matmul.transposeA ? a.rows : a.columns) == (matmul.transposeB ? b.columns : b.rows);
}

/// Of which description an algorithm is, and what it was promised.
struct Algorithm {
  static constexpr uint64_t mark = 0x72696e6763ull;
  uint64_t known;
  int64_t inner, rows, columns;
  uint64_t workspaceBytes;
  uint16_t alignments[4]; ///< of a, b, c, d
};
static_assert(sizeof(Algorithm) <= sizeof(CublasLtAlgorithm));

float read(const void *matrix, const CublasLtLayout &layout, int64_t row, int64_t column) {
  int64_t at = column * layout.leading + row;
  if (layout.type == CublasType::F32)
    return static_cast<const float *>(matrix)[at];
  uint16_t bits = static_cast<const uint16_t *>(matrix)[at];
  return layout.type == CublasType::F16 ? floatFromF16(bits) : floatFromBF16(bits);
}

void write(void *matrix, const CublasLtLayout &layout, int64_t row, int64_t column, double sum) {
  int64_t at = column * layout.leading + row;
  if (layout.type == CublasType::F32)
    static_cast<float *>(matrix)[at] = float(sum);
  else
    static_cast<uint16_t *>(matrix)[at] =
        layout.type == CublasType::F16 ? f16FromFloat(float(sum)) : bf16FromFloat(float(sum));
}

const char *nameOf(CublasCompute compute) {
  return compute == CublasCompute::F32           ? "f32"
         : compute == CublasCompute::F32Pedantic ? "f32 pedantic"
                                                 : "tf32";
}

} // namespace

extern "C" {

CublasLtFake *ringcCublasLtFake() { return &fake; }

size_t cublasLtGetVersion() { return 120903; }

CublasStatus cublasLtCreate(CublasLtHandle *handle) {
  return made(handle, cublasLtContext(), "cublasLtCreate");
}
CublasStatus cublasLtDestroy(CublasLtHandle handle) { return destroyed(handle); }

CublasStatus cublasLtMatmulDescCreate(CublasLtMatmulDesc *desc, CublasCompute compute,
                                      CublasType scale) {
  if (scale != CublasType::F32)
    return CublasStatus::InvalidValue;
  return made(desc, CublasLtMatmul{compute}, "cublasLtMatmulDescCreate");
}
CublasStatus cublasLtMatmulDescDestroy(CublasLtMatmulDesc desc) { return destroyed(desc); }
CublasStatus cublasLtMatmulDescSetAttribute(CublasLtMatmulDesc desc,
                                            CublasLtMatmulAttribute attribute, const void *value,
                                            size_t bytes) {
  CublasOperation operation{};
  if (bytes != sizeof operation)
    return CublasStatus::InvalidValue;
  std::memcpy(&operation, value, bytes);
  bool transposes = operation == CublasOperation::Transpose;
  (attribute == CublasLtMatmulAttribute::TransposeA ? desc->transposeA : desc->transposeB) =
      transposes;
  return CublasStatus::Success;
}

CublasStatus cublasLtMatrixLayoutCreate(CublasLtMatrixLayout *layout, CublasType type,
                                        uint64_t rows, uint64_t columns, int64_t leading) {
  return made(layout, CublasLtLayout{type, int64_t(rows), int64_t(columns), leading},
              "cublasLtMatrixLayoutCreate");
}
CublasStatus cublasLtMatrixLayoutDestroy(CublasLtMatrixLayout layout) { return destroyed(layout); }

CublasStatus cublasLtMatmulPreferenceCreate(CublasLtMatmulPreference *preference) {
  return made(preference, CublasLtPreference(), "cublasLtMatmulPreferenceCreate");
}
CublasStatus cublasLtMatmulPreferenceDestroy(CublasLtMatmulPreference preference) {
  return destroyed(preference);
}
CublasStatus cublasLtMatmulPreferenceSetAttribute(CublasLtMatmulPreference preference,
                                                  CublasLtPreferenceAttribute attribute,
                                                  const void *value, size_t bytes) {
  bool isWorkspace = attribute == CublasLtPreferenceAttribute::MaxWorkspaceBytes;
  if (bytes != (isWorkspace ? 8 : 4))
    return CublasStatus::InvalidValue;
  if (isWorkspace)
    std::memcpy(&preference->workspaceBytes, value, bytes);
  else if (attribute == CublasLtPreferenceAttribute::ReductionSchemeMask)
    std::memcpy(&preference->reductions, value, bytes);
  else
    std::memcpy(&preference->alignments[attribute], value, bytes);
  return CublasStatus::Success;
}

CublasStatus cublasLtMatmulAlgoGetHeuristic(CublasLtHandle, CublasLtMatmulDesc matmul,
                                            CublasLtMatrixLayout a, CublasLtMatrixLayout b,
                                            CublasLtMatrixLayout c, CublasLtMatrixLayout d,
                                            CublasLtMatmulPreference preference, int asked,
                                            CublasLtHeuristic *results, int *found) {
  *found = 0;
  CublasStatus status = begun("cublasLtMatmulAlgoGetHeuristic");
  if (status != CublasStatus::Success)
    return status;
  // Sums in the type of the result would round too early.
  if (!fits(*matmul, *a, *b, *c) || !(*c == *d) || asked < 1 || preference->reductions != 2)
    return CublasStatus::InvalidValue;
  if (fake.hasNoKernel || !isSupported(*matmul, *a, *b, *c))
    return CublasStatus::NotSupported;
  using enum CublasLtPreferenceAttribute;
  auto aligned = [&](CublasLtPreferenceAttribute of) {
    return uint16_t(preference->alignments[of]);
  };
  Algorithm algorithm{Algorithm::mark,
                      matmul->transposeA ? a->rows : a->columns,
                      c->rows,
                      c->columns,
                      preference->workspaceBytes,
                      {aligned(MinAlignmentA), aligned(MinAlignmentB), aligned(MinAlignmentC),
                       aligned(MinAlignmentD)}};
  results[0] = {};
  std::memcpy(&results[0].algorithm, &algorithm, sizeof algorithm);
  results[0].workspaceBytes = preference->workspaceBytes;
  results[0].state = CublasStatus::Success;
  *found = 1;
  return CublasStatus::Success;
}

CublasStatus cublasLtMatmul(CublasLtHandle, CublasLtMatmulDesc desc, const void *alpha,
                            const void *a, CublasLtMatrixLayout layoutA, const void *b,
                            CublasLtMatrixLayout layoutB, const void *beta, const void *c,
                            CublasLtMatrixLayout layoutC, void *d, CublasLtMatrixLayout layoutD,
                            const CublasLtAlgorithm *chosen, void *workspace, size_t workspaceBytes,
                            CudaStreamHandle stream) {
  CublasLtMatmul matmul = *desc;
  CublasLtLayout ofA = *layoutA, ofB = *layoutB, ofD = *layoutD;
  Algorithm algorithm{};
  std::memcpy(&algorithm, chosen, sizeof algorithm);
  int64_t inner = matmul.transposeA ? ofA.rows : ofA.columns;
  CublasStatus status = begun(std::string("cublasLtMatmul ") + (matmul.transposeA ? "T" : "N") +
                              (matmul.transposeB ? "T " : "N ") + nameOf(matmul.compute) + " " +
                              std::to_string(ofD.rows) + "x" + std::to_string(ofD.columns) + "x" +
                              std::to_string(inner));
  if (status != CublasStatus::Success)
    return status;
  auto isAligned = [](const void *memory, uint64_t bytes) {
    return memory && bytes > 0 && reinterpret_cast<uintptr_t>(memory) % bytes == 0;
  };
  const auto &alignments = algorithm.alignments;
  bool asPromised = algorithm.known == Algorithm::mark && algorithm.inner == inner &&
                    algorithm.rows == ofD.rows && algorithm.columns == ofD.columns &&
                    isAligned(a, alignments[0]) && isAligned(b, alignments[1]) &&
                    isAligned(c, alignments[2]) && isAligned(d, alignments[3]) &&
                    isAligned(workspace, 256) && algorithm.workspaceBytes <= workspaceBytes;
  bool overwrites = *static_cast<const float *>(alpha) == 1 &&
                    *static_cast<const float *>(beta) == 0 && c == d && layoutC == layoutD;
  if (!asPromised || !overwrites || !fits(matmul, ofA, ofB, ofD))
    return CublasStatus::InvalidValue;
  auto compute = [=] {
    for (int64_t j = 0; j < ofD.columns; ++j)
      for (int64_t i = 0; i < ofD.rows; ++i) {
        double sum = 0;
        for (int64_t k = 0; k < inner; ++k)
          sum += double(matmul.transposeA ? read(a, ofA, k, i) : read(a, ofA, i, k)) *
                 double(matmul.transposeB ? read(b, ofB, j, k) : read(b, ofB, k, j));
        write(d, ofD, i, j, sum);
      }
    return true;
  };
  CudaFakeWork work{.begin = [compute] { return compute; }};
  ringcCudaFakeEnqueue(stream, &work);
  return CublasStatus::Success;
}

} // extern "C"
