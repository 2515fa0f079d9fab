#include "ringc/attention/device/DeviceElementwise.h"

#include "ringc/RowBlocks.h"

#include <array>
#include <cassert>
#include <string>
#include <string_view>

namespace ringc {

namespace {

constexpr int64_t threads = 256;

/// Slots: sum, part, number of elements. One element a thread.
constexpr std::string_view addPtx = R"(
.visible .entry ringc_add_f32(.param .align 8 .b8 slots[24])
.reqntid 256, 1, 1
{
  .reg .pred %p;
  .reg .b32 %block, %thread;
  .reg .f32 %x, %y;
  .reg .b64 %sum, %part, %count, %i, %t;
  ld.param.u64 %sum, [slots];
  ld.param.u64 %part, [slots+8];
  ld.param.u64 %count, [slots+16];
  mov.u32 %block, %ctaid.x;
  mov.u32 %thread, %tid.x;
  mul.wide.u32 %i, %block, 256;
  cvt.u64.u32 %t, %thread;
  add.u64 %i, %i, %t;
  setp.ge.u64 %p, %i, %count;
  @%p ret;
  shl.b64 %i, %i, 2;
  cvta.to.global.u64 %sum, %sum;
  cvta.to.global.u64 %part, %part;
  add.u64 %sum, %sum, %i;
  add.u64 %part, %part, %i;
  ld.global.f32 %x, [%sum];
  ld.global.f32 %y, [%part];
  add.f32 %x, %x, %y;
  st.global.f32 [%sum], %x;
  ret;
}
)";

/// Slots: from, to, n, h * d, d, and the bytes of a step of `to` along b, n, h and d. Block (row,
/// chunk, entry); a thread takes the WIDTH elements from e = (256 chunk + thread) WIDTH of a row of
/// h * d, which lie in one head, side by side.
constexpr std::string_view roundPtx = R"(
.visible .entry ringc_round_NAME(.param .align 8 .b8 slots[72])
.reqntid 256, 1, 1
{
  .reg .pred %p;
  .reg .b32 %e, %wide, %d, %h, %c, %b;
  .reg .f32 %x, %x1, %x2, %x3;
  .reg .b16 %half;
  .reg .b32 %low, %high;
  .reg .b64 %from, %to, %t, %u, %row, %rows, %entry;
  ld.param.u32 %wide, [slots+24];
  ld.param.u32 %d, [slots+32];
  mov.u32 %e, %ctaid.y;
  mov.u32 %b, %tid.x;
  shl.b32 %e, %e, 8;
  add.u32 %e, %e, %b;
  mul.lo.u32 %e, %e, WIDTH;
  setp.ge.u32 %p, %e, %wide;
  @%p ret;
  ld.param.u64 %from, [slots];
  ld.param.u64 %to, [slots+8];
  cvta.to.global.u64 %from, %from;
  cvta.to.global.u64 %to, %to;
  mov.u32 %b, %ctaid.x;
  cvt.u64.u32 %row, %b;
  ld.param.u64 %rows, [slots+16];
  mov.u32 %b, %ctaid.z;
  cvt.u64.u32 %entry, %b;
  mad.lo.u64 %t, %entry, %rows, %row;
  cvt.u64.u32 %u, %wide;
  mul.lo.u64 %t, %t, %u;
  cvt.u64.u32 %u, %e;
  add.u64 %t, %t, %u;
  shl.b64 %t, %t, 2;
  add.u64 %from, %from, %t;
  LOAD
  div.u32 %h, %e, %d;
  mul.lo.u32 %c, %h, %d;
  sub.u32 %c, %e, %c;
  ld.param.u64 %t, [slots+40];
  mad.lo.u64 %to, %t, %entry, %to;
  ld.param.u64 %t, [slots+48];
  mad.lo.u64 %to, %t, %row, %to;
  ld.param.u64 %t, [slots+56];
  cvt.u64.u32 %u, %h;
  mad.lo.u64 %to, %t, %u, %to;
  ld.param.u64 %t, [slots+64];
  cvt.u64.u32 %u, %c;
  mad.lo.u64 %to, %t, %u, %to;
  STORE
  ret;
}
)";

void substitute(std::string &text, std::string_view word, std::string_view by) {
  for (size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += by.size())
    text.replace(at, word.size(), by);
}

std::string roundTo(std::string_view name, std::string_view width, std::string_view load,
                    std::string_view store) {
  std::string text(roundPtx);
  substitute(text, "NAME", name);
  substitute(text, "WIDTH", width);
  substitute(text, "LOAD", load);
  substitute(text, "STORE", store);
  return text;
}

std::string allPtx() {
  std::string_view one = "ld.global.f32 %x, [%from];",
                   four = "ld.global.v4.f32 {%x, %x1, %x2, %x3}, [%from];";
  auto pairs = [](std::string_view type) {
    return "cvt.rn." + std::string(type) + "x2.f32 %low, %x1, %x;\n  cvt.rn." + std::string(type) +
           "x2.f32 %high, %x3, %x2;\n  st.global.v2.b32 [%to], {%low, %high};";
  };
  return ".version 8.0\n.target sm_80\n.address_size 64\n" + std::string(addPtx) +
         roundTo("f32", "1", one, "st.global.f32 [%to], %x;") +
         roundTo("f16", "1", one, "cvt.rn.f16.f32 %half, %x;\n  st.global.b16 [%to], %half;") +
         roundTo("bf16", "1", one, "cvt.rn.bf16.f32 %half, %x;\n  st.global.b16 [%to], %half;") +
         roundTo("f32_by_4", "4", four, "st.global.v4.f32 [%to], {%x, %x1, %x2, %x3};") +
         roundTo("f16_by_4", "4", four, pairs("f16")) +
         roundTo("bf16_by_4", "4", four, pairs("bf16"));
}

/// Whether each four elements of a row can be moved as one.
bool movesByFour(const Tensor &from, const Tensor &to) {
  int64_t bytes = 4 * int64_t(sizeOf(to.dtype()));
  bool aligned =
      cudaAddress(from.data()) % 16 == 0 && cudaAddress(to.data()) % uint64_t(bytes) == 0;
  for (int axis = 0; axis < 3; ++axis)
    aligned &= to.stride(axis) % 4 == 0;
  return aligned && to.stride(3) == 1 && from.dim(3) % 4 == 0;
}

std::byte *at(const Tensor &tensor, int64_t element) {
  return tensor.dataAs<std::byte>() + element * int64_t(sizeOf(tensor.dtype()));
}

} // namespace

DeviceElementwise::DeviceElementwise(std::shared_ptr<const CudaDevice> device)
    : module(std::move(device), allPtx(), "ringc_elementwise"),
      adding(module.function("ringc_add_f32")) {
  for (auto [type, name] :
       {std::pair(DType::F32, "f32"), {DType::F16, "f16"}, {DType::BF16, "bf16"}})
    for (bool byFour : {false, true})
      rounding.emplace(std::pair(type, byFour), module.function(std::string("ringc_round_") + name +
                                                                (byFour ? "_by_4" : "")));
}

void DeviceElementwise::add(const CudaStream &stream, const Tensor &part, const Tensor &sum) const {
  assert(part.isContiguous() && sum.isContiguous());
  std::array<uint64_t, 3> slots = {cudaAddress(sum.data()), cudaAddress(part.data()),
                                   uint64_t(sum.elementCount())};
  adding.launch(
      stream, {.blocks = {(sum.elementCount() + threads - 1) / threads, 1, 1}, .threads = threads},
      slots);
}

void DeviceElementwise::round(const CudaStream &stream, const Tensor &from,
                              const Tensor &to) const {
  assert(from.isContiguous() && from.dtype() == DType::F32 && from.rank() == 4);
  int64_t wide = from.dim(2) * from.dim(3);
  std::array<uint64_t, 9> slots = {cudaAddress(from.data()), cudaAddress(to.data()),
                                   uint64_t(from.dim(1)), uint64_t(wide), uint64_t(from.dim(3))};
  for (int axis = 0; axis < 4; ++axis)
    slots[5 + size_t(axis)] = uint64_t(to.stride(axis) * int64_t(sizeOf(to.dtype())));
  bool byFour = movesByFour(from, to);
  int64_t turn = threads * (byFour ? 4 : 1);
  rounding.at({to.dtype(), byFour})
      .launch(stream,
              {.blocks = {from.dim(1), (wide + turn - 1) / turn, from.dim(0)}, .threads = threads},
              slots);
}

void copyOnDevice(const CudaStream &stream, const Tensor &from, const Tensor &to) {
  RowBlocks rows = RowBlocks::of(from, to);
  int64_t element = int64_t(sizeOf(from.dtype()));
  for (const RowBlocks::Block &block : rows.blocks) {
    if (rows.height == 1)
      stream.copy(at(to, block.offset[1]), at(from, block.offset[0]), rows.width * element);
    else
      stream.copyRows({at(to, block.offset[1]), rows.pitch[1] * element},
                      {at(from, block.offset[0]), rows.pitch[0] * element}, rows.width * element,
                      rows.height);
  }
}

void clearOnDevice(const CudaStream &stream, const Tensor &tensor) {
  RowBlocks rows = RowBlocks::of(tensor, tensor);
  int64_t element = int64_t(sizeOf(tensor.dtype()));
  for (const RowBlocks::Block &block : rows.blocks) {
    std::byte *start = at(tensor, block.offset[0]);
    if (rows.height == 1)
      stream.clear(start, rows.width * element);
    else
      stream.clearRows({start, rows.pitch[0] * element}, rows.width * element, rows.height);
  }
}

void fillOnDevice(const CudaStream &stream, const Tensor &tensor, uint32_t word) {
  assert(sizeOf(tensor.dtype()) == sizeof word);
  RowBlocks rows = RowBlocks::of(tensor, tensor);
  for (const RowBlocks::Block &block : rows.blocks) {
    std::byte *start = at(tensor, block.offset[0]);
    if (rows.height == 1)
      stream.fill(start, word, rows.width);
    else
      stream.fillRows({start, rows.pitch[0] * int64_t(sizeof word)}, word, rows.width, rows.height);
  }
}

} // namespace ringc
