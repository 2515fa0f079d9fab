#pragma once

#include "ringc/files/SafetensorsHeader.h"

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace ringc {

inline constexpr std::string_view safetensorsMetadataKey = "__metadata__";

/// Takes a header's tensors from the parser's events, without a tree of all: its text may have 100
/// MB and be hostile. Throws InputError, also for text that is not JSON.
class SafetensorsReader final : public nlohmann::json_sax<nlohmann::json> {
public:
  std::vector<SafetensorsEntry> entries; ///< in the order of the text
  SafetensorsMetadata metadata;

  bool null() override;
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t) override { return value(); }
  bool number_unsigned(number_unsigned_t number) override;
  bool number_float(number_float_t, const string_t &) override { return value(); }
  bool string(string_t &text) override;
  bool binary(binary_t &) override { return value(); }
  bool start_object(size_t) override { return open(Bracket::Object); }
  bool key(string_t &name) override;
  bool end_object() override { return close(); }
  bool start_array(size_t) override { return open(Bracket::Array); }
  bool end_array() override { return close(); }
  bool parse_error(size_t position, const std::string &token,
                   const nlohmann::detail::exception &error) override;

private:
  enum class Bracket { Object, Array };

  bool value(); ///< one that fits nowhere
  bool open(Bracket bracket);
  bool close();
  void finishTensor();
  [[noreturn]] void fail(const std::string &what) const; ///< of the tensor or the metadata
  [[noreturn]] void failField() const;                   ///< has another value than it may

  int depth = 0;
  bool inMetadata = false, hasMetadata = false;
  SafetensorsEntry entry;
  std::string field;             ///< of the tensor or the metadata, whose value comes
  std::vector<std::string> keys; ///< of the tensor, so far
  std::vector<int64_t> offsets;
  std::vector<int64_t> *list = nullptr; ///< whose elements come
};

} // namespace ringc
