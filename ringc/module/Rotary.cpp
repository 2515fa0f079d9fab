#include "ringc/module/Rotary.h"

#include "ringc/attention/shared/Options.h"

#include <array>
#include <cmath>
#include <numbers>
#include <optional>
#include <vector>

namespace ringc {

namespace {

/// [b, n, ...] as [b * n, ...], where rows follow each other from entry to entry.
std::optional<Tensor> rowsOf(const Tensor &tensor) {
  if (tensor.dim(0) > 1 && tensor.stride(0) != tensor.dim(1) * tensor.stride(1))
    return std::nullopt;
  std::vector<int64_t> shape(tensor.shape().begin() + 1, tensor.shape().end()),
      strides(tensor.strides().begin() + 1, tensor.strides().end());
  shape.front() *= tensor.dim(0);
  return Tensor(tensor.data(), tensor.dtype(), shape, strides);
}

} // namespace

Tensor positionsOfEntries(const Tensor &positions, int64_t batch) {
  if (positions.rank() == 2)
    return positions;
  return Tensor(positions.data(), positions.dtype(), std::array{batch, positions.dim(0)},
                std::array{int64_t(0), positions.stride(0)});
}

Rotary::Rotary(ModuleBackend &of, int64_t dimHead, double theta) : backend(of) {
  int64_t pairs = dimHead / 2;
  HostTensor whole(DType::I32, {1, pairs}), part(DType::F32, {1, pairs});
  for (int64_t i = 0; i < pairs; ++i) {
    double steps =
        std::pow(theta, -2 * double(i) / double(dimHead)) / (2 * std::numbers::pi) * 0x1p32;
    whole.dataAs<int32_t>()[i] = int32_t(std::nearbyint(steps)); // theta >= 1: below 2^30
    part.dataAs<float>()[i] = float(steps - std::nearbyint(steps));
  }
  turns = backend.allocate(DType::I32, whole.shape());
  rest = backend.allocate(DType::F32, part.shape());
  backend.upload(whole, turns);
  backend.upload(part, rest);
}

void Rotary::turn(const Tensor &heads, const Tensor &positions, Direction direction) {
  if (heads.empty())
    return;
  Tensor at = positionsOfEntries(positions, heads.dim(0));
  std::optional<Tensor> rows = rowsOf(heads), ofRows = rowsOf(at);
  if (rows && ofRows)
    return turnRows(*rows, *ofRows, direction);
  for (int64_t entry = 0; entry < heads.dim(0); ++entry)
    turnRows(heads.select(0, entry), at.select(0, entry), direction);
}

void Rotary::turnRows(const Tensor &heads, const Tensor &positions, Direction direction) {
  int64_t pairs = heads.dim(2) / 2;
  Tensor a = heads.slice(2, 0, pairs), b = heads.slice(2, pairs, pairs);
  Spec spec;
  spec.kernel = "rotary_half_split_at";
  spec.dtype = elementTypeOf(heads.dtype());
  backend.kernels().launch(spec,
                           {{"a", a},
                            {"b", b},
                            {"position", positions},
                            {"turns", turns},
                            {"rest", rest},
                            {"a_turned", a},
                            {"b_turned", b}},
                           {{"direction", direction == Direction::Forward ? 1.0 : -1.0}});
}

} // namespace ringc
