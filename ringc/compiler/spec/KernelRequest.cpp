#include "ringc/compiler/spec/KernelRequest.h"

#include "ringc/compiler/spec/FieldsHash.h"
#include "ringc/compiler/spec/FieldsJson.h"

namespace ringc {

SourceSet::SourceSet(std::vector<SourceText> texts) {
  // Lengths keep two texts from being taken for one.
  std::string all;
  for (const auto &[name, text] : texts)
    all += std::to_string(name.size()) + " " + std::to_string(text.size()) + "\n" + name + text;
  std::string digest = toHex(sha256(all));
  shared = std::make_shared<const Shared>(Shared{std::move(texts), std::move(digest)});
}

std::string cacheKey(const KernelRequest &request) {
  return toHex(sha256(
      fields_json::write(request).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)));
}

size_t KernelRequestHash::operator()(const KernelRequest &request) const { return hashOf(request); }

} // namespace ringc
