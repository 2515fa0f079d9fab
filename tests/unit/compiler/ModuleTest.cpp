// The library's kernels of the module and the transformer against double precision.

#include "tests/unit/compiler/KernelRun.h"
#include "tests/unit/compiler/ModuleKernels.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>
#include <random>

using namespace ringc;
using namespace ringc::testing;

TEST_CASE("rms_norm and its gradients") {
  everywhere([](const Target &target, ElementType type, Shape shape) {
    auto [rows, columns] = shape;
    unsigned seed = fresh();
    CAPTURE(seed);
    Matrix x = Matrix::random(type, rows, columns, seed),
           dy = Matrix::random(type, rows, columns, seed + 1);
    Matrix gamma = Matrix::random(type, 1, columns, seed + 2);
    for (int64_t c = 0; rows > 1 && c < columns; ++c) { // a row without a direction
      x.set(rows - 1, c, 0);
      dy.set(rows - 1, c, 0);
    }
    auto root = float(std::sqrt(double(columns)));
    auto sum = [&](auto value) {
      double total = 0;
      for (int64_t c = 0; c < columns; ++c)
        total += value(c);
      return total;
    };
    auto lengthOf = [&](int64_t r) {
      return std::max(1e-12, std::sqrt(sum([&](int64_t c) { return x.at(r, c) * x.at(r, c); })));
    };
    Matrix y(type, rows, columns), factor(ElementType::F32, rows, 1), dx(type, rows, columns);
    KernelRun forward(specOf("rms_norm", type), "", target);
    forward.bind("x", x).bind("gamma", gamma).bind("root", root).bind("y", y);
    forward.bind("factor", factor).run();
    CHECK(relativeError(y, [&](int64_t r, int64_t c) {
            return x.at(r, c) / lengthOf(r) * root * gamma.at(0, c);
          }) < allowed(type));
    KernelRun backward(specOf("rms_norm_backward", type), "", target);
    backward.bind("x", x).bind("gamma", gamma).bind("factor", factor).bind("dy", dy);
    backward.bind("root", root).bind("dx", dx).run();
    double worst = 0; // beside what is added and subtracted: of a row of one number nothing is left
    for (int64_t r = 0; r < rows; ++r) {
      double length = lengthOf(r), scale = root / length;
      double along = sum([&](int64_t k) { return x.at(r, k) * dy.at(r, k) * gamma.at(0, k); });
      double terms =
          sum([&](int64_t k) { return std::abs(x.at(r, k) * dy.at(r, k) * gamma.at(0, k)); });
      for (int64_t c = 0; c < columns; ++c) {
        double g = dy.at(r, c) * gamma.at(0, c);
        double toward = length > 1e-12 ? x.at(r, c) / length * along / length : 0;
        double size = scale * (std::abs(g) + std::abs(x.at(r, c)) / length * terms / length);
        double off = std::abs(dx.at(r, c) - scale * (g - toward));
        worst = std::max(worst, off == 0 ? 0 : off / size);
      }
    }
    CHECK(worst < 2 * allowed(type));
    Spec spec = specOf("rms_norm_backward_gamma", type);
    spec.constants = {{"PART", 20}};
    KernelRun parts(spec, "", target);
    Matrix partial(ElementType::F32, (rows + 19) / 20, columns),
        dgamma(ElementType::F32, 1, columns);
    parts.bind("x", x).bind("factor", factor).bind("dy", dy).bind("parts", partial).run();
    KernelRun whole(specOf("column_sums", ElementType::F32), "", target);
    whole.bind("x", partial).bind("sums", dgamma).run();
    CHECK(relativeError(dgamma, [&](int64_t, int64_t c) {
            double total = 0;
            for (int64_t r = 0; r < rows; ++r)
              total += x.at(r, c) / lengthOf(r) * root * dy.at(r, c);
            return total;
          }) < 1e-5);
  });
}

TEST_CASE("sums over rows have the same bits every time, and in parts those of their parts") {
  everywhere([](const Target &target, ElementType type, Shape shape) {
    auto [rows, columns] = shape;
    Matrix x = Matrix::random(type, rows, columns, fresh());
    Matrix first(ElementType::F32, 1, columns), second(ElementType::F32, 1, columns);
    KernelRun run(specOf("column_sums", type), "", target);
    run.bind("x", x).bind("sums", first).run();
    run.bind("sums", second).run();
    CHECK(largestError(second, [&](int64_t, int64_t c) { return first.at(0, c); }) == 0);
    CHECK(largestError(first, [&](int64_t, int64_t c) {
            double total = 0;
            for (int64_t r = 0; r < rows; ++r)
              total += x.at(r, c);
            return total;
          }) < 1e-5);
    Spec spec = specOf("column_sums_of_parts", type);
    spec.constants = {{"PART", 7}};
    Matrix parts(ElementType::F32, (rows + 6) / 7, columns);
    KernelRun inParts(spec, "", target);
    inParts.bind("x", x).bind("parts", parts).run();
    CHECK(largestError(parts, [&](int64_t p, int64_t c) {
            double total = 0;
            for (int64_t r = 7 * p; r < std::min(7 * p + 7, rows); ++r)
              total += x.at(r, c);
            return total;
          }) < 1e-5);
  });
}

TEST_CASE("gelu and its gradient, with special values") {
  everywhere([](const Target &target, ElementType type, Shape shape) {
    auto [rows, columns] = shape;
    unsigned seed = fresh();
    CAPTURE(seed);
    Matrix x = Matrix::random(type, rows, columns, seed),
           dy = Matrix::random(type, rows, columns, seed + 1);
    constexpr double special[] = {0, -0.0, 6, -6, 40, -40, 6e4, -6e4, 1e-7, INFINITY};
    for (int64_t c = 0; c < std::min<int64_t>(columns, std::size(special)); ++c)
      x.set(0, c, special[c]);
    Matrix y(type, rows, columns), dx(type, rows, columns);
    KernelRun forward(specOf("gelu", type), "", target);
    forward.bind("x", x).bind("y", y).run();
    auto share = [](double t) { return 0.5 * std::erfc(-t / std::numbers::sqrt2); };
    CHECK(largestError(y, [&](int64_t r, int64_t c) { return x.at(r, c) * share(x.at(r, c)); }) <
          allowed(type));
    KernelRun backward(specOf("gelu_backward", type), "", target);
    backward.bind("x", x).bind("dy", dy).bind("dx", dx).run();
    CHECK(largestError(dx, [&](int64_t r, int64_t c) {
            double t = x.at(r, c);
            double density = std::exp(-t * t / 2) / std::sqrt(2 * std::numbers::pi);
            return dy.at(r, c) * (share(t) + (density == 0 ? 0 : t * density));
          }) < allowed(type));
  });
}

TEST_CASE("rotary embeddings of both kinds, forward and back, at positions up to 2^31") {
  constexpr int64_t rows = 40, pairs = 36, group = 2;
  auto frequency = [](int64_t pair) { return std::pow(10000.0, -double(pair) / pairs); };
  for (const Target &target : hostVariants())
    for (ElementType type : types)
      for (int32_t first : {0, 100000, 2147480000}) {
        CAPTURE(describe(target));
        CAPTURE(first);
        unsigned seed = fresh();
        CAPTURE(seed);
        Positions positions{.first = first, .block = 1 << 20, .jump = 1 << 20};
        auto angle = [&](int64_t r, int64_t pair) {
          return std::fmod(double(first + r) * frequency(pair), 2 * std::numbers::pi);
        };
        // Of each column: how many steps it turns from position to position.
        auto bindSteps = [&](KernelRun &run, int64_t repeat) {
          auto steps = [=](int64_t c) {
            return frequency(c / repeat) / (2 * std::numbers::pi) * 0x1p32;
          };
          Matrix turns = Matrix::from(ElementType::I32, 1, pairs * repeat, [&](int64_t, int64_t c) {
            return double(static_cast<int32_t>(static_cast<int64_t>(std::round(steps(c)))));
          });
          Matrix rest = Matrix::from(ElementType::F32, 1, pairs * repeat, [&](int64_t, int64_t c) {
            return steps(c) - std::round(steps(c));
          });
          run.bind("turns", turns).bind("rest", rest).bind("qpos", positions);
          run.extent("Nq", rows).extent("H", group);
          return std::pair(std::move(turns), std::move(rest));
        };
        auto specified = [&](const char *name) {
          Spec spec = specOf(name, type);
          spec.groupSize = group;
          spec.queryLayout = LayoutKind::Contiguous;
          return spec;
        };

        Matrix a = Matrix::random(type, rows, group * pairs, seed),
               b = Matrix::random(type, rows, group * pairs, seed + 1);
        Matrix oldA = Matrix::random(type, rows, group * pairs, seed),
               oldB = Matrix::random(type, rows, group * pairs, seed + 1);
        KernelRun halves(specified("rotary_half_split"), "", target);
        auto steps = bindSteps(halves, 1);
        halves.bind("a", a).bind("b", b).bind("a_turned", a).bind("b_turned", b);
        halves.bind("direction", 1.0F).run();
        CHECK(relativeError(a, [&](int64_t r, int64_t c) {
                double t = angle(r, c % pairs);
                return oldA.at(r, c) * std::cos(t) - oldB.at(r, c) * std::sin(t);
              }) < allowed(type));
        CHECK(relativeError(b, [&](int64_t r, int64_t c) {
                double t = angle(r, c % pairs);
                return oldB.at(r, c) * std::cos(t) + oldA.at(r, c) * std::sin(t);
              }) < allowed(type));
        halves.bind("direction", -1.0F).run();
        CHECK(relativeError(a, [&](int64_t r, int64_t c) { return oldA.at(r, c); }) <
              2 * allowed(type));

        constexpr int64_t dims = 2 * pairs;
        Matrix x = Matrix::random(type, rows, group * dims, seed), turned(type, rows, group * dims),
               back(type, rows, group * dims);
        KernelRun neighbours(specified("rotary_interleaved"), "", target);
        auto stepsTwice = bindSteps(neighbours, 2);
        neighbours.bind("x", x).bind("turned", turned).bind("direction", 1.0F).run();
        CHECK(relativeError(turned, [&](int64_t r, int64_t c) {
                double t = angle(r, c % dims / 2), beside = x.at(r, c ^ 1) * std::sin(t);
                return x.at(r, c) * std::cos(t) + (c % 2 ? beside : -beside);
              }) < allowed(type));
        neighbours.bind("x", turned).bind("turned", back).bind("direction", -1.0F).run();
        CHECK(relativeError(back, [&](int64_t r, int64_t c) { return x.at(r, c); }) <
              2 * allowed(type));
      }
}

TEST_CASE("cross entropy and its gradient, with labels that are ignored") {
  everywhere([](const Target &target, ElementType type, Shape shape) {
    auto [rows, columns] = shape;
    unsigned seed = fresh();
    CAPTURE(seed);
    Matrix logits = Matrix::random(type, rows, columns, seed);
    for (int64_t c = 0; c < columns; ++c) // large ones, and one impossible class
      logits.set(0, c, 3000 + 10 * logits.at(0, c));
    if (columns > 1)
      logits.set(rows - 1, 1, -INFINITY);
    std::mt19937 generator(seed);
    Matrix labels = Matrix::from(ElementType::I32, rows, 1, [&](int64_t r, int64_t) {
      return r % 5 == 3 ? -1.0 : r == rows - 1 ? 0.0 : double(generator() % uint64_t(columns));
    });
    Matrix loss(ElementType::F32, rows, 1), lse(ElementType::F32, rows, 1),
        gradient(type, rows, columns);
    KernelRun forward(specOf("cross_entropy", type), "", target);
    forward.bind("logits", logits).bind("labels", labels).bind("ignored", int32_t(-1));
    forward.bind("loss", loss).bind("lse", lse).run();
    auto lseOf = [&](int64_t r) {
      double most = -INFINITY, sum = 0;
      for (int64_t c = 0; c < columns; ++c)
        most = std::max(most, logits.at(r, c));
      for (int64_t c = 0; c < columns; ++c)
        sum += std::exp(logits.at(r, c) - most);
      return most + std::log(sum);
    };
    CHECK(largestError(lse, [&](int64_t r, int64_t) { return lseOf(r); }) < 2e-6);
    CHECK(largestError(loss, [&](int64_t r, int64_t) {
            auto label = static_cast<int64_t>(labels.at(r));
            return label < 0 ? 0 : lseOf(r) - logits.at(r, label);
          }) < 2e-6);
    KernelRun backward(specOf("cross_entropy_backward", type), "", target);
    backward.bind("logits", logits).bind("labels", labels).bind("ignored", int32_t(-1));
    backward.bind("lse", lse).bind("scale", 0.125F).bind("dlogits", gradient).run();
    CHECK(largestError(gradient, [&](int64_t r, int64_t c) {
            auto label = static_cast<int64_t>(labels.at(r));
            double p = std::exp(logits.at(r, c) - lse.at(r));
            return label < 0 ? 0 : 0.125 * (p - (c == label));
          }) < 1e-6 + roundingOf(type) / 8);
  });
}

TEST_CASE("AdamW with and without master weights") {
  for (bool hasMaster : {false, true})
    everywhere([&](const Target &target, ElementType type, Shape shape) {
      auto [rows, columns] = shape;
      unsigned seed = fresh();
      CAPTURE(seed);
      CAPTURE(hasMaster);
      Matrix master = Matrix::random(ElementType::F32, rows, columns, seed),
             before = Matrix::random(ElementType::F32, rows, columns, seed);
      Matrix weight = Matrix::random(type, rows, columns, seed),
             old = Matrix::random(type, rows, columns, seed);
      Matrix gradient = Matrix::random(type, rows, columns, seed + 1);
      Matrix mean = Matrix::random(ElementType::F32, rows, columns, seed + 2),
             oldMean = Matrix::random(ElementType::F32, rows, columns, seed + 2);
      auto positive = [&] {
        Matrix made = Matrix::random(ElementType::F32, rows, columns, seed + 3);
        return Matrix::from(ElementType::F32, rows, columns,
                            [&](int64_t r, int64_t c) { return std::abs(made.at(r, c)); });
      };
      Matrix square = positive(), oldSquare = positive();
      Spec spec = specOf(hasMaster ? "adamw_master" : "adamw", type);
      spec.types = {{"G", type}};
      KernelRun run(spec, "", target);
      if (hasMaster)
        run.bind("master", master);
      run.bind("weight", weight).bind("gradient", gradient).bind("mean", mean);
      run.bind("square", square).bind("rate", 0.01F).bind("decay", 0.1F).bind("beta1", 0.9F);
      run.bind("beta2", 0.999F).bind("eps", 1e-8F).bind("correction1", 0.19F);
      run.bind("correction2", 0.001999F).run();
      auto meanOf = [&](int64_t r, int64_t c) {
        return oldMean.at(r, c) + (1 - double(0.9F)) * (gradient.at(r, c) - oldMean.at(r, c));
      };
      auto squareOf = [&](int64_t r, int64_t c) {
        double g = gradient.at(r, c);
        return oldSquare.at(r, c) + (1 - double(0.999F)) * (g * g - oldSquare.at(r, c));
      };
      auto weightOf = [&](int64_t r, int64_t c) {
        double w = hasMaster ? before.at(r, c) : old.at(r, c);
        return w - 0.01 * (0.1 * w +
                           meanOf(r, c) / 0.19 / (std::sqrt(squareOf(r, c) / 0.001999) + 1e-8));
      };
      CHECK(largestError(mean, meanOf) < 1e-6);
      CHECK(largestError(square, squareOf) < 1e-6);
      CHECK(largestError(weight, weightOf) < allowed(type));
      if (hasMaster)
        CHECK(largestError(master, weightOf) < 2e-6);
    });
}
