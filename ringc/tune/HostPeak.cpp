#include "ringc/tune/HostPeak.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <memory>
#include <new>
#include <numeric>
#include <string>
#include <unistd.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace ringc {

namespace {

using Clock = std::chrono::steady_clock;

/// A loop of products that depend on nothing but themselves.
struct ProductLoop {
  void (*run)(int64_t rounds) = nullptr;
  int64_t rounds = 0; ///< under a millisecond: threads end together
  double flopsPerRound = 0;
  const char *name = "";
};

#if defined(__x86_64__)

// Twelve sums hide the latency of an instruction that two ports take and that is done after four
// cycles, or five. In assembly: the same loop in every build, whatever the compiler makes of
// others.
#define RINGC_TWELVE(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11)
#define RINGC_CLOBBERED                                                                            \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",         \
      "xmm11", "xmm14", "xmm15", "cc"

constexpr float factor = 0.999F, term = 0.5F;

#define RINGC_CLEAR(i) "vxorps %%xmm" #i ", %%xmm" #i ", %%xmm" #i "\n"
#define RINGC_YMM(i) "vfmadd213ps %%ymm15, %%ymm14, %%ymm" #i "\n"
#define RINGC_ZMM(i) "vfmadd213ps %%zmm15, %%zmm14, %%zmm" #i "\n"
#define RINGC_DOT(i) "vdpbf16ps %%zmm15, %%zmm14, %%zmm" #i "\n"
#define RINGC_LOOP(vector, instruction)                                                            \
  asm volatile("vbroadcastss %[factor], %%" vector "14\n"                                          \
               "vbroadcastss %[term], %%" vector                                                   \
               "15\n" RINGC_TWELVE(RINGC_CLEAR) "1:\n" RINGC_TWELVE(instruction) "dec %[rounds]\n" \
                                                                                 "jnz 1b\n"        \
                                                                                 "vzeroupper\n"    \
               : [rounds] "+r"(rounds)                                                             \
               : [factor] "m"(factor), [term] "m"(term)                                            \
               : RINGC_CLOBBERED)

void avx2Loop(int64_t rounds) { RINGC_LOOP("ymm", RINGC_YMM); }
void avx512Loop(int64_t rounds) { RINGC_LOOP("zmm", RINGC_ZMM); }
void bf16Loop(int64_t rounds) { RINGC_LOOP("zmm", RINGC_DOT); }

// Of the eight registers of tiles six are sums: one takes a product every 16 cycles, which is done
// after 52.
#define RINGC_SIX(F) F(0) F(1) F(2) F(3) F(4) F(5)
#define RINGC_ZERO_TILE(i) "tilezero %%tmm" #i "\n"
#define RINGC_BF16_TILE(i) "tdpbf16ps %%tmm7, %%tmm6, %%tmm" #i "\n"
// tdpfp16ps, which assemblers know for a shorter time: VEX.128.F2.0F38.W0 5C of the same registers.
#define RINGC_F16_TILE(i) ".byte 0xc4, 0xe2, 0x43, 0x5c, 0xc6 + 8 * " #i "\n"
#define RINGC_TILE_LOOP(instruction)                                                               \
  asm volatile("ldtilecfg %[shapes]\n" RINGC_SIX(RINGC_ZERO_TILE) RINGC_ZERO_TILE(6)               \
                   RINGC_ZERO_TILE(7) "1:\n" RINGC_SIX(instruction) "dec %[rounds]\n"              \
                                                                    "jnz 1b\n"                     \
                                                                    "tilerelease\n"                \
               : [rounds] "+r"(rounds)                                                             \
               : [shapes] "m"(tileShapes)                                                          \
               : "cc")

/// Intel's manual, LDTILECFG: palette 1, then bytes of a row and rows of each register.
struct TileShapes {
  uint8_t palette = 1, startRow = 0, reserved[14] = {};
  uint16_t rowBytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileShapes) == 64);
constexpr TileShapes tileShapes;

void bf16TileLoop(int64_t rounds) { RINGC_TILE_LOOP(RINGC_BF16_TILE); }
void f16TileLoop(int64_t rounds) { RINGC_TILE_LOOP(RINGC_F16_TILE); }

/// Those that the target has for the type.
std::vector<ProductLoop> productLoops(const Target &target, DType dtype) {
  constexpr double sums = 12, avx2Floats = 8, avx512Floats = 16, ofFma = 2, ofDot = 4;
  constexpr double tileSums = 6, ofTile = 2.0 * 16 * 16 * 32;
  constexpr int64_t rounds = 200000, tileRounds = 12500;
  std::vector<ProductLoop> loops;
  bool through = dtype != DType::F32;
  if (target.vectorBytes == 64)
    loops.push_back(
        {avx512Loop, rounds, sums * avx512Floats * ofFma,
         through ? "f32 FMA (AVX-512), as 16-bit types are computed" : "f32 FMA (AVX-512)"});
  else if (target.vectorBytes == 32)
    loops.push_back({avx2Loop, rounds, sums * avx2Floats * ofFma,
                     through ? "f32 FMA (AVX2), as 16-bit types are computed" : "f32 FMA (AVX2)"});
  if (dtype == DType::BF16 && target.hasBf16Dot)
    loops.push_back(
        {bf16Loop, rounds, sums * avx512Floats * ofDot, "bf16 pairs added to f32 (AVX512_BF16)"});
  if (dtype == DType::BF16 && target.hasBf16Tiles)
    loops.push_back(
        {bf16TileLoop, tileRounds, tileSums * ofTile, "bf16 tiles added to f32 (AMX_BF16)"});
  if (dtype == DType::F16 && target.hasF16Tiles)
    loops.push_back(
        {f16TileLoop, tileRounds, tileSums * ofTile, "f16 tiles added to f32 (AMX_FP16)"});
  return loops;
}

#undef RINGC_TILE_LOOP
#undef RINGC_F16_TILE
#undef RINGC_BF16_TILE
#undef RINGC_ZERO_TILE
#undef RINGC_SIX
#undef RINGC_LOOP
#undef RINGC_DOT
#undef RINGC_ZMM
#undef RINGC_YMM
#undef RINGC_CLEAR
#undef RINGC_CLOBBERED
#undef RINGC_TWELVE

#else

std::vector<ProductLoop> productLoops(const Target &, DType) { return {}; }

#endif

/// a = b + s c. Past the caches, where the processor can: a store that reads its line first would
/// move a third more than is counted.
void triad(float *a, const float *b, const float *c, int64_t count) {
#if defined(__x86_64__)
  const __m128 s = _mm_set1_ps(3);
  for (int64_t i = 0; i < count; i += 4)
    _mm_stream_ps(a + i, _mm_add_ps(_mm_load_ps(b + i), _mm_mul_ps(s, _mm_load_ps(c + i))));
  _mm_sfence();
#else
  for (int64_t i = 0; i < count; ++i)
    a[i] = b[i] + 3 * c[i];
#endif
}

/// The same way.
void copy(float *a, const float *b, int64_t count) {
#if defined(__x86_64__)
  for (int64_t i = 0; i < count; i += 4)
    _mm_stream_ps(a + i, _mm_load_ps(b + i));
  _mm_sfence();
#else
  std::copy_n(b, count, a);
#endif
}

float sum(const float *a, int64_t count) {
#if defined(__x86_64__)
  __m128 sums[4] = {_mm_setzero_ps(), _mm_setzero_ps(), _mm_setzero_ps(), _mm_setzero_ps()};
  for (int64_t i = 0; i < count; i += 16)
    for (int at = 0; at < 4; ++at)
      sums[at] = _mm_add_ps(sums[at], _mm_load_ps(a + i + 4 * at));
  return _mm_cvtss_f32(_mm_add_ps(_mm_add_ps(sums[0], sums[1]), _mm_add_ps(sums[2], sums[3])));
#else
  return std::accumulate(a, a + count, 0.0F);
#endif
}

/// Of the fastest of several rounds: what disturbs makes them slower, never faster.
template <typename Round> double fastestSeconds(int rounds, const Round &round) {
  double fastest = 0;
  for (int at = 0; at < rounds; ++at) {
    Clock::time_point begin = Clock::now();
    round();
    double took = std::chrono::duration<double>(Clock::now() - begin).count();
    fastest = at == 0 ? took : std::min(fastest, took);
  }
  return fastest;
}

double productsOf(HostPool &pool, const ProductLoop &loop) {
  constexpr int repeats = 60;
  int64_t items = int64_t(pool.threads()) * 8;
  double seconds = fastestSeconds(
      repeats, [&] { pool.forEach(items, [&](int64_t) { loop.run(loop.rounds); }); });
  return double(items) * double(loop.rounds) * loop.flopsPerRound / seconds;
}

/// Of each of three arrays: four times the last cache, if there is memory.
int64_t arrayBytes() {
  constexpr int64_t least = int64_t(64) << 20, most = int64_t(256) << 20, shareOfFree = 16;
  int64_t cache = std::max<int64_t>(0, sysconf(_SC_LEVEL3_CACHE_SIZE));
  int64_t free = int64_t(sysconf(_SC_AVPHYS_PAGES)) * int64_t(sysconf(_SC_PAGESIZE));
  return std::max(least, std::min({4 * cache, most, free / shareOfFree}));
}

constexpr int64_t piece = int64_t(1) << 18; // floats

/// Of whole pieces, aligned to a line of a cache.
class Array {
public:
  explicit Array(int64_t pieces)
      : memory(static_cast<float *>(::operator new[](size_t(pieces *piece) * sizeof(float),
                                                     std::align_val_t(alignment)))) {}
  float *pieceAt(int64_t at) const { return memory.get() + at * piece; }

private:
  static constexpr size_t alignment = 64;
  struct Freed {
    void operator()(float *freed) const { ::operator delete[](freed, std::align_val_t(alignment)); }
  };
  std::unique_ptr<float[], Freed> memory;
};

/// Written by the threads that will read them.
void fill(HostPool &pool, int64_t pieces, std::initializer_list<const Array *> arrays) {
  pool.forEach(pieces, [&](int64_t at) {
    for (const Array *each : arrays)
      std::fill_n(each->pieceAt(at), piece, 1.0F);
  });
}

double bandwidthOf(HostPool &pool, int64_t bytes) {
  constexpr int repeats = 6;
  int64_t pieces = bytes / int64_t(sizeof(float)) / piece;
  Array a(pieces), b(pieces), c(pieces);
  fill(pool, pieces, {&a, &b, &c});
  double seconds = fastestSeconds(repeats, [&] {
    pool.forEach(pieces,
                 [&](int64_t at) { triad(a.pieceAt(at), b.pieceAt(at), c.pieceAt(at), piece); });
  });
  constexpr double arrays = 3;
  return arrays * double(pieces * piece) * sizeof(float) / seconds;
}

} // namespace

std::vector<ProductPeak> productPeaks(HostPool &pool, const Target &target, DType dtype) {
  std::vector<ProductPeak> peaks;
  for (const ProductLoop &loop : productLoops(target, dtype))
    peaks.push_back({loop.name, productsOf(pool, loop)});
  return peaks;
}

MachinePeak hostPeak(HostPool &pool, const Target &target, DType dtype) {
  MachinePeak peak;
  std::string threads =
      std::to_string(pool.threads()) + (pool.threads() == 1 ? " thread" : " threads");
  try {
    for (const ProductPeak &each : productPeaks(pool, target, dtype))
      if (each.flopsPerSecond > peak.flopsPerSecond) {
        peak.flopsPerSecond = each.flopsPerSecond;
        peak.products = each.products + ", " + threads;
      }
    if (peak.products.empty()) {
      peak.problem = "no loop of products for this processor";
    }
    int64_t bytes = arrayBytes();
    peak.bytesPerSecond = bandwidthOf(pool, bytes);
    peak.memory = "triad over 3 x " + std::to_string(bytes >> 20) + " MiB, " + threads;
  } catch (const std::exception &error) {
    peak.problem = error.what();
  }
  return peak;
}

struct HostTraffic::Arrays {
  int64_t pieces = arrayBytes() / int64_t(sizeof(float)) / piece;
  Array to{pieces}, from{pieces};

  double bytes() const { return double(pieces * piece) * sizeof(float); }
};

HostTraffic::HostTraffic(HostPool &of) : pool(of), arrays(std::make_unique<Arrays>()) {
  fill(pool, arrays->pieces, {&arrays->to, &arrays->from});
}
HostTraffic::~HostTraffic() = default;

double HostTraffic::read() {
  std::atomic<float> kept = 0; // so that the sums are computed
  double seconds = fastestSeconds(/*rounds=*/1, [&] {
    pool.forEach(arrays->pieces, [&](int64_t at) { kept = sum(arrays->from.pieceAt(at), piece); });
  });
  return arrays->bytes() / seconds;
}

double HostTraffic::copied() {
  double seconds = fastestSeconds(/*rounds=*/1, [&] {
    pool.forEach(arrays->pieces, [&](int64_t at) {
      copy(arrays->to.pieceAt(at), arrays->from.pieceAt(at), piece);
    });
  });
  return 2 * arrays->bytes() / seconds;
}

} // namespace ringc
