#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace slipway::domain {

// One line of the audit trail: who did what to which object, or tried to. Its time is no part of
// it: the database gives one to all entries of a transaction.
struct AuditEntry {
  using Value = std::variant<std::string, std::int64_t>;

  // An account ("admin"), an agent ("agent:<id>"), "scheduler", or "stranger".
  std::string actor;
  // Address of who called; empty: nobody called, or it is not known.
  std::string from;
  // "create_run", "set_agent_mode", …; docs/audit.md lists them.
  std::string action;
  // Kind of the object ("task", "agent", …) and what it is called by.
  std::string object;
  std::string subject;
  // Why it was refused, a reason of docs/errors.md; empty: it was done.
  std::string reason;
  // SHA-256 (64 hex digits) of the object's canonical form; empty: see docs/audit.md.
  std::string before;
  std::string after;
  // What else there is to say, in this order. REQUIRES: no name of a field above.
  std::vector<std::pair<std::string, Value>> details;
};

// `text` as it is stored: bytes that are no UTF-8 and NUL bytes become U+FFFD.
std::string StorableText(std::string_view text);

// Appends `text` as a JSON string. One form for each text: StorableText, with everything escaped
// that ends a line, steers a terminal or turns the direction of writing.
void AppendJsonText(std::string& json, std::string_view text);

// The canonical bytes of an entry, which are stored and hashed: JSON in one line, without blanks,
// its keys in the order of docs/audit.md. `at` is in microseconds since 1970.
std::string CanonicalEntry(const AuditEntry& entry, std::int64_t at);

}  // namespace slipway::domain
