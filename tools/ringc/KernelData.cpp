#include "tools/ringc/KernelData.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <random>

namespace ringc::cli {

int64_t extentOf(const KernelExtents &extents, const std::string &axis) {
  if (axis == "G")
    return extents.at("H") / extents.at("Hkv");
  int64_t number = 0;
  auto [stop, error] = std::from_chars(axis.data(), axis.data() + axis.size(), number);
  return error == std::errc() ? number : extents.at(axis);
}

namespace {

std::vector<int64_t> shapeOf(const KernelView &view, const KernelExtents &extents) {
  std::vector<int64_t> shape;
  for (const std::string &axis : view.axes)
    shape.push_back(extentOf(extents, axis));
  return shape;
}

/// In which order a view's axes lie in memory, the slowest first.
std::vector<size_t> memoryOrder(const KernelView &view, HeadMap heads) {
  std::vector<size_t> order(view.axes.size());
  std::iota(order.begin(), order.end(), size_t(0));
  if (!view.isOfProgram)
    return order;
  bool ofQueries = view.axes[2] == "G";
  size_t row =
      size_t(std::ranges::find_if(
                 view.axes, [](const std::string &axis) { return axis == "Nq" || axis == "Nk"; }) -
             view.axes.begin());
  if (ofQueries && heads == HeadMap::Tiled && !view.sums)
    std::swap(order[1], order[2]);
  bool hasColumns = view.axes.size() > row + 1;
  // [B, Hkv, G, Nq, D] as [B, Nq, Hkv, G, D], or G before Hkv; sums as [B, Hkv, Nq, G, D].
  if (hasColumns)
    std::rotate(order.begin() + (view.sums ? 2 : 1), order.begin() + std::ptrdiff_t(row),
                order.begin() + std::ptrdiff_t(row) + 1);
  return order;
}

/// `memory` has its axes in the order of `order`; the view has them in their own.
Tensor ordered(const Tensor &memory, const std::vector<size_t> &order) {
  std::vector<int64_t> shape(order.size()), strides(order.size());
  for (size_t at = 0; at < order.size(); ++at) {
    shape[order[at]] = memory.dim(int(at));
    strides[order[at]] = memory.stride(int(at));
  }
  return {memory.data(), memory.dtype(), shape, strides};
}

/// [B, Hkv, G, P, N, columns] as [P, B, N, H, columns], [B, Hkv, G, N] as [B, H, N]; sums as [B,
/// Hkv, packed rows, columns].
Tensor whole(const KernelView &view, const Tensor &tensor, HeadMap headMap) {
  bool ofQueries = view.axes[2] == "G";
  int implicit = ofQueries ? 3 : 2,
      row =
          int(std::ranges::find_if(
                  view.axes, [](const std::string &axis) { return axis == "Nq" || axis == "Nk"; }) -
              view.axes.begin());
  int64_t group = ofQueries ? tensor.dim(2) : 1, rows = tensor.dim(row),
          rowStep = tensor.stride(row);
  int64_t heads = tensor.dim(1), headStep = tensor.stride(1);
  if (ofQueries && view.sums) {
    rows *= group;
    rowStep = tensor.stride(2);
  } else if (ofQueries) {
    heads *= group;
    headStep = headMap == HeadMap::Tiled ? headStep : tensor.stride(2);
  }
  std::vector<int64_t> shape, strides;
  auto add = [&](int64_t size, int64_t stride) {
    shape.push_back(size);
    strides.push_back(stride);
  };
  for (int axis = implicit; axis < row; ++axis)
    add(tensor.dim(axis), tensor.stride(axis));
  add(tensor.dim(0), tensor.stride(0));
  bool hasColumns = row + 1 < tensor.rank(), rowsFirst = hasColumns && !view.sums;
  if (rowsFirst)
    add(rows, rowStep);
  add(heads, headStep);
  if (!rowsFirst)
    add(rows, rowStep);
  if (hasColumns)
    add(tensor.dim(row + 1), tensor.stride(row + 1));
  return {tensor.data(), tensor.dtype(), shape, strides};
}

/// A block of numbers, again and again: enough for time and for rounding.
template <class Element, class Draw>
void fillBlocks(Element *data, int64_t count, const Draw &draw) {
  constexpr int64_t block = (int64_t{1} << 20) - 3;
  std::generate_n(data, std::min(count, block), draw);
  for (int64_t at = block; at < count; ++at)
    data[at] = data[at - block];
}

void fill(HostTensor &memory, std::mt19937_64 &random) {
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int32_t> small(0, 63);
  if (memory.dtype() == DType::I32) {
    fillBlocks(memory.dataAs<int32_t>(), memory.elementCount(), [&] { return small(random); });
  } else if (memory.dtype() == DType::Bool) {
    fillBlocks(memory.dataAs<uint8_t>(), memory.elementCount(),
               [&] { return uint8_t(small(random) % 2); });
  } else if (memory.dtype() == DType::F32) {
    fillBlocks(memory.dataAs<float>(), memory.elementCount(), [&] { return normal(random); });
  } else {
    HostTensor exact(DType::F32, memory.shape());
    fill(exact, random);
    convert(exact, memory);
  }
}

} // namespace

int64_t bytesOf(const BoundKernel &kernel, const KernelExtents &extents) {
  int64_t bytes = 0;
  for (const KernelView &view : kernel.views()) {
    int64_t own = int64_t(sizeOf(view.dtype));
    for (int64_t extent : shapeOf(view, extents))
      if (__builtin_mul_overflow(own, extent, &own))
        return INT64_MAX;
    if (__builtin_add_overflow(bytes, own, &bytes))
      return INT64_MAX;
  }
  return bytes;
}

KernelData randomData(const BoundKernel &kernel, const KernelExtents &extents,
                      const std::map<std::string, ArgumentValue> &scalars, uint64_t seed) {
  std::mt19937_64 random(seed);
  KernelData data;
  data.extents = extents;
  data.headMap = kernel.spec().headMap;
  if (extents.contains("Nq") && extents.contains("Nk"))
    data.firstQuery = extents.at("Nk") - extents.at("Nq");
  for (const frontend::Parameter &parameter : kernel.declaration().parameters)
    if (parameter.type.kind == frontend::Type::Kind::Positions)
      (parameter.type.shape.front().name == "Nq" ? data.queryPositions : data.keyPositions)
          .push_back(parameter.name);
  data.scalars = scalars;
  for (const KernelScalar &scalar : kernel.scalars())
    if (!scalars.contains(scalar.name)) // an f32
      data.scalars[scalar.name] = double(std::uniform_real_distribution<float>(0.5F, 1)(random));
  for (const KernelView &view : kernel.views()) {
    std::vector<int64_t> shape = shapeOf(view, extents), inMemory;
    std::vector<size_t> order = memoryOrder(view, kernel.spec().headMap);
    for (size_t axis : order)
      inMemory.push_back(shape[axis]);
    HostTensor &memory = data.memory.emplace_back(view.dtype, inMemory);
    fill(memory, random);
    data.views[view.name] = ordered(memory, order);
    if (view.isOfProgram)
      data.programViews.push_back(view);
  }
  return data;
}

KernelViews launchViews(const KernelData &data) {
  KernelViews views(data.views.begin(), data.views.end());
  for (const KernelView &view : data.programViews)
    views[view.name] = whole(view, data.views.at(view.name), data.headMap);
  return views;
}

KernelValues launchValues(const KernelData &data) {
  KernelValues values;
  for (const auto &[name, value] : data.scalars)
    if (auto *whole = std::get_if<int64_t>(&value))
      values[name] = *whole;
    else if (auto *real = std::get_if<double>(&value))
      values[name] = *real;
    else
      values[name] = std::get<bool>(value);
  for (const std::string &name : data.queryPositions)
    values[name] = Positions{.first = data.firstQuery};
  for (const std::string &name : data.keyPositions)
    values[name] = Positions();
  // A kernel with positions has their extent, of which it may have no view.
  for (auto [positions, extent] :
       {std::pair(&data.queryPositions, "Nq"), {&data.keyPositions, "Nk"}})
    if (!positions->empty())
      values[extent] = data.extents.at(extent);
  return values;
}

KernelData dataLike(const KernelData &data, const std::function<void *(int64_t bytes)> &allocate) {
  KernelData like;
  like.extents = data.extents;
  like.scalars = data.scalars;
  like.queryPositions = data.queryPositions;
  like.keyPositions = data.keyPositions;
  like.programViews = data.programViews;
  like.headMap = data.headMap;
  like.firstQuery = data.firstQuery;
  for (const auto &[name, view] : data.views)
    like.views[name] =
        Tensor(allocate(view.byteCount()), view.dtype(), view.shape(), view.strides());
  return like;
}

std::vector<double> valuesOf(const Tensor &tensor) {
  HostTensor rows = HostTensor::copyOf(tensor);
  std::vector<double> values;
  values.reserve(size_t(rows.elementCount()));
  if (isFloat(rows.dtype())) {
    HostTensor wide(DType::F32, rows.shape());
    convert(rows, wide);
    values.assign(wide.dataAs<float>(), wide.dataAs<float>() + wide.elementCount());
  } else if (rows.dtype() == DType::I32) {
    values.assign(rows.dataAs<int32_t>(), rows.dataAs<int32_t>() + rows.elementCount());
  } else {
    values.assign(rows.dataAs<uint8_t>(), rows.dataAs<uint8_t>() + rows.elementCount());
  }
  return values;
}

} // namespace ringc::cli
