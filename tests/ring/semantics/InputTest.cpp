#include "tests/ring/semantics/Errors.h"

#include "ringc/attention/HostAttentionRing.h"

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <limits>
#include <random>

using namespace ringc;
using namespace ringc::test;

namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// The same values with axes in memory in another order, reversed where `mirrored`, and NaN in the
/// gaps between them.
struct Strided {
  Strided(const Tensor &from, std::array<int, 4> order, bool mirrored) {
    std::array<int64_t, 4> wide;
    for (size_t axis = 0; axis < 4; ++axis)
      wide[axis] = from.dim(order[axis]) + 2;
    memory = HostTensor(from.dtype(), wide);
    HostTensor one(DType::F32, {1});
    one.dataAs<float>()[0] = nan;
    std::array<int64_t, 4> none{};
    convert(Tensor(one.data(), DType::F32, wide, none), memory);
    std::array<int64_t, 4> steps{}, shape{};
    std::byte *first = static_cast<std::byte *>(memory.data());
    for (size_t place = 0; place < 4; ++place) {
      int axis = order[place];
      int64_t step = memory.view().stride(int(place));
      bool back = mirrored && axis != 3;
      shape[size_t(axis)] = from.dim(axis);
      steps[size_t(axis)] = back ? -step : step;
      first += int64_t(sizeOf(from.dtype())) * step * (back ? from.dim(axis) : 1);
    }
    view = Tensor(first, from.dtype(), shape, steps);
    copy(from, view);
  }
  HostTensor memory;
  Tensor view;
};

} // namespace

TEST_CASE(
    "strided inputs: axes in any order, gaps, negative steps, a last axis without unit stride") {
  for (std::array<int, 4> order :
       {std::array{0, 2, 1, 3}, {2, 0, 1, 3}, {1, 0, 2, 3}, {0, 1, 3, 2}})
    for (bool mirrored : {false, true})
      for (int world : {1, 3})
        for (DType dtype : {DType::F32, DType::BF16}) {
          Case given{.options = {.heads = 4,
                                 .kvHeads = 2,
                                 .headDim = 16,
                                 .dtype = dtype,
                                 .causal = true,
                                 .layout = SequenceLayout::striped()},
                     .world = world,
                     .shape = {2, 45, 45}};
          uint64_t seed = freshSeed();
          INFO(given.name(), ", axes ", order[0], order[1], order[2], order[3], ", mirrored ",
               mirrored, ", RINGC_TEST_SEED=", seed);
          Data data = finiteData(given, seed);
          Strided q(data.q, order, mirrored), k(data.k, order, mirrored),
              v(data.v, order, mirrored), dout(data.dout, order, mirrored);
          HostAttentionRing ring(given.options, world, context());
          AttentionInputs inputs{.q = q.view, .k = k.view, .v = v.view};
          HostAttentionRing::Forward forward = ring.forward(inputs);
          HostAttentionRing::Gradients gradients = ring.backward(inputs, forward, dout.view);
          checkResult(given, data,
                      resultOf(forward.out, forward.lse, gradients.dq, gradients.dk, gradients.dv));
        }
}

TEST_CASE("expanded inputs: one row, head or batch entry stands for all") {
  for (int axis : {0, 1, 2})
    for (int world : {1, 3}) {
      Case given{.options = {.heads = 3, .headDim = 16, .causal = true},
                 .world = world,
                 .shape = {2, 45, 45}};
      Data data = finiteData(given, freshSeed());
      auto expanded = [&](const HostTensor &tensor) {
        std::array<int64_t, 4> steps;
        for (int each = 0; each < 4; ++each)
          steps[size_t(each)] = each == axis ? 0 : tensor.view().stride(each);
        return Tensor(tensor.data(), tensor.dtype(), tensor.shape(), steps);
      };
      Tensor k = expanded(data.k), v = expanded(data.v), dout = expanded(data.dout);
      HostAttentionRing ring(given.options, world, context());
      AttentionInputs inputs{.q = data.q, .k = k, .v = v};
      HostAttentionRing::Forward forward = ring.forward(inputs);
      HostAttentionRing::Gradients gradients = ring.backward(inputs, forward, dout);
      Data dense{.q = HostTensor::copyOf(data.q),
                 .k = HostTensor::copyOf(k),
                 .v = HostTensor::copyOf(v),
                 .dout = HostTensor::copyOf(dout)};
      checkResult(given, dense,
                  resultOf(forward.out, forward.lse, gradients.dq, gradients.dk, gradients.dv));
    }
}

TEST_CASE("atomics make backward irreproducible: 20 runs bit-equal, for every ring size") {
  for (int world : {1, 2, 3, 4, 5, 6, 7, 8})
    for (DType dtype : {DType::F32, DType::BF16}) {
      Case given{.options = {.heads = 4,
                             .kvHeads = 2,
                             .headDim = 16,
                             .dtype = dtype,
                             .causal = true,
                             .layout = SequenceLayout::zigzag()},
                 .world = world,
                 .shape = {1, 131, 131}};
      Data data = finiteData(given, freshSeed());
      reference::Result first = compute(given, data);
      for (int run = 1; run < 20; ++run) {
        reference::Result again = compute(given, data);
        for (auto part : {&reference::Result::out, &reference::Result::lse, &reference::Result::dq,
                          &reference::Result::dk, &reference::Result::dv})
          REQUIRE((first.*part).data == (again.*part).data);
      }
    }
}
