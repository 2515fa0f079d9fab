#pragma once

#include "ringc/compiler/frontend/Messages.h"
#include "ringc/compiler/frontend/Source.h"

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringc::frontend {

/// One located error, complete in itself: it holds no reference to the source.
struct Diagnostic {
  enum class Severity { Error };

  std::string file;
  Location location;
  Severity severity = Severity::Error;
  Message id;
  std::string message;
  std::string sourceLine; ///< printable: no line end, no control or invalid bytes
  int caret = 1;          ///< column of the caret in sourceLine, from 1
};

/// "file:line:col: error: message", the source line, and a caret under the place.
std::string render(const Diagnostic &diagnostic);
std::string render(std::span<const Diagnostic> diagnostics);

/// "; did you mean 'x'?" where a candidate is close to the name, else nothing.
std::string didYouMean(std::string_view name, std::span<const std::string> candidates);

/// Collects the errors of one file, at most `limit` and one that says so.
class DiagnosticSink {
public:
  static constexpr size_t limit = 20;

  explicit DiagnosticSink(const SourceFile &file) : source(file) {}

  void report(Location location, Message message,
              std::initializer_list<std::string> arguments = {});
  bool full() const { return diagnostics.size() >= limit; }
  size_t count() const { return diagnostics.size(); }
  bool empty() const { return diagnostics.empty(); }
  std::vector<Diagnostic> take() { return std::move(diagnostics); }

private:
  void add(Location location, Message message, std::initializer_list<std::string> arguments);

  const SourceFile &source;
  std::vector<Diagnostic> diagnostics;
};

} // namespace ringc::frontend
