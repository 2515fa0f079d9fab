#include "tests/unit/compiler/TileFaults.h"

#include "ringc/Float16.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>

#include <ucontext.h>

namespace ringc::testing {

namespace {

constexpr int tiles = 8, rows = 16, rowBytes = 64;

struct Tile {
  int rows = 0, rowBytes = 0; ///< as configured
  std::array<std::array<uint8_t, testing::rowBytes>, testing::rows> bytes{};
};

struct State {
  bool isConfigured = false;
  std::array<Tile, tiles> tile;
} state;

/// An instruction of the map 0F38 with a VEX prefix of three bytes.
struct Instruction {
  int prefix = 0; ///< none, 66, F3, F2
  int opcode = 0, reg = 0, rm = 0, vvvv = 0;
  bool isOfMemory = false;
  uint64_t address = 0, stride = 0; ///< of memory: a base and a displacement, and the index
  int length = 0;
};

/// By the numbers that instructions give them.
constexpr std::array<int, 16> registerAt = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                            REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                            REG_R12, REG_R13, REG_R14, REG_R15};

std::optional<Instruction> decode(const uint8_t *code, const gregset_t &registers) {
  if (code[0] != 0xc4 || (code[1] & 0x1f) != 2)
    return std::nullopt;
  Instruction made;
  int indexHigh = code[1] & 0x40 ? 0 : 8, baseHigh = code[1] & 0x20 ? 0 : 8;
  made.vvvv = (~code[2] >> 3) & 15;
  made.prefix = code[2] & 3;
  made.opcode = code[3];
  int mode = code[4] >> 6;
  made.reg = (code[4] >> 3) & 7;
  made.rm = code[4] & 7;
  const uint8_t *next = code + 5;
  auto valueOf = [&](int number) {
    return static_cast<uint64_t>(registers[registerAt[static_cast<size_t>(number)]]);
  };
  if (mode != 3) {
    made.isOfMemory = true;
    int base = made.rm;
    if (made.rm == 4) {
      int index = ((*next >> 3) & 7) | indexHigh;
      if (index != 4)
        made.stride = valueOf(index) << (*next >> 6);
      base = *next++ & 7;
    }
    if (mode == 0 && (made.rm & 7) == 5)
      return std::nullopt; // relative to the instruction
    bool hasBase = !(mode == 0 && base == 5);
    int32_t displacement = 0;
    if (mode == 1) {
      displacement = static_cast<int8_t>(*next++);
    } else if (mode == 2 || !hasBase) {
      std::memcpy(&displacement, next, 4);
      next += 4;
    }
    made.address = (hasBase ? valueOf(base | baseHigh) : 0) +
                   static_cast<uint64_t>(static_cast<int64_t>(displacement));
  }
  made.length = static_cast<int>(next - code);
  return made;
}

template <class Value> Value valueAt(const Tile &tile, int row, int column) {
  Value value;
  std::memcpy(&value, &tile.bytes[size_t(row)][size_t(column) * sizeof(Value)], sizeof(Value));
  return value;
}

using Wide = std::array<std::array<float, 2 * rowBytes / 4>, rows>;

/// The numbers of a tile, two to each 4 bytes of a row.
Wide widened(const Tile &tile, float (*wide)(uint16_t)) {
  Wide made = {};
  for (int row = 0; row < tile.rows; ++row)
    for (int column = 0; column < tile.rowBytes / 2; ++column)
      made[size_t(row)][size_t(column)] = wide(valueAt<uint16_t>(tile, row, column));
  return made;
}

void multiplyAdd(Tile &sums, const Tile &a, const Tile &b, float (*wide)(uint16_t)) {
  Wide left = widened(a, wide), right = widened(b, wide);
  size_t columns = size_t(sums.rowBytes) / 4;
  for (size_t row = 0; row < size_t(sums.rows); ++row) {
    std::array<float, rowBytes / 4> sum;
    std::memcpy(sum.data(), sums.bytes[row].data(), sizeof sum);
    for (size_t term = 0; term < size_t(a.rowBytes) / 2; ++term)
      for (size_t column = 0; column < columns; ++column)
        sum[column] += left[row][term] * right[term / 2][2 * column + term % 2];
    std::memcpy(sums.bytes[row].data(), sum.data(), 4 * columns);
  }
}

/// False for what is no instruction of AMX, or one that would fault there, too.
bool run(const Instruction &instruction) {
  enum Prefix { None, P66, PF3, PF2 };
  auto is = [&](int opcode, Prefix prefix, bool ofMemory) {
    return instruction.opcode == opcode && instruction.prefix == prefix &&
           instruction.isOfMemory == ofMemory;
  };
  auto *memory = reinterpret_cast<uint8_t *>(instruction.address);
  if (is(0x49, None, true)) { // ldtilecfg
    if (memory[0] != 1 || memory[1] != 0)
      return false;
    state = {};
    state.isConfigured = true;
    for (int i = 0; i < tiles; ++i) {
      Tile &tile = state.tile[size_t(i)];
      uint16_t bytesOfRow;
      std::memcpy(&bytesOfRow, memory + 16 + 2 * i, 2);
      tile.rowBytes = bytesOfRow;
      tile.rows = memory[48 + i];
      if (tile.rowBytes > rowBytes || tile.rows > rows)
        return false;
    }
    return true;
  }
  if (!state.isConfigured)
    return false;
  Tile &tile = state.tile[size_t(instruction.reg)];
  if (is(0x49, None, false)) { // tilerelease
    state.isConfigured = false;
    return true;
  }
  if (is(0x49, PF2, false)) { // tilezero
    tile.bytes = {};
    return true;
  }
  if (is(0x4b, PF2, true) || is(0x4b, PF3, true)) { // tileloadd, tilestored
    bool isLoad = instruction.prefix == PF2;
    for (int row = 0; row < tile.rows; ++row) {
      uint8_t *at = memory + uint64_t(row) * instruction.stride;
      uint8_t *kept = tile.bytes[size_t(row)].data();
      std::memcpy(isLoad ? kept : at, isLoad ? at : kept, size_t(tile.rowBytes));
    }
    return true;
  }
  bool isBf16 = is(0x5c, PF3, false), isF16 = is(0x5c, PF2, false);
  if (!isBf16 && !isF16)
    return false;
  if (instruction.reg == instruction.rm || instruction.reg == instruction.vvvv ||
      instruction.rm == instruction.vvvv || instruction.vvvv >= tiles)
    return false;
  multiplyAdd(
      tile, state.tile[size_t(instruction.rm)], state.tile[size_t(instruction.vvvv)],
      isBf16 ? [](uint16_t bits) { return floatFromBF16(bits); }
             : [](uint16_t bits) { return floatFromF16(bits); });
  return true;
}

void onIllegal(int, siginfo_t *, void *raw) {
  auto *context = static_cast<ucontext_t *>(raw);
  gregset_t &registers = context->uc_mcontext.gregs;
  auto *code = reinterpret_cast<const uint8_t *>(registers[REG_RIP]);
  std::optional<Instruction> instruction = decode(code, registers);
  if (instruction && run(*instruction))
    registers[REG_RIP] += instruction->length;
  else
    std::signal(SIGILL, SIG_DFL); // it comes once more
}

} // namespace

TileFaults::TileFaults() {
  struct sigaction action = {};
  action.sa_sigaction = onIllegal;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGILL, &action, &before);
}

TileFaults::~TileFaults() { sigaction(SIGILL, &before, nullptr); }

} // namespace ringc::testing
