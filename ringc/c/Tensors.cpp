#include "ringc/c/Tensors.h"

#include "ringc/c/Context.h"
#include "ringc/c/Status.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace ringc::c {

namespace {

struct TypeOfElements {
  DType dtype;
  uint8_t code, bits;
};
constexpr std::array<TypeOfElements, 6> types = {{{DType::F32, RINGC_FLOAT, 32},
                                                  {DType::F16, RINGC_FLOAT, 16},
                                                  {DType::BF16, RINGC_BFLOAT, 16},
                                                  {DType::I32, RINGC_INT, 32},
                                                  {DType::I64, RINGC_INT, 64},
                                                  {DType::Bool, RINGC_BOOL, 8}}};

DType typeOf(std::string_view argument, const ringc_dtype &dtype) {
  if (dtype.lanes != 1)
    throw InputError("lanes of " + std::string(argument), std::to_string(dtype.lanes), "1");
  for (const TypeOfElements &each : types)
    if (each.code == dtype.code && each.bits == dtype.bits)
      return each.dtype;
  throw InputError("dtype of " + std::string(argument),
                   "code " + std::to_string(dtype.code) + " of " + std::to_string(dtype.bits) +
                       " bits",
                   "f32, f16, bf16, i32, i64, bool");
}

std::string nameOf(const ringc_device &device) {
  std::string id = std::to_string(device.id);
  switch (device.type) {
  case RINGC_CPU:
    return "the CPU";
  case RINGC_CUDA:
    return "CUDA device " + id;
  case RINGC_CUDA_HOST:
    return "the host, page-locked";
  case RINGC_CUDA_MANAGED:
    return "managed memory of CUDA device " + id;
  }
  return "DLPack's device type " + std::to_string(device.type);
}

void requireData(std::string_view argument, const Tensor &tensor) {
  if (tensor.empty())
    return;
  if (!tensor.data())
    throw InputError("data of " + std::string(argument), "NULL", "an address");
  auto address = reinterpret_cast<uintptr_t>(tensor.data());
  if (address % sizeOf(tensor.dtype()) != 0)
    throw InputError("data of " + std::string(argument), "the address " + std::to_string(address),
                     "a multiple of " + std::to_string(sizeOf(tensor.dtype())) + ", an element");
}

void requirePlaces(std::string_view argument, const Tensor &tensor) {
  if (tensor.empty())
    return;
  std::vector<int> axes(size_t(tensor.rank()));
  std::iota(axes.begin(), axes.end(), 0);
  std::erase_if(axes, [&](int axis) { return tensor.dim(axis) == 1; });
  std::ranges::sort(axes, {}, [&](int axis) { return std::abs(tensor.stride(axis)); });
  double reach = 0; // of the smaller ones; a double does not overflow
  for (int axis : axes) {
    auto stride = double(std::abs(tensor.stride(axis)));
    if (stride <= reach)
      throw InputError(argument,
                       describe(tensor) + " with stride " + std::to_string(tensor.stride(axis)) +
                           " on axis " + std::to_string(axis),
                       "a place for each element");
    reach += stride * double(tensor.dim(axis) - 1);
  }
}

} // namespace

TensorReader TensorReader::of(const Context &context) {
  if (!context.isDevice())
    return ofHost();
  return TensorReader(context.ofDevice("tensors").device->facts().ordinal);
}

void TensorReader::checkDevice(std::string_view argument, const ringc_device &where) const {
  bool fits =
      device ? (where.type == RINGC_CUDA || where.type == RINGC_CUDA_MANAGED) && where.id == *device
             : where.type == RINGC_CPU || where.type == RINGC_CUDA_HOST;
  if (!fits)
    throw InputError("device of " + std::string(argument), nameOf(where),
                     device ? "CUDA device " + std::to_string(*device) : "the CPU");
}

Tensor TensorReader::view(std::string_view argument, const ringc_tensor *tensor) const {
  required(argument, tensor);
  checkDevice(argument, tensor->device);
  DType dtype = typeOf(argument, tensor->dtype);
  if (tensor->ndim < 0 || tensor->ndim > Tensor::maxRank)
    throw InputError("axes of " + std::string(argument), std::to_string(tensor->ndim),
                     "0 to " + std::to_string(Tensor::maxRank));
  auto axes = size_t(tensor->ndim);
  if (axes > 0 && !tensor->shape)
    throw InputError("shape of " + std::string(argument), "NULL", "an address");
  std::span<const int64_t> shape(tensor->shape, axes);
  void *data =
      tensor->data ? static_cast<std::byte *>(tensor->data) + tensor->byte_offset : nullptr;
  try {
    if (!tensor->strides)
      return {data, dtype, shape};
    return {data, dtype, shape, std::span<const int64_t>(tensor->strides, axes)};
  } catch (const InputError &error) {
    throw InputError(std::string(argument) + ": " + error.what());
  }
}

Tensor TensorReader::read(std::string_view argument, const ringc_tensor *tensor) const {
  Tensor made = view(argument, tensor);
  requireData(argument, made);
  return made;
}

std::optional<Tensor> TensorReader::optional(std::string_view argument,
                                             const ringc_tensor *tensor) const {
  return tensor ? std::optional(read(argument, tensor)) : std::nullopt;
}

Tensor TensorReader::write(std::string_view argument, const ringc_tensor *tensor) const {
  Tensor made = read(argument, tensor);
  requirePlaces(argument, made);
  return made;
}

std::optional<Tensor> TensorReader::optionalWrite(std::string_view argument,
                                                  const ringc_tensor *tensor) const {
  return tensor ? std::optional(write(argument, tensor)) : std::nullopt;
}

Tensor TensorReader::shape(std::string_view argument, const ringc_tensor *tensor) const {
  return view(argument, tensor);
}

ringc_tensor viewOf(const Tensor &tensor, ringc_device device) {
  const auto *type = std::ranges::find(types, tensor.dtype(), &TypeOfElements::dtype);
  return {.data = tensor.data(),
          .device = device,
          .ndim = tensor.rank(),
          .dtype = {type->code, type->bits, 1},
          .shape = const_cast<int64_t *>(tensor.shape().data()),
          .strides = const_cast<int64_t *>(tensor.strides().data()),
          .byte_offset = 0};
}

} // namespace ringc::c

namespace {

/// DLPack 0.x and 1.x, whose DLTensor is ringc_tensor.
struct ManagedTensor {
  ringc_tensor tensor;
  void *manager;
  void (*deleter)(ManagedTensor *);
};
struct ManagedTensorVersioned {
  uint32_t major, minor;
  void *manager;
  void (*deleter)(ManagedTensorVersioned *);
  uint64_t flags;
  ringc_tensor tensor;
};
constexpr uint32_t majorVersion = 1;
constexpr uint64_t readOnly = 1;

static_assert(sizeof(ringc_tensor) == 48 && offsetof(ringc_tensor, ndim) == 16 &&
              offsetof(ringc_tensor, shape) == 24 && offsetof(ringc_tensor, byte_offset) == 40);
static_assert(offsetof(ManagedTensorVersioned, tensor) == 32);

} // namespace

ringc_status ringc_tensor_from_dlpack(const void *managed, int versioned, int to_write,
                                      ringc_tensor *view) {
  using namespace ringc::c;
  return call([&] {
    required("view", view);
    required("managed", managed);
    if (!versioned) {
      *view = static_cast<const ManagedTensor *>(managed)->tensor;
      return;
    }
    const auto &given = *static_cast<const ManagedTensorVersioned *>(managed);
    if (given.major != majorVersion)
      throw ringc::InputError(
          "DLPack version", std::to_string(given.major) + "." + std::to_string(given.minor), "1.x");
    if (to_write && (given.flags & readOnly))
      throw ringc::InputError("tensor", "read-only", "one that may be written, for a result");
    *view = given.tensor;
  });
}
