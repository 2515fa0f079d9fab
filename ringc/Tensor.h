#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace ringc {

enum class DType : uint8_t { F32, F16, BF16, I32, I64, Bool };

inline constexpr std::array<DType, 6> allDTypes = {DType::F32, DType::F16, DType::BF16,
                                                   DType::I32, DType::I64, DType::Bool};

/// "f32", "f16", "bf16", "i32", "i64", "bool"; `parseDType` is its inverse.
std::string_view nameOf(DType dtype);
std::optional<DType> parseDType(std::string_view name);

/// Bytes of one element; bool is one byte, 0 or 1.
size_t sizeOf(DType dtype);
bool isFloat(DType dtype);

/// A non-owning, DLPack-shaped view: strides are in elements, may be zero (expanded) or negative.
/// Copying copies the view. A view does not carry const: who may write is the callee's contract.
class Tensor {
public:
  static constexpr int maxRank = 8;

  Tensor() = default;

  /// Row-major strides. Throws InputError on a negative extent, on more than `maxRank` axes, and on
  /// a size in bytes that does not fit in an int64_t.
  Tensor(void *data, DType dtype, std::span<const int64_t> shape);
  Tensor(void *data, DType dtype, std::initializer_list<int64_t> shape)
      : Tensor(data, dtype, std::span(shape.begin(), shape.size())) {}

  /// Throws InputError also when `shape` and `strides` differ in length.
  Tensor(void *data, DType dtype, std::span<const int64_t> shape, std::span<const int64_t> strides);

  void *data() const { return base; }
  DType dtype() const { return elementType; }
  int rank() const { return axes; }
  std::span<const int64_t> shape() const { return {extents.data(), size_t(axes)}; }
  std::span<const int64_t> strides() const { return {steps.data(), size_t(axes)}; }
  int64_t dim(int axis) const;
  int64_t stride(int axis) const;

  int64_t elementCount() const;
  int64_t byteCount() const { return elementCount() * int64_t(sizeOf(elementType)); }
  bool empty() const { return elementCount() == 0; }

  /// Row-major without gaps; axes of extent one, and tensors without elements, do not matter.
  bool isContiguous() const;

  /// Rows [begin, begin + count) of `axis`; shares memory.
  Tensor slice(int axis, int64_t begin, int64_t count) const;

  /// Drops `axis` at `index`; shares memory.
  Tensor select(int axis, int64_t index) const;

  /// Same elements, `axes` reordered: axis a of the result is axis order[a] of this.
  Tensor permute(std::initializer_list<int> order) const;

  template <typename T> T *dataAs() const { return static_cast<T *>(base); }

  /// Address of one element.
  std::byte *at(std::span<const int64_t> index) const;

private:
  void *base = nullptr;
  DType elementType = DType::F32;
  int axes = 0;
  std::array<int64_t, maxRank> extents{};
  std::array<int64_t, maxRank> steps{};
};

/// "f32[2, 16, 8, 64]"
std::string describe(const Tensor &tensor);

/// Copies element by element between tensors of one shape and dtype, any strides, no overlap.
/// Throws InputError when shape or dtype differ.
void copy(const Tensor &from, const Tensor &to);

/// As `copy`, and converts between f32, f16 and bf16, rounding to nearest even. Other pairs of
/// different types throw InputError.
void convert(const Tensor &from, const Tensor &to);

/// Owns 64-byte aligned, zero-filled, row-major host memory. Moves, does not copy.
class HostTensor {
public:
  HostTensor() = default;
  HostTensor(DType dtype, std::span<const int64_t> shape);
  HostTensor(DType dtype, std::initializer_list<int64_t> shape)
      : HostTensor(dtype, std::span(shape.begin(), shape.size())) {}

  HostTensor(HostTensor &&other) noexcept { swap(other); }
  HostTensor &operator=(HostTensor &&other) noexcept {
    HostTensor taken(std::move(other));
    swap(taken);
    return *this;
  }

  /// A row-major copy of any view.
  static HostTensor copyOf(const Tensor &from);

  const Tensor &view() const { return tensor; }
  operator const Tensor &() const { return tensor; }

  void *data() const { return tensor.data(); }
  DType dtype() const { return tensor.dtype(); }
  int rank() const { return tensor.rank(); }
  std::span<const int64_t> shape() const { return tensor.shape(); }
  int64_t dim(int axis) const { return tensor.dim(axis); }
  int64_t elementCount() const { return tensor.elementCount(); }
  int64_t byteCount() const { return tensor.byteCount(); }
  template <typename T> T *dataAs() const { return tensor.dataAs<T>(); }

private:
  struct Free {
    size_t mapped; ///< bytes, where the system gave whole pages; else 0
    void operator()(void *start) const noexcept;
  };
  void swap(HostTensor &other) noexcept {
    std::swap(memory, other.memory);
    std::swap(tensor, other.tensor);
  }

  std::unique_ptr<void, Free> memory;
  Tensor tensor;
};

} // namespace ringc
