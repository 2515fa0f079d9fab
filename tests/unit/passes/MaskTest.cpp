#include "tests/unit/passes/FoldedCall.h"

#include "ringc/compiler/passes/MaskExpression.h"
#include "ringc/compiler/predicate/Visibility.h"

#include <doctest/doctest.h>

#include <random>

using namespace ringc;

namespace {

/// A mask whose body is `body`, to %r, with two i32 and one f32 parameter, and a kernel that loops
/// over it.
std::string maskModule(const std::string &body) {
  return R"(
    func.func private @mask(%b: i32, %h: i32, %i: i32, %j: i32, %qrow: i32, %krow: i32, %m: i32, %n: i32, %x: f32) -> i1 {
      %true = arith.constant true
      %c0 = arith.constant 0 : i32
      %c1 = arith.constant 1 : i32
)" + body +
         R"(
      return %r : i1
    }
    func.func @kernel(%qpos: !tile.positions<"Nq">, %kpos: !tile.positions<"Nk">, %rows: i32, %out: !tile.view<f32, ["Nq", "16"]>,
                      %m: i32 {tile.name = "mask.m"}, %n: i32 {tile.name = "mask.n"}, %x: f32 {tile.name = "mask.x"}) attributes {tile.kernel} {
      %c0 = arith.constant 0 : i32
      %nk = tile.extent "Nk"
      %zero = arith.constant dense<0.0> : tensor<8x16xf32>
      %one = arith.constant dense<1.0> : tensor<8x16xf32>
      %r = tile.masked_for @mask over 1 from %c0 to %nk step 16 at %qpos, %kpos fixed %rows with (%m, %n, %x : i32, i32, f32)
          init(%zero : tensor<8x16xf32>) : !tile.positions<"Nq">, !tile.positions<"Nk"> -> tensor<8x16xf32> {
      ^bb0(%cols: i32, %seen: tensor<8x16xi1>, %acc: tensor<8x16xf32>):
        %t = arith.select %seen, %one, %acc : tensor<8x16xi1>, tensor<8x16xf32>
        tile.yield %t : tensor<8x16xf32>
      }
      tile.store %r, %out[%rows, %c0] : tensor<8x16xf32>, !tile.view<f32, ["Nq", "16"]>
      return
    })";
}

struct Mask {
  const char *body;
  const char *expression;
};

const Mask masks[] = {
    {"%r = arith.cmpi sle, %j, %i : i32", "j <= i"},
    {R"(%a = arith.cmpi sle, %j, %i : i32  %p = arith.cmpi slt, %j, %m : i32  %r = arith.ori %a, %p : i1)",
     "j <= i or j < mask.m"},
    {R"(%d = arith.subi %i, %j : i32  %e = arith.subi %j, %i : i32  %ul = arith.cmpi slt, %m, %c0 : i32
        %ur = arith.cmpi slt, %n, %c0 : i32  %wl = arith.cmpi sle, %d, %m : i32  %wr = arith.cmpi sle, %e, %n : i32
        %l = arith.ori %ul, %wl : i1  %q = arith.ori %ur, %wr : i1  %r = arith.andi %l, %q : i1)",
     "(mask.m < 0 or i - j <= mask.m) and (mask.n < 0 or j - i <= mask.n)"},
    {R"(%d = arith.subi %i, %j : i32  %f = arith.floordivsi %d, %m : i32  %g = arith.muli %f, %m : i32
        %e = arith.subi %d, %g : i32  %z = arith.cmpi eq, %e, %c0 : i32  %k = arith.cmpi slt, %d, %n : i32  %r = arith.andi %z, %k : i1)",
     nullptr},
    {R"(%f = arith.sitofp %i : i32 to f32  %g = arith.mulf %f, %x : f32  %k = arith.sitofp %j : i32 to f32
        %r = arith.cmpf ogt, %g, %k : f32)",
     "f32(i) * mask.x > f32(j)"},
    {R"(%d = arith.subi %i, %j : i32  %a = math.absi %d : i32  %l = arith.minsi %a, %m : i32  %k = arith.maxsi %l, %n : i32
        %e = arith.cmpi ne, %k, %n : i32  %r = arith.xori %e, %true : i1)",
     "max(min(abs(i - j), mask.m), mask.n) == mask.n"},
    {R"(%o = arith.cmpi eq, %h, %c1 : i32  %d = arith.addi %j, %m : i32  %s = arith.select %o, %j, %d : i32  %r = arith.cmpi sge, %i, %s : i32)",
     "i >= (h == 1 ? j : j + mask.m)"},
    {R"(%a = arith.cmpi slt, %j, %m : i32  %b2 = arith.cmpi slt, %i, %m : i32  %r = arith.cmpi eq, %a, %b2 : i1)",
     nullptr},
};

struct Draw {
  std::mt19937 engine{7};
  int64_t operator()(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine);
  }
};

int64_t asInt(predicate::Visibility visibility) { return static_cast<int64_t>(visibility); }

} // namespace

TEST_CASE("masks become expressions under the names of the source") {
  for (const Mask &mask : masks) {
    ScalarModule tile(maskModule(mask.body), "specialise");
    auto before = maskOf(tile.module().lookupSymbol<mlir::func::FuncOp>("kernel"));
    REQUIRE(before);
    if (mask.expression)
      CHECK(before->toString() == mask.expression);
    ScalarModule split(maskModule(mask.body), "to-split");
    CHECK(maskOf(split.module().lookupSymbol<mlir::func::FuncOp>("kernel")) == before);
  }
}

TEST_CASE("a mask without a counterpart has no expression") {
  ScalarModule tile(maskModule("%o = arith.andi %j, %c1 : i32  %r = arith.cmpi eq, %o, %c0 : i32"),
                    "specialise");
  CHECK(!maskOf(tile.module().lookupSymbol<mlir::func::FuncOp>("kernel")));
}

TEST_CASE("the emitted visibility is the host's, and both are true") {
  Draw draw;
  for (const Mask &mask : masks) {
    CAPTURE(mask.body);
    ScalarModule module(maskModule(mask.body), "to-split");
    auto expression = maskOf(module.module().lookupSymbol<mlir::func::FuncOp>("kernel"));
    REQUIRE(expression);
    int64_t counts[3] = {};
    for (int round = 0; round < 60; ++round) {
      auto range = [&](int64_t low, int64_t high, int64_t length) {
        int64_t first = draw(low, high);
        return predicate::Range{first, first + draw(0, length)};
      };
      int64_t b = draw(0, 2);
      predicate::Box box{{b, b},          range(0, 2, 1),  range(-6, 40, 5),
                         range(0, 40, 5), range(0, 20, 3), range(0, 20, 3)};
      int64_t m = draw(-2, 20), n = draw(-2, 20);
      double x = draw(-4, 4) / 2.0;
      predicate::ParameterValues parameters = {{"mask.m", m}, {"mask.n", n}, {"mask.x", x}};

      std::vector<Scalar> arguments = {box.batch.low};
      for (predicate::Range r :
           {box.head, box.queryPosition, box.keyPosition, box.queryRow, box.keyRow}) {
        arguments.push_back(r.low);
        arguments.push_back(r.high);
      }
      arguments.insert(arguments.end(), {m, n, x});
      int64_t emitted = std::get<int64_t>(module.call("mask.visibility", arguments));
      CHECK(emitted == asInt(predicate::visibility(*expression, box, parameters)));
      ++counts[emitted];

      // One point of the box, as MLIR folds the mask itself.
      int64_t h = draw(box.head.low, box.head.high),
              i = draw(box.queryPosition.low, box.queryPosition.high),
              j = draw(box.keyPosition.low, box.keyPosition.high);
      bool dividesByZero = m == 0; // folding refuses it
      if (dividesByZero)
        continue;
      bool seen = std::get<bool>(
          module.call("mask", {b, h, i, j, box.queryRow.low, box.keyRow.low, m, n, x}));
      CHECK((seen ? emitted != 0 : emitted != 2));
      predicate::Point point{b, h, i, j, box.queryRow.low, box.keyRow.low};
      CHECK(std::get<bool>(predicate::evaluateAt(*expression, point, parameters)) == seen);
    }
    CHECK(counts[0] + counts[2] > 0); // it says something
  }
}
