// Every index form of a view x every kind of extent: what lies outside reads the nearest element,
// and nothing beside the view is read.

#include "ringc/support/Error.h"
#include "tests/ring/semantics/Errors.h"
#include "tests/unit/compiler/GuardedMemory.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <random>

using namespace ringc;
using namespace ringc::test;
using ringc::testing::GuardedMemory;

namespace {

struct Place {
  int64_t b, h, i, j;
};

int64_t wrapped(int64_t value) { return static_cast<int32_t>(static_cast<uint32_t>(value)); }
int64_t floorDivide(int64_t a, int64_t b) {
  return b == 0 ? 0 : a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
}

/// An expression of the language and, apart from the compiler, its value.
struct Index {
  std::string text;
  std::function<int64_t(const Place &)> value;
};

struct Axis {
  std::string name;
  int64_t extent;
  Index index;
  int64_t shift = 0; ///< of the index against the row
};

/// A view in memory that ends with its last element.
struct View {
  std::string name;
  DType dtype;
  std::vector<Axis> axes;
  GuardedMemory memory;

  Tensor tensor() const {
    std::vector<int64_t> shape;
    for (const Axis &axis : axes)
      shape.push_back(axis.extent);
    return Tensor(memory.data(), dtype, shape);
  }
  std::string declaration() const {
    std::string text = name + ": view<" + std::string(nameOf(dtype)) + ">[";
    for (size_t at = 0; at < axes.size(); ++at)
      text += (at ? ", " : "") + axes[at].name;
    return text + "]";
  }
  std::string access() const {
    std::string text = name + "[";
    for (size_t at = 0; at < axes.size(); ++at)
      text += (at ? ", " : "") + axes[at].index.text;
    return text + "]";
  }
  double at(const Place &place) const {
    std::vector<int64_t> nearest;
    for (const Axis &axis : axes)
      nearest.push_back(
          std::clamp<int64_t>(axis.index.value(place) - axis.shift, 0, axis.extent - 1));
    const std::byte *element = tensor().at(nearest);
    if (dtype == DType::F32)
      return *reinterpret_cast<const float *>(element);
    if (dtype == DType::I32)
      return *reinterpret_cast<const int32_t *>(element);
    return *reinterpret_cast<const uint8_t *>(element);
  }
};

class AnyViews {
public:
  explicit AnyViews(uint64_t seed) : random(seed) {}

  Case draw(std::vector<View> &views, std::string &text) {
    Case given;
    given.options.kvHeads = upTo(2);
    given.options.heads = given.options.kvHeads * upTo(3);
    given.options.headDim = 8 * upTo(3);
    given.options.headMap = oneIn(3) ? HeadMap::Tiled : HeadMap::Blocked;
    given.options.backward = oneIn(2) ? BackwardForm::Fused : BackwardForm::Split;
    given.options.causal = oneIn(3);
    given.options.layout = oneIn(3)   ? SequenceLayout::zigzag()
                           : oneIn(2) ? SequenceLayout::striped(upTo(3))
                                      : SequenceLayout::contiguous();
    if (oneIn(2))
      given.options.tile = {{"q", 16 * upTo(4)}, {"kv", 16 * upTo(4)}};
    given.world = int(upTo(3));
    given.shape = {upTo(2), upTo(90), upTo(90)};
    if (oneIn(3))
      given.shape.queryLength = given.shape.keyLength;
    shape = given.shape;
    options = given.options;

    for (int64_t count = 2 + upTo(2), at = 0; at < count; ++at)
      views.push_back(view("t" + std::to_string(at)));
    for (const View &each : views)
      given.arguments.emplace(each.name, each.tensor());
    size_t ofMask = views.size() / 2;
    text = write("mask seen(", views, 0, ofMask);
    for (size_t at = 0; at < ofMask; ++at)
      text += (at ? " and " : "") + condition(views[at]);
    text += " or i == j }\n" + write("score shifted(s: f32, ", views, ofMask, views.size()) + "s";
    for (size_t at = ofMask; at < views.size(); ++at)
      text += " + " + number(views[at]);
    text += " }\n";
    given.options.masks = {{.file = "mine.tile", .name = "seen", .text = text}};
    given.options.scores = {{.file = "mine.tile", .name = "shifted", .text = text}};

    given.predicate = [&views, ofMask](int b, int h, int64_t i, int64_t j) {
      return i == j || std::all_of(views.begin(), views.begin() + int64_t(ofMask),
                                   [&](const View &each) { return each.at({b, h, i, j}) > 0; });
    };
    given.score = [&views, ofMask](double s, int b, int h, int64_t i, int64_t j) {
      for (size_t at = ofMask; at < views.size(); ++at)
        s += views[at].at({b, h, i, j}) / 8;
      return s;
    };
    given.scoreDerivative = [](double, int, int, int64_t, int64_t) { return 1.0; };
    return given;
  }

private:
  int64_t upTo(int64_t most) { return int64_t(random() % uint64_t(most)) + 1; }
  bool oneIn(unsigned count) { return random() % count == 0; }
  template <size_t count> auto anyOf(const int64_t (&values)[count]) {
    return values[random() % count];
  }

  static std::string write(std::string head, const std::vector<View> &views, size_t first,
                           size_t end) {
    head += "b: index, h: index, i: index, j: index";
    for (size_t at = first; at < end; ++at)
      head += ", " + views[at].declaration();
    return head + ") { return ";
  }
  static std::string condition(const View &view) {
    switch (view.dtype) {
    case DType::Bool:
      return view.access();
    case DType::I32:
      return view.access() + " > 0";
    default:
      return view.access() + " > 0.0";
    }
  }
  static std::string number(const View &view) {
    switch (view.dtype) {
    case DType::Bool:
      return "(" + view.access() + " ? 0.125 : 0.0)";
    case DType::I32:
      return "f32(" + view.access() + ") * 0.125";
    default:
      return view.access() + " * 0.125";
    }
  }

  Index constant(int64_t value) {
    return {value < 0 ? "(" + std::to_string(value) + ")" : std::to_string(value),
            [value](const Place &) { return value; }};
  }
  Index leaf() {
    switch (upTo(6)) {
    case 1:
      return {"i", [](const Place &at) { return at.i; }};
    case 2:
      return {"j", [](const Place &at) { return at.j; }};
    case 3:
      return {"b", [](const Place &at) { return at.b; }};
    case 4:
      return {"h", [](const Place &at) { return at.h; }};
    default:
      return constant(anyOf({0, 1, 2, 3, 7, 15, 64, -1, -2, 1000000000, 2147483647, -2147483648}));
    }
  }
  Index index(int depth) {
    if (depth == 0 || oneIn(3))
      return leaf();
    Index a = index(depth - 1), b = index(depth - 1);
    auto binary = [&](const char *op, auto value) {
      return Index{"(" + a.text + op + b.text + ")",
                   [=](const Place &at) { return wrapped(value(a.value(at), b.value(at))); }};
    };
    auto called = [&](const char *name, auto value) {
      return Index{name + ("(" + a.text) + ", " + b.text + ")",
                   [=](const Place &at) { return value(a.value(at), b.value(at)); }};
    };
    switch (upTo(8)) {
    case 1:
      return binary(" + ", [](int64_t x, int64_t y) { return x + y; });
    case 2:
      return binary(" - ", [](int64_t x, int64_t y) { return x - y; });
    case 3:
      return binary(" * ", [](int64_t x, int64_t y) { return x * y; });
    case 4:
      return binary(" / ", floorDivide);
    case 5:
      return binary(" % ",
                    [](int64_t x, int64_t y) { return y == 0 ? 0 : x - y * floorDivide(x, y); });
    case 6:
      return called("min", [](int64_t x, int64_t y) { return std::min(x, y); });
    case 7:
      return called("max", [](int64_t x, int64_t y) { return std::max(x, y); });
    default:
      return {"(" + a.text + " < " + b.text + " ? -(" + b.text + ") : " + a.text + ")",
              [=](const Place &at) {
                int64_t x = a.value(at), y = b.value(at);
                return x < y ? wrapped(-y) : x;
              }};
    }
  }

  Axis axis(bool &hasQueries, bool &hasKeys) {
    Index any = index(int(upTo(3)) - 1);
    switch (upTo(7)) {
    case 1:
      if (!std::exchange(hasQueries, true))
        return {"Nq",
                shape.queryLength,
                {"i", [](const Place &at) { return at.i; }},
                shape.keyLength - shape.queryLength};
      break;
    case 2:
      if (!std::exchange(hasKeys, true))
        return {"Nk", shape.keyLength, {"j", [](const Place &at) { return at.j; }}};
      break;
    case 3:
      if (oneIn(2))
        any = {"b", [](const Place &at) { return at.b; }};
      return {"B", oneIn(3) ? 1 : shape.batch, any};
    case 4:
      if (oneIn(2))
        any = {"h", [](const Place &at) { return at.h; }};
      return {"H", oneIn(3) ? 1 : options.heads, any};
    case 5:
      return {"Hkv", options.kvHeads, any};
    default:
      break;
    }
    int64_t extent = anyOf({1, 1, 2, 3, 5, 15, 16, 63, 65});
    return {oneIn(2) ? std::to_string(extent) : "F" + std::to_string(names++), extent, any};
  }

  View view(std::string name) {
    constexpr DType types[] = {DType::F32, DType::I32, DType::Bool};
    View made{.name = std::move(name), .dtype = types[random() % 3], .axes = {}, .memory = {}};
    bool hasQueries = false, hasKeys = false;
    int64_t elements = 1;
    for (int64_t rank = oneIn(2) ? 1 : upTo(4), at = 0; at < rank; ++at) {
      made.axes.push_back(axis(hasQueries, hasKeys));
      elements *= made.axes.back().extent;
      if (elements > 100000) {
        elements /= made.axes.back().extent;
        made.axes.back() = {"1", 1, index(1)};
      }
    }
    made.memory = GuardedMemory(size_t(elements) * sizeOf(made.dtype));
    Tensor flat(made.memory.data(), made.dtype, {elements});
    for (int64_t at = 0; at < elements; ++at) {
      int64_t drawn = upTo(17) - 9;
      if (made.dtype == DType::F32)
        flat.dataAs<float>()[at] = float(drawn);
      if (made.dtype == DType::I32)
        flat.dataAs<int32_t>()[at] = int32_t(drawn);
      if (made.dtype == DType::Bool)
        flat.dataAs<uint8_t>()[at] = drawn > 0;
    }
    return made;
  }

  std::mt19937_64 random;
  AttentionShape shape;
  AttentionOptions options;
  int names = 0;
};

UserFunction mask(const char *text) { return {.file = "mine.tile", .name = "seen", .text = text}; }

std::string refusal(const Case &given) {
  try {
    (void)compute(given, finiteData(given, 1));
  } catch (const InputError &error) {
    return error.what();
  }
  return "";
}

} // namespace

TEST_CASE("any index of any view reads the nearest element, and nothing else") {
  for (int count = 0; count < 16; ++count) {
    uint64_t seed = freshSeed();
    INFO("RINGC_TEST_SEED=", seed);
    std::vector<View> views;
    std::string text;
    Case given = AnyViews(seed).draw(views, text);
    INFO(given.name(), "\n", text);
    checkCase(given, finiteData(given, seed));
  }
}

TEST_CASE("views without elements are refused, by name and shape; a problem without rows is not") {
  constexpr const char *text = R"(
mask seen(b: index, h: index, i: index, j: index, t: view<f32>[H, W]) { return t[h, i - j] > 0.0 }
)";
  HostTensor none(DType::F32, {2, 0});
  Case given{.options = {.heads = 2, .headDim = 8, .masks = {mask(text)}},
             .shape = {1, 20, 20},
             .arguments = {{"t", none.view()}}};
  CHECK(refusal(given) ==
        "argument seen.t: got f32[2, 0], allowed: f32 [H, W] with 1 to 2147483647 elements along "
        "axis 1");

  constexpr const char *rows = R"(
mask seen(b: index, h: index, i: index, j: index, q: view<f32>[B, Nq], k: view<f32>[Nk], c: view<f32>[Nq, Nk]) {
  return q[b, i] > 0.0 and k[j] > 0.0 and c[i, j] > 0.0
}
)";
  for (AttentionShape shape : {AttentionShape{1, 0, 0}, {1, 0, 5}, {1, 5, 0}, {0, 4, 4}, {2, 1, 2}})
    for (int world : {1, 3}) {
      HostTensor q(DType::F32, {shape.batch, shape.queryLength}), k(DType::F32, {shape.keyLength}),
          c(DType::F32, {shape.queryLength, shape.keyLength});
      Case empty{.options = {.headDim = 8, .masks = {mask(rows)}},
                 .world = world,
                 .shape = shape,
                 .arguments = {{"q", q.view()}, {"k", k.view()}, {"c", c.view()}}};
      CHECK(refusal(empty) == "");
    }
}

TEST_CASE("entries of other rings' batches are not read in silence") {
  constexpr const char *text = R"(
mask seen(b: index, h: index, i: index, j: index, t: view<f32>[B]) { return t[b + 1] > 0.0 }
)";
  HostTensor t(DType::F32, {2});
  Case given{.options = {.headDim = 8, .masks = {mask(text)}, .ringSize = 1},
             .world = 2,
             .shape = {2, 20, 20},
             .arguments = {{"t", t.view()}}};
  CHECK(refusal(given) ==
        "argument seen.t: got an axis B that is indexed by something other than b, in 2 rings that "
        "share the batch, allowed: b alone, an axis of another name, or one ring of all 2 ranks");
  given.options.ringSize = 2;
  CHECK(refusal(given) == "");
}
