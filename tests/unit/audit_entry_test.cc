#include <catch2/catch.hpp>
#include <string>

#include "controller/domain/audit.h"

namespace slipway::domain {
namespace {

AuditEntry Entry() {
  AuditEntry entry;
  entry.actor = "admin";
  entry.from = "203.0.113.7";
  entry.action = "set_agent_mode";
  entry.object = "agent";
  entry.subject = "agent-1";
  return entry;
}

std::string Json(std::string_view text) {
  std::string json;
  AppendJsonText(json, text);
  return json;
}

TEST_CASE("AuditEntry: the bytes are one line of JSON with its keys in a fixed order",
          "[unit][audit]") {
  AuditEntry entry = Entry();
  CHECK(CanonicalEntry(entry, 1'700'000'000'000'001) ==
        R"({"v":1,"at":1700000000000001,"actor":"admin","from":"203.0.113.7",)"
        R"("action":"set_agent_mode","object":"agent","subject":"agent-1","outcome":"done"})");
  entry.reason = "ADMIN_ONLY";
  entry.before = "aa";
  entry.after = "bb";
  entry.details = {{"why", "new kernel"}, {"attempt", std::int64_t{-2}}};
  CHECK(CanonicalEntry(entry, 5) ==
        R"({"v":1,"at":5,"actor":"admin","from":"203.0.113.7","action":"set_agent_mode",)"
        R"("object":"agent","subject":"agent-1","outcome":"refused","reason":"ADMIN_ONLY",)"
        R"("before":"aa","after":"bb","why":"new kernel","attempt":-2})");
}

TEST_CASE("AuditEntry: who nobody is, and where nobody called from, is said as well",
          "[unit][audit]") {
  CHECK(CanonicalEntry({}, 0) ==
        R"({"v":1,"at":0,"actor":"","from":"","action":"","object":"","subject":"",)"
        R"("outcome":"done"})");
}

TEST_CASE("AuditEntry: no text ends its line, its string or the terminal's good behaviour",
          "[unit][audit]") {
  CHECK(Json("plain, 中文 and 😀") == "\"plain, 中文 and 😀\"");
  CHECK(Json("a\"b\\c") == R"("a\"b\\c")");
  CHECK(Json("a\nb\rc\td\x1b[2J\x7f") == R"("a\u000ab\u000dc\u0009d\u001b[2J\u007f")");
  // C1 control characters, line and paragraph separators, and what turns the writing around.
  CHECK(Json("\xc2\x85\xc2\x9b") == R"("\u0085\u009b")");
  CHECK(Json("\xe2\x80\xa8\xe2\x80\xa9") == R"("\u2028\u2029")");
  CHECK(Json("\xe2\x80\xae\xe2\x81\xa6\xef\xbb\xbf") == R"("\u202e\u2066\ufeff")");
  AuditEntry entry = Entry();
  entry.actor = "eve\"}\n{\"v\":1,\"actor\":\"admin";
  const std::string bytes = CanonicalEntry(entry, 1);
  CHECK(bytes.find('\n') == std::string::npos);
  CHECK(bytes.find(R"("actor":"eve\"}\u000a{\"v\":1,\"actor\":\"admin")") != std::string::npos);
}

TEST_CASE("AuditEntry: bytes that are no text become U+FFFD, one form for each text",
          "[unit][audit]") {
  const std::string bad = "\xef\xbf\xbd";
  for (const std::string& odd :
       {std::string("\xff"), std::string("\xc0\xaf"), std::string("\xed\xa0\x80"),
        std::string("\xe4\xb8"), std::string("\xf4\x90\x80\x80"), std::string("\0", 1)}) {
    std::string expected;
    for (std::size_t i = 0; i < odd.size(); ++i) expected += bad;
    CHECK(StorableText(odd) == expected);
    CHECK(Json(odd) == '"' + expected + '"');
    CHECK(StorableText("a" + odd + "b") == "a" + expected + "b");
  }
  CHECK(StorableText(bad) == bad);
  CHECK(StorableText("tab\there, 中文") == "tab\there, 中文");
  CHECK(Json(StorableText("\xff\n")) == Json("\xff\n"));
}

}  // namespace
}  // namespace slipway::domain
