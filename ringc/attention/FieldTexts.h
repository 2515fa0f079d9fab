#pragma once

#include "ringc/Tensor.h"
#include "ringc/compiler/spec/FieldsJson.h"
#include "ringc/ring/Schedule.h"
#include "ringc/ring/SequenceLayout.h"

#include <string>
#include <string_view>

/// What options of attentions have as text in JSON, besides enums.
namespace ringc {

template <> struct FieldText<DType> {
  static std::string text(DType dtype) { return std::string(nameOf(dtype)); }
  static std::string allowed() { return "f32, f16, bf16, i32, i64, bool"; }
  static DType parse(std::string_view field, std::string_view text) {
    if (std::optional<DType> dtype = parseDType(text))
      return *dtype;
    throw InputError(field, text, allowed());
  }
};

template <> struct FieldText<SequenceLayout> {
  static std::string text(const SequenceLayout &layout) { return nameOf(layout); }
  static std::string allowed() { return "contiguous, striped, striped:S, zigzag"; }
  static SequenceLayout parse(std::string_view, std::string_view text) { return parseLayout(text); }
};

template <> struct FieldText<Schedule> {
  static std::string text(const Schedule &schedule) { return nameOf(schedule); }
  static std::string allowed() { return std::string(scheduleNames); }
  static Schedule parse(std::string_view, std::string_view text) { return parseSchedule(text); }
};

} // namespace ringc
