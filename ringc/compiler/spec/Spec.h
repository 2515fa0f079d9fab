#pragma once

#include "ringc/compiler/spec/CompiledKernel.h"
#include "ringc/compiler/spec/Fields.h"
#include "ringc/support/EnumNames.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ringc {

/// Which query head reads which key head: blocked kv = q / group, tiled kv = q % h_kv.
enum class HeadMap { Blocked, Tiled };

/// The kind of a shard's layout, as far as it is compiled; its numbers are known when running.
/// `Striped` stripes single tokens, `BucketStriped` whole buckets, `Any` works for all.
enum class LayoutKind { Any, Contiguous, Striped, BucketStriped, Zigzag };

/// How a GPU multiplies f32, whose tensor cores take TF32: 10 bits behind the point. The host's
/// products are f32's own.
enum class F32Products { Tf32x3, Tf32 };

template <> struct EnumNames<HeadMap> {
  static constexpr std::array<std::pair<HeadMap, std::string_view>, 2> table = {
      {{HeadMap::Blocked, "blocked"}, {HeadMap::Tiled, "tiled"}}};
};
template <> struct EnumNames<F32Products> {
  static constexpr std::array<std::pair<F32Products, std::string_view>, 2> table = {
      {{F32Products::Tf32x3, "3xtf32"}, {F32Products::Tf32, "tf32"}}};
};
template <> struct EnumNames<LayoutKind> {
  static constexpr std::array<std::pair<LayoutKind, std::string_view>, 5> table = {
      {{LayoutKind::Any, "any"},
       {LayoutKind::Contiguous, "contiguous"},
       {LayoutKind::Striped, "striped"},
       {LayoutKind::BucketStriped, "bucket_striped"},
       {LayoutKind::Zigzag, "zigzag"}}};
};
template <> struct EnumNames<ElementType> {
  static constexpr std::array<std::pair<ElementType, std::string_view>, 5> table = {
      {{ElementType::F32, "f32"},
       {ElementType::F16, "f16"},
       {ElementType::BF16, "bf16"},
       {ElementType::I32, "i32"},
       {ElementType::Bool, "bool"}}};
};

/// What was asked: everything that a kernel is specialised for. What is known only when running
/// (lengths, strides, positions, scale, parameters of masks and scores) is not here.
struct Spec {
  std::string kernel = "attention_forward";
  std::string source; ///< path of the user's .tile file, or ""; its text is in a SourceSet
  int64_t headDim = 64;
  int64_t valueHeadDim = 0; ///< 0: as headDim; see valueDim()
  int64_t groupSize = 1;
  HeadMap headMap = HeadMap::Blocked;
  ElementType dtype = ElementType::F32;
  F32Products f32Products = F32Products::Tf32x3;
  LayoutKind queryLayout = LayoutKind::Any;
  LayoutKind keyLayout = LayoutKind::Any;
  std::vector<std::string> mask;  ///< all must hold; "causal", or "user.tile:dilated"
  std::vector<std::string> score; ///< applied in this order
  std::map<std::string, int64_t> constants;
  std::map<std::string, ElementType> types;
  std::map<std::string, int64_t> tile; ///< sizes by hand: "q" is the constant BQ
  std::string target = "cpu";

  bool operator==(const Spec &) const = default;

  int64_t valueDim() const { return valueHeadDim == 0 ? headDim : valueHeadDim; }
};

template <FieldsOf<Spec> Self, class Visit> void visitFields(Self &self, Visit &&visit) {
  auto &[kernel, source, headDim, valueHeadDim, groupSize, headMap, dtype, f32Products, queryLayout,
         keyLayout, mask, score, constants, types, tile, target] = self;
  visit(Field{"kernel", "name of the kernel in the source or in the library"}, kernel);
  visit(Field{"source", "path of a .tile file with kernels of your own; empty for the library"},
        source);
  visit(Field{"head_dim", "elements in a row of q and k, the constant D", 1, 256}, headDim);
  visit(Field{"value_head_dim", "elements in a row of v, the constant Dv; 0 is head_dim", 0, 256},
        valueHeadDim);
  visit(Field{"group_size", "query heads for each key head", 1, 1024}, groupSize);
  visit(Field{"head_map", "which query head reads which key head"}, headMap);
  visit(Field{"dtype", "type of q, k, v and out, the type constant T"}, dtype);
  visit(Field{"f32",
              "on a GPU, a product of f32 as three of tf32, within 2e-5, or as one, within 2e-3"},
        f32Products);
  visit(Field{"query_layout", "kind of the layout of the queries' shard"}, queryLayout);
  visit(Field{"key_layout", "kind of the layout of the keys' shard"}, keyLayout);
  visit(Field{"mask", "masks that must all hold: names of the library, or FILE.tile:NAME"}, mask);
  visit(Field{"score", "score functions in the order of their application, named as masks are"},
        score);
  visit(Field{"constants", "integer constants of the kernel by name"}, constants);
  visit(Field{"types", "type constants of the kernel by name"}, types);
  visit(Field{"tile",
              "tile sizes by dimension, in place of the compiler's choice: q is the constant BQ, "
              "warps and n_warps share them on a GPU, micro_rows and micro_vectors are a register "
              "block of a host, micro_depth the terms of a 16-bit sum that it adds at a time (1 "
              "widened to f32, 2 in pairs, 32 in AMX tiles), attention_forward.q is that kernel's "
              "alone",
              1, 4096},
        tile);
  visit(Field{"target", "what to compile for"}, target);
}

/// Throws InputError naming the first field that is wrong, its value and what is allowed.
void validate(const Spec &spec);

/// A spec from JSON text, called `name` in messages, validated. Throws InputError:
/// `name:line:column: ...` where it is no JSON, `name: field: ...` on an unknown field, a wrong
/// type or a value that is not allowed. Absent fields keep their default.
Spec parseSpec(std::string_view text, std::string_view name);

/// Sets one field from "field=value", as --set takes it. Lists are comma separated, a map takes
/// "tile=q=64,kv=128" (all of it) or "tile.q=64" (one entry). Checks this field alone, so that
/// fields may be set in any order; `validate` checks the rest.
void set(Spec &spec, std::string_view assignment);

/// Two columns, field and documentation, with defaults and permitted values: the reference of the
/// README and of --help.
std::string describeSpec();

/// A mask or score as the Spec names it: NAME of the library or FILE:NAME.
struct FunctionName {
  std::string file; ///< "" for the library, or for the user's `source`
  std::string name;
  bool operator==(const FunctionName &) const = default;
};
FunctionName splitFunctionName(std::string_view text);

/// The .tile files that the spec names, each once: `source` first, then those of masks and scores.
std::vector<std::string> sourceFiles(const Spec &spec);

} // namespace ringc
