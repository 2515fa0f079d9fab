#pragma once

#include "ringc/compiler/spec/CompiledKernel.h"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>

namespace ringc {

/// A compiled kernel as bytes:
///
///     offset  0  "RINGCKRN"
///             8  u64 version, u64 bytes of header, u64 bytes of code, little endian
///            32  SHA-256 of all other bytes
///            64  header: JSON of the kernel without its code, and "key"
///                code
std::string encodeKernel(const CompiledKernel &kernel, std::string_view key);

/// The inverse, for bytes from anywhere. Throws InputError saying what is wrong: a file cut short
/// or too long, another version, a wrong checksum, another key than `key`.
CompiledKernel decodeKernel(std::string_view bytes, std::string_view key);

/// All but the code.
nlohmann::json toJson(const CompiledKernel &kernel);
/// The inverse. Throws InputError as specFromJson does.
CompiledKernel compiledKernelFromJson(const nlohmann::json &json);

} // namespace ringc
