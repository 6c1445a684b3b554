#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

// What a program says about itself, one line per event on stderr, for people and for grep:
//   2026-01-31T10:15:02.123Z level=warn event=link_lost server=farm:7443 error="connection refused"
// Never a secret, never the log of a task: those have files of their own.
namespace slipway::log {

enum class Level { kDebug = 0, kInfo = 1, kWarn = 2, kError = 3 };

// "debug", "info", "warn", "error"; nullopt: anything else.
[[nodiscard]] std::optional<Level> ParseLevel(std::string_view name);

// Lines below this are not written; kInfo until set. Thread-safe.
void SetLevel(Level level);

using Field = std::pair<std::string_view, std::string>;

// The line without time and newline. Values with blanks, quotes or control bytes are quoted and
// escaped, so that a line stays a line whatever a network or a container put into a value; a value
// is cut after 2 KiB.
[[nodiscard]] std::string FormatLine(Level level, std::string_view event,
                                     std::initializer_list<Field> fields);

// Writes one line with one write(2), so that lines of threads and processes never mix.
// Thread-safe; never fails.
void Log(Level level, std::string_view event, std::initializer_list<Field> fields = {});

inline void Info(std::string_view event, std::initializer_list<Field> fields = {}) {
  Log(Level::kInfo, event, fields);
}
inline void Warn(std::string_view event, std::initializer_list<Field> fields = {}) {
  Log(Level::kWarn, event, fields);
}
inline void Error(std::string_view event, std::initializer_list<Field> fields = {}) {
  Log(Level::kError, event, fields);
}

}  // namespace slipway::log
