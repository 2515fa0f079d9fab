#include "ringc/files/SafetensorsReader.h"

#include "ringc/files/Quote.h"
#include "ringc/support/Error.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace ringc {

// Depth 1 is between the tensors, 2 in one or in the metadata, 3 in a list of integers.

bool SafetensorsReader::null() {
  if (depth == 1 && inMetadata)
    return true;
  return value();
}

bool SafetensorsReader::number_unsigned(number_unsigned_t number) {
  constexpr size_t mostAxes = 64; // numpy's and torch's
  if (depth != 3 || !list)
    return value();
  if (number > uint64_t(INT64_MAX))
    failField();
  if (list->size() == mostAxes)
    fail("has a list of more than " + std::to_string(mostAxes) + " integers");
  list->push_back(int64_t(number));
  return true;
}

bool SafetensorsReader::string(string_t &text) {
  if (depth != 2 || (!inMetadata && field != "dtype"))
    return value();
  if (!inMetadata)
    entry.type = std::move(text);
  else if (!metadata.emplace(std::move(field), std::move(text)).second)
    fail("has a name twice");
  return true;
}

bool SafetensorsReader::key(string_t &name) {
  constexpr size_t mostFields = 16; // the format has three
  if (depth == 1) {
    inMetadata = name == safetensorsMetadataKey;
    if (inMetadata && std::exchange(hasMetadata, true))
      throw InputError("the header names " + quote(name) + " twice");
    entry = {.name = std::move(name), .type = {}, .shape = {}};
    keys.clear();
  } else if (depth == 2) {
    if (!inMetadata && std::ranges::find(keys, name) != keys.end())
      throw InputError("the header names " + quote(name) + " twice");
    if (!inMetadata && keys.size() == mostFields)
      fail("has more than " + std::to_string(mostFields) + " fields");
    if (!inMetadata)
      keys.push_back(name);
    field = std::move(name);
  }
  return true;
}

bool SafetensorsReader::parse_error(size_t position, const std::string &,
                                    const nlohmann::detail::exception &error) {
  constexpr int outOfRange =
      400; // 401 to 499: numbers and strings that JSON has and the parser not
  if (error.id >= outOfRange)
    throw InputError("the header is not JSON that can be held");
  throw InputError("the header is not JSON, at its byte " + std::to_string(position));
}

bool SafetensorsReader::value() {
  if (depth == 1 || (depth == 2 && inMetadata))
    fail(inMetadata ? "is no object of strings" : "has no dtype");
  bool isOurs = field == "dtype" || field == "shape" || field == "data_offsets";
  if (isOurs && (depth == 2 || list))
    failField();
  return true;
}

bool SafetensorsReader::open(Bracket bracket) {
  constexpr int deepest = 8;
  if (depth == 1 && bracket == Bracket::Array)
    return value();
  if (depth == 2 && bracket == Bracket::Array && !inMetadata &&
      (field == "shape" || field == "data_offsets")) {
    list = field == "shape" ? &entry.shape : &offsets;
    list->clear();
  } else if (depth >= 2) {
    value();
  }
  if (++depth > deepest)
    fail("nests deeper than " + std::to_string(deepest) + " levels");
  return true;
}

bool SafetensorsReader::close() {
  list = nullptr;
  if (--depth == 1 && !inMetadata)
    finishTensor();
  return true;
}

void SafetensorsReader::finishTensor() {
  for (const char *needed : {"dtype", "shape", "data_offsets"}) {
    field = needed;
    if (std::ranges::find(keys, field) == keys.end())
      failField();
  }
  if (offsets.size() != 2)
    failField();
  entry.begin = offsets.front();
  entry.end = offsets.back();
  entries.push_back(std::move(entry));
}

void SafetensorsReader::fail(const std::string &what) const {
  throw InputError((inMetadata ? "" : "tensor ") + quote(entry.name) + " " + what);
}

void SafetensorsReader::failField() const {
  if (field == "dtype")
    fail("has no dtype");
  if (field == "shape")
    fail("has no shape: a list of integers from 0 to 2^63 - 1");
  fail("has no data_offsets: two integers from 0 to 2^63 - 1");
}

} // namespace ringc
