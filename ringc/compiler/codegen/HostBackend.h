#pragma once

namespace ringc {

/// Registers LLVM's code generator for the host's architecture, once.
void initialiseHostBackend();

} // namespace ringc
