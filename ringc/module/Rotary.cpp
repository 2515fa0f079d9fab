#include "ringc/module/Rotary.h"

#include "ringc/attention/shared/Options.h"

#include <array>
#include <cmath>
#include <numbers>

namespace ringc {

namespace {

/// [n] or [b, n] as each head's rows: [b, h, n].
Tensor ofHeads(const Tensor &positions, const Tensor &heads) {
  int64_t perEntry = positions.rank() == 2 ? positions.stride(0) : 0,
          perRow = positions.stride(positions.rank() - 1);
  return Tensor(positions.data(), positions.dtype(),
                std::array{heads.dim(0), heads.dim(2), heads.dim(1)},
                std::array{perEntry, int64_t(0), perRow});
}

} // namespace

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
  int64_t pairs = heads.dim(3) / 2;
  Tensor a = heads.slice(3, 0, pairs), b = heads.slice(3, pairs, pairs);
  Spec spec;
  spec.kernel = "rotary_half_split_at";
  spec.dtype = elementTypeOf(heads.dtype());
  backend.kernels().launch(spec,
                           {{"a", a},
                            {"b", b},
                            {"position", ofHeads(positions, heads)},
                            {"turns", turns},
                            {"rest", rest},
                            {"a_turned", a},
                            {"b_turned", b}},
                           {{"direction", direction == Direction::Forward ? 1.0 : -1.0}});
}

} // namespace ringc
