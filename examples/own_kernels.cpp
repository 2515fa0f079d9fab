// Kernels of one's own that are not attention, launched by name: a product of matrices, and rows
// normalised by their root mean square. usage: own_kernels FILE.tile [cuda]

#include "ringc/attention/device/DeviceTensor.h"
#include "ringc/jit/DeviceCompiler.h"
#include "ringc/jit/HostCompiler.h"
#include "ringc/kernel/DeviceKernel.h"
#include "ringc/kernel/Kernel.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <random>
#include <string>
#include <vector>

using namespace ringc;

static constexpr int64_t m = 300, n = 500, k = 200; // lengths that no tile divides
static constexpr double eps = 1e-5;

/// y = row_norm(a * b) on this host; the views may have any strides.
static void onHost(const std::string &file, const HostTensor &a, const HostTensor &b,
                   const HostTensor &weight, const HostTensor &y) {
  AttentionContext context = hostContext();
  Kernel product(context, {.kernel = "product", .source = file});
  Kernel rowNorm(context, {.kernel = "row_norm", .source = file});
  HostTensor c(DType::F32, {m, n});
  launch(product, {{"a", a}, {"b", b}, {"c", c}}, {}, *context.pool);
  launch(rowNorm, {{"x", c}, {"weight", weight}, {"y", y}}, {{"columns", n}, {"eps", eps}},
         *context.pool);
}

/// The same on the first GPU, in the order of a stream.
static HostTensor onDevice(const std::string &file, const HostTensor &a, const HostTensor &b,
                           const HostTensor &weight) {
  DeviceContext context = deviceContext();
  CudaStream stream(context.device);
  DeviceKernel product(context, {.kernel = "product", .source = file});
  DeviceKernel rowNorm(context, {.kernel = "row_norm", .source = file});
  std::vector<int64_t> shape{m, n};
  DeviceTensor da = DeviceTensor::copyOf(stream, a), db = DeviceTensor::copyOf(stream, b),
               dw = DeviceTensor::copyOf(stream, weight), c(context.device, DType::F32, shape),
               y(context.device, DType::F32, shape);
  launch(product, {{"a", da}, {"b", db}, {"c", c}}, {}, stream);
  launch(rowNorm, {{"x", c}, {"weight", dw}, {"y", y}}, {{"columns", n}, {"eps", eps}}, stream);
  return y.download(stream);
}

/// The largest error against double precision.
static double errorOf(const HostTensor &a, const HostTensor &b, const HostTensor &weight,
                      const HostTensor &y) {
  double worst = 0;
  std::vector<double> row(n);
  for (int64_t i = 0; i < m; ++i) {
    double squares = 0;
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t at = 0; at < k; ++at)
        sum += double(a.dataAs<float>()[i * k + at]) * double(b.dataAs<float>()[at * n + j]);
      row[size_t(j)] = sum;
      squares += sum * sum;
    }
    for (int64_t j = 0; j < n; ++j) {
      double right =
          row[size_t(j)] / std::sqrt(squares / double(n) + eps) * double(weight.dataAs<float>()[j]);
      worst = std::max(worst, std::abs(double(y.dataAs<float>()[i * n + j]) - right));
    }
  }
  return worst;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: own_kernels FILE.tile [cuda]\n");
    return 2;
  }
  HostTensor a(DType::F32, {m, k}), b(DType::F32, {k, n}), weight(DType::F32, {1, n}),
      y(DType::F32, {m, n});
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (const HostTensor *tensor : {&a, &b, &weight})
    std::generate_n(tensor->dataAs<float>(), tensor->elementCount(),
                    [&] { return normal(random); });
  try {
    if (argc > 2)
      y = onDevice(argv[1], a, b, weight);
    else
      onHost(argv[1], a, b, weight, y);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  double worst = errorOf(a, b, weight, y);
  std::printf("rows of a product, normalised: the largest error is %.2g\n", worst);

  // What does not fit is said before anything runs.
  try {
    AttentionContext context = hostContext(1);
    launch(Kernel(context, {.kernel = "product", .source = argv[1]}),
           {{"a", a}, {"b", weight}, {"c", y}}, {}, *context.pool);
    return 1;
  } catch (const InputError &error) {
    std::printf("%s\n", error.what());
  }
  return worst < 2e-5 ? 0 : 1;
}
