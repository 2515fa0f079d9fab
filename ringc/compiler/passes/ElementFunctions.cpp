#include "ringc/compiler/passes/ElementFunctions.h"

#include "ringc/compiler/dialect/Tile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <array>
#include <limits>
#include <utility>

using namespace mlir;

namespace ringc {

namespace {

/// Arithmetic on f32, i32 and i64 in the shape of one operand. Nothing is contracted: a
/// multiply-add is written as such.
class Arithmetic {
public:
  Arithmetic(OpBuilder &opBuilder, Location location, Type like)
      : builder(opBuilder), loc(location), shape(dyn_cast<VectorType>(like)) {}

  Type of(Type element) const {
    return shape ? Type(VectorType::get(shape.getShape(), element)) : element;
  }
  Type f32() const { return of(builder.getF32Type()); }
  Type i32() const { return of(builder.getI32Type()); }
  Type i64() const { return of(builder.getI64Type()); }

  Value real(double value) { return constant(builder.getF32FloatAttr(static_cast<float>(value))); }
  Value integer(uint32_t value) {
    return constant(builder.getI32IntegerAttr(static_cast<int32_t>(value)));
  }
  Value wide(int64_t value) { return constant(builder.getI64IntegerAttr(value)); }

  template <class OpTy, class... Operands> Value make(Operands... operands) {
    return OpTy::create(builder, loc, operands...);
  }
  Value add(Value a, Value b) { return make<arith::AddFOp>(a, b); }
  Value sub(Value a, Value b) { return make<arith::SubFOp>(a, b); }
  Value mul(Value a, Value b) { return make<arith::MulFOp>(a, b); }
  Value fma(Value a, Value b, Value c) { return make<math::FmaOp>(a, b, c); }
  Value select(Value condition, Value a, Value b) { return make<arith::SelectOp>(condition, a, b); }
  Value bits(Value real) { return make<arith::BitcastOp>(i32(), real); }
  Value fromBits(Value integer) { return make<arith::BitcastOp>(f32(), integer); }
  Value compare(arith::CmpFPredicate predicate, Value a, Value b) {
    return make<arith::CmpFOp>(predicate, a, b);
  }
  Value equals(Value a, Value b) { return make<arith::CmpIOp>(arith::CmpIPredicate::eq, a, b); }
  /// `sum` and then the coefficients, by Horner's rule in x.
  template <size_t count> Value polynomial(Value x, const std::array<double, count> &coefficients) {
    Value sum = real(coefficients[0]);
    for (size_t i = 1; i < count; ++i)
      sum = fma(sum, x, real(coefficients[i]));
    return sum;
  }
  /// The nearest whole number of x, as a float and as an integer: |x| below 2^22. Of other numbers
  /// both are anything, without trapping.
  std::pair<Value, Value> nearest(Value x, double scale) {
    constexpr float shift = 0x1.8p23F; // a unit in its last place is 1
    Value shifted = fma(x, real(scale), real(shift));
    Value whole = make<arith::SubIOp>(bits(shifted), bits(real(shift)));
    return {sub(shifted, real(shift)), whole};
  }
  /// 2^n for n of [-126, 127].
  Value powerOf2(Value n) {
    return fromBits(make<arith::ShLIOp>(make<arith::AddIOp>(n, integer(127)), integer(23)));
  }
  OpBuilder &builder;
  Location loc;

private:
  Value constant(TypedAttr value) {
    if (shape)
      value = DenseElementsAttr::get(shape.clone(value.getType()), Attribute(value));
    return arith::ConstantOp::create(builder, loc, value);
  }

  VectorType shape;
};

/// pi/2 as a sum, each the f32 nearest to what is left.
constexpr std::array<double, 3> piOver2 = {0x1.921fb6p0, -0x1.777a5cp-25, -0x1.ee59dap-50};

/// e^x = 2^n * e^r, |r| at most ln 2 / 2.
Value exponential(Arithmetic &a, Value x) {
  // Beyond these the result is 0 or infinity; a NaN passes both comparisons.
  Value least = a.real(-104), most = a.real(89);
  x = a.select(a.compare(arith::CmpFPredicate::OLT, x, least), least, x);
  x = a.select(a.compare(arith::CmpFPredicate::OGT, x, most), most, x);
  auto [n, whole] = a.nearest(x, 1.44269504088896341);
  // ln 2 as the sum of two numbers, the first with zeros at its end: its product is exact.
  Value r = a.fma(n, a.real(-0.693145751953125), x);
  r = a.fma(n, a.real(-1.42860682030941723e-6), r);
  Value p = a.polynomial(r, std::array{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
                                       4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1});
  p = a.add(a.fma(p, a.mul(r, r), r), a.real(1));
  // In two steps: 2^n alone may be no normal number.
  Value half = a.make<arith::ShRSIOp>(whole, a.integer(1));
  Value rest = a.make<arith::SubIOp>(whole, half);
  return a.mul(a.mul(p, a.powerOf2(half)), a.powerOf2(rest));
}

/// log(m * 2^e) = log(m) + e * ln 2, m of [sqrt(1/2), sqrt(2)).
Value logarithm(Arithmetic &a, Value x) {
  constexpr uint32_t halfRoot = 0x3f3504f3; // sqrt(1/2)
  Value subnormal = a.compare(arith::CmpFPredicate::OLT, x, a.real(0x1p-126));
  Value scaled = a.select(subnormal, a.mul(x, a.real(0x1p23)), x);
  Value shifted = a.make<arith::SubIOp>(a.bits(scaled), a.integer(halfRoot));
  Value e = a.make<arith::ShRSIOp>(shifted, a.integer(23));
  Value mantissa = a.make<arith::AndIOp>(shifted, a.integer(0x7fffff));
  Value m = a.fromBits(a.make<arith::AddIOp>(mantissa, a.integer(halfRoot)));
  e = a.make<arith::SIToFPOp>(a.f32(), e);
  e = a.sub(e, a.select(subnormal, a.real(23), a.real(0)));
  Value f = a.sub(m, a.real(1)), square = a.mul(f, f);
  Value p = a.polynomial(f, std::array{7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1,
                                       -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
                                       2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1});
  p = a.mul(a.mul(p, f), square);
  p = a.fma(e, a.real(-2.12194440054690583e-4), p);
  p = a.fma(square, a.real(-0.5), p);
  Value result = a.fma(e, a.real(0.693359375), a.add(f, p));
  constexpr float inf = std::numeric_limits<float>::infinity();
  // What is not below infinity is itself, NaN too; 0 and what is below it.
  result = a.select(a.compare(arith::CmpFPredicate::OLT, x, a.real(inf)), result, x);
  result = a.select(a.compare(arith::CmpFPredicate::OEQ, x, a.real(0)), a.real(-inf), result);
  return a.select(a.compare(arith::CmpFPredicate::OLT, x, a.real(0)),
                  a.real(std::numeric_limits<float>::quiet_NaN()), result);
}

/// erf x: an odd polynomial near 0, 1 - e^p(|x|) elsewhere.
Value errorFunction(Arithmetic &a, Value x) {
  Value size = a.make<math::AbsFOp>(x), square = a.mul(x, x);
  Value near = a.polynomial(square, std::array{-5.96761703e-4, 4.99119423e-3, -2.67681349e-2,
                                               1.12819925e-1, -3.76125336e-1, 1.28379166e-1});
  near = a.fma(near, x, x);
  // From 4 on erf is 1, and the powers of infinity have no difference.
  Value t = a.select(a.compare(arith::CmpFPredicate::OGT, size, a.real(4)), a.real(4), size);
  Value p = a.polynomial(t, std::array{-1.72853470e-5, 3.83197126e-4, -3.88396438e-3, 2.42546219e-2,
                                       -1.06777877e-1, -6.34846687e-1, -1.28717512e-1});
  p = a.fma(p, t, a.make<arith::NegFOp>(t));
  Value far = a.sub(a.real(1), exponential(a, p));
  Value sign = a.make<arith::AndIOp>(a.bits(x), a.integer(0x80000000));
  far = a.fromBits(a.make<arith::OrIOp>(a.bits(far), sign));
  return a.select(a.compare(arith::CmpFPredicate::OGT, size, a.real(0.927734375)), far, near);
}

/// An angle less a whole number of right angles, at most pi/4: the sum of a number and what its
/// rounding left out.
struct Reduced {
  Value angle, rest;
  Value quadrant; ///< i32, of which the last two bits count
};

/// By a sum of three numbers that is pi/2 to 2^-76 (Cody and Waite): |x| below 2^16. The difference
/// from the first product is exact.
Reduced reduceModerate(Arithmetic &a, Value x) {
  auto [n, quadrant] = a.nearest(x, 0.63661977236758134);
  Value first = a.fma(n, a.real(-piOver2[0]), x);
  Value second = a.mul(n, a.real(-piOver2[1]));
  Value ofSecond = a.fma(n, a.real(-piOver2[1]), a.make<arith::NegFOp>(second));
  // What the sum leaves out of both (Knuth's two-sum).
  Value sum = a.add(first, second), difference = a.sub(sum, first);
  Value left = a.add(a.sub(first, a.sub(sum, difference)), a.sub(second, difference));
  Value rest = a.add(left, a.fma(n, a.real(-piOver2[2]), ofSecond));
  Value angle = a.add(sum, rest);
  return {angle, a.add(a.sub(sum, angle), rest), quadrant};
}

/// By the bits of 2/pi that matter to it (Payne and Hanek): |x| = m * 2^(e - 150), m of 24 bits. m
/// times 96 of those bits is x * 2/pi modulo 4 with 62 bits behind the point: no f32 is as near to
/// a multiple of pi/2 as 2^-31.
Reduced reduceLarge(Arithmetic &a, Value x) {
  constexpr std::array<uint32_t, 8> twoOverPi = {0,          0xa2f9836e, 0x4e441529, 0xfc2757d1,
                                                 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab};
  Value bits = a.bits(x);
  Value biased = a.make<arith::AndIOp>(a.make<arith::ShRUIOp>(bits, a.integer(23)), a.integer(255));
  Value fraction = a.make<arith::AndIOp>(bits, a.integer(0x7fffff));
  Value m = a.make<arith::ExtUIOp>(a.i64(), a.make<arith::OrIOp>(fraction, a.integer(0x800000)));
  // The first bit that matters; those before it are multiples of 4.
  Value first = a.make<arith::SubIOp>(biased, a.integer(120));
  Value word = a.make<arith::ShRUIOp>(first, a.integer(5));
  Value shift = a.make<arith::ExtUIOp>(
      a.i64(), a.make<arith::SubIOp>(a.integer(32), a.make<arith::AndIOp>(first, a.integer(31))));
  std::array<Value, 4> words;
  for (uint32_t i = 0; i < words.size(); ++i) {
    words[i] = a.integer(twoOverPi[i]);
    for (uint32_t at = 1; at + i < twoOverPi.size(); ++at)
      words[i] = a.select(a.equals(word, a.integer(at)), a.integer(twoOverPi[at + i]), words[i]);
    words[i] = a.make<arith::ExtUIOp>(a.i64(), words[i]);
  }
  Value low32 = a.wide(0xffffffff);
  auto window = [&](size_t i) {
    Value both = a.make<arith::OrIOp>(a.make<arith::ShLIOp>(words[i], a.wide(32)), words[i + 1]);
    return a.make<arith::AndIOp>(a.make<arith::ShRUIOp>(both, shift), low32);
  };
  auto product = [&](Value part) { return a.make<arith::MulIOp>(m, part); };
  Value high = a.make<arith::ShLIOp>(product(window(0)), a.wide(32));
  Value low = a.make<arith::ShRUIOp>(product(window(2)), a.wide(32));
  Value sum = a.make<arith::AddIOp>(a.make<arith::AddIOp>(high, product(window(1))), low);
  Value rounded = a.make<arith::AddIOp>(sum, a.wide(int64_t(1) << 61));
  Value quadrant = a.make<arith::TruncIOp>(a.i32(), a.make<arith::ShRUIOp>(rounded, a.wide(62)));
  Value rest = a.make<arith::SubIOp>(
      sum, a.make<arith::ShLIOp>(a.make<arith::ShRUIOp>(rounded, a.wide(62)), a.wide(62)));
  // Three floats of at most 24 bits each, and their sum of two.
  auto bitsOf = [&](Value number) {
    return a.make<arith::SIToFPOp>(a.f32(), a.make<arith::TruncIOp>(a.i32(), number));
  };
  Value upper = bitsOf(a.make<arith::ShRSIOp>(rest, a.wide(38)));
  Value middle =
      bitsOf(a.make<arith::AndIOp>(a.make<arith::ShRUIOp>(rest, a.wide(14)), a.wide(0xffffff)));
  Value lower = bitsOf(a.make<arith::AndIOp>(rest, a.wide(0x3fff)));
  Value behind = a.fma(lower, a.real(0x1p-38), a.mul(middle, a.real(0x1p-24)));
  Value quarters = a.add(upper, behind);
  behind = a.add(a.sub(upper, quarters), behind);
  Value c = a.real(piOver2[0] * 0x1p-24);
  Value angle = a.mul(quarters, c);
  Value left = a.fma(quarters, c, a.make<arith::NegFOp>(angle));
  left = a.fma(quarters, a.real(piOver2[1] * 0x1p-24), left);
  left = a.fma(behind, c, left);
  Value negative = a.compare(arith::CmpFPredicate::OLT, x, a.real(0));
  auto signedLike = [&](Value number) {
    return a.select(negative, a.make<arith::NegFOp>(number), number);
  };
  return {signedLike(angle), signedLike(left),
          a.select(negative, a.make<arith::SubIOp>(a.integer(0), quadrant), quadrant)};
}

/// Large angles are rare: they cost a branch, which a vector takes where one of its elements does.
Reduced reduceAngle(Arithmetic &a, Value x) {
  Reduced moderate = reduceModerate(a, x);
  Value large = a.compare(arith::CmpFPredicate::OGE, a.make<math::AbsFOp>(x), a.real(0x1p16));
  Value any = large;
  if (isa<VectorType>(large.getType()))
    any = vector::ReductionOp::create(a.builder, a.loc, vector::CombiningKind::OR, large);
  auto branch = scf::IfOp::create(a.builder, a.loc, TypeRange{a.f32(), a.f32(), a.i32()}, any,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(a.builder);
  a.builder.setInsertionPointToStart(branch.thenBlock());
  Reduced exact = reduceLarge(a, x);
  scf::YieldOp::create(a.builder, a.loc,
                       ValueRange{a.select(large, exact.angle, moderate.angle),
                                  a.select(large, exact.rest, moderate.rest),
                                  a.select(large, exact.quadrant, moderate.quadrant)});
  a.builder.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(a.builder, a.loc,
                       ValueRange{moderate.angle, moderate.rest, moderate.quadrant});
  return {branch.getResult(0), branch.getResult(1), branch.getResult(2)};
}

/// sin(x + quadrants * pi/2).
Value sine(Arithmetic &a, Value x, uint32_t quadrants) {
  Reduced reduced = reduceAngle(a, x);
  Value r = reduced.angle, square = a.mul(r, r);
  Value quadrant = a.make<arith::AddIOp>(reduced.quadrant, a.integer(quadrants));
  Value s = a.polynomial(square, std::array{-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1});
  s = a.add(r, a.fma(a.mul(s, square), r, reduced.rest));
  Value c = a.polynomial(
      square, std::array{2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2});
  c = a.fma(a.mul(c, square), square, a.make<arith::NegFOp>(a.mul(r, reduced.rest)));
  c = a.add(a.fma(square, a.real(-0.5), a.real(1)), c);
  Value odd = a.make<arith::AndIOp>(quadrant, a.integer(1));
  Value value = a.select(a.equals(odd, a.integer(0)), s, c);
  Value sign = a.make<arith::ShLIOp>(a.make<arith::AndIOp>(quadrant, a.integer(2)), a.integer(30));
  value = a.fromBits(a.make<arith::XOrIOp>(a.bits(value), sign));
  constexpr float inf = std::numeric_limits<float>::infinity();
  Value finite = a.compare(arith::CmpFPredicate::OLT, a.make<math::AbsFOp>(x), a.real(inf));
  value = a.select(finite, value, a.real(std::numeric_limits<float>::quiet_NaN()));
  // The sum of +0 and -0 would lose the sign.
  return quadrants ? value : a.select(a.compare(arith::CmpFPredicate::OEQ, x, a.real(0)), x, value);
}

/// Philox4x32-10: ten rounds on a counter of four words with a key of two.
Value uniform(Arithmetic &a, ValueRange operands) {
  Value seed = operands[0];
  std::array<Value, 4> counter = {operands[4], operands[3], operands[2], operands[1]};
  std::array<Value, 2> key = {seed, a.integer(0)};
  constexpr int rounds = 10;
  for (int round = 0; round < rounds; ++round) {
    if (round > 0) {
      key[0] = a.make<arith::AddIOp>(key[0], a.integer(0x9E3779B9));
      key[1] = a.make<arith::AddIOp>(key[1], a.integer(0xBB67AE85));
    }
    auto multiply = [&](Value word, uint32_t factor) {
      auto product = arith::MulUIExtendedOp::create(a.builder, a.loc, word, a.integer(factor));
      return std::pair<Value, Value>(product.getLow(), product.getHigh());
    };
    auto [low0, high0] = multiply(counter[0], 0xD2511F53);
    auto [low1, high1] = multiply(counter[2], 0xCD9E8D57);
    auto mix = [&](Value x, Value y, Value z) -> Value {
      return a.make<arith::XOrIOp>(a.make<arith::XOrIOp>(x, y), z);
    };
    counter = {mix(high1, counter[1], key[0]), low1, mix(high0, counter[3], key[1]), low0};
  }
  Value bits = a.make<arith::ShRUIOp>(counter[0], a.integer(8));
  return a.mul(a.make<arith::SIToFPOp>(a.f32(), bits), a.real(0x1p-24));
}

} // namespace

Value elementFunction(OpBuilder &builder, Location loc, Operation *op, ValueRange operands) {
  if (!isa<math::ExpOp, math::LogOp, math::SinOp, math::CosOp, math::ErfOp, tile::RandomOp>(op))
    return {};
  Arithmetic arithmetic(builder, loc, operands[0].getType());
  if (isa<math::ExpOp>(op))
    return exponential(arithmetic, operands[0]);
  if (isa<math::LogOp>(op))
    return logarithm(arithmetic, operands[0]);
  if (isa<math::ErfOp>(op))
    return errorFunction(arithmetic, operands[0]);
  if (isa<tile::RandomOp>(op))
    return uniform(arithmetic, operands);
  return sine(arithmetic, operands[0], isa<math::CosOp>(op) ? 1 : 0);
}

} // namespace ringc
