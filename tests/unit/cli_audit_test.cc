#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "common/process/process.h"
#include "controller/audit/chain_check.h"
#include "controller/domain/audit.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/cli_fixture.h"

namespace slipway::cli {
namespace {

using Catch::Contains;
using testing::ReadFile;
using testing::TempDir;
using testing::WriteFile;

// A farm with a trail of `count` entries.
class Audited : public Fixture {
 public:
  explicit Audited(int count) {
    std::string hash;
    for (int i = 1; i <= count; ++i) {
      domain::AuditEntry entry;
      entry.actor = i % 2 == 0 ? "bob" : "admin";
      entry.from = "203.0.113.7";
      entry.action = "set_agent_mode";
      entry.object = "agent";
      // What a line must not end at, and a terminal not obey.
      entry.subject = "mill\n\x1b[2J-" + std::to_string(i);
      if (i == 2) entry.reason = "ADMIN_ONLY";
      v1::AuditEntry shown;
      shown.set_sequence(i);
      shown.mutable_at()->set_seconds(1'700'000'000 + i);
      shown.set_actor(entry.actor);
      shown.set_from(entry.from);
      shown.set_action(entry.action);
      shown.set_object(entry.object);
      shown.set_subject(entry.subject);
      shown.set_reason(entry.reason);
      v1::AuditDetail& why = *shown.add_details();
      why.set_name("why");
      why.set_value("new kernel 中文");
      entry.details.emplace_back("why", why.value());
      shown.set_entry(domain::CanonicalEntry(entry, 1'700'000'000'000'000 + i));
      hash = audit::LinkHash(hash, shown.entry());
      shown.set_hash(hash);
      farm.audit.insert(farm.audit.begin(), shown);
    }
  }
  [[nodiscard]] std::string Head() const {
    return std::to_string(farm.audit.front().sequence()) + ":" + farm.audit.front().hash();
  }
};

TEST_CASE("slipway audit list: a line per entry, and nothing that steers a terminal",
          "[unit][cli]") {
  Audited f(3);
  CliRun list(f.controller, {"audit", "list"});
  CHECK(list.Wait() == 0);
  const std::string text = list.out.text();
  CHECK(std::count(text.begin(), text.end(), '\n') == 4);
  CHECK_THAT(text, Contains("set_agent_mode") && Contains("203.0.113.7") &&
                       Contains("refused ADMIN_ONLY") && Contains("why=new kernel 中文") &&
                       !Contains("\x1b"));
  CHECK(text.find("mill  [2J-3") < text.find("mill  [2J-1"));
  CliRun chinese(f.controller, {"audit", "list", "--lang", "zh", "--limit", "1"});
  CHECK(chinese.Wait() == 0);
  CHECK_THAT(chinese.out.text(), Contains("操作者") && Contains("还有更多"));
  CliRun json(f.controller, {"audit", "list", "--json"});
  CHECK(json.Wait() == 0);
  CHECK_THAT(json.out.text(), Contains("\"reason\": \"ADMIN_ONLY\""));
  f.farm.Update([](FakeFarm& farm) { farm.audit.clear(); });
  CliRun none(f.controller, {"audit", "list"});
  CHECK(none.Wait() == 0);
  CHECK(none.out.text() == "no such entries\n");
}

TEST_CASE("slipway audit list: asks for what the flags say", "[unit][cli]") {
  Audited f(1);
  CliRun list(f.controller, {"audit", "list", "--actor", "bob", "--action", "set_", "--kind",
                             "agent", "--object", "mill-1", "--since", "2024-05-01T12:30Z",
                             "--until", "2024-05-01 12:30:05Z", "--refused", "--limit", "7"});
  INFO(list.err.text());
  CHECK(list.Wait() == 0);
  const v1::ListAuditEntriesRequest& asked = f.farm.audit_lists.at(0);
  CHECK(asked.actor() == "bob");
  CHECK(asked.action() == "set_");
  CHECK(asked.object() == "agent");
  CHECK(asked.subject() == "mill-1");
  CHECK(asked.since().seconds() == 1'714'566'600);
  CHECK(asked.until().seconds() == 1'714'566'605);
  CHECK(asked.refused());
  CHECK(asked.page_size() == 7);
  CliRun spans(f.controller, {"audit", "list", "--since", "2h", "--until", "1h"});
  CHECK(spans.Wait() == 0);
  const v1::ListAuditEntriesRequest& spanned = f.farm.audit_lists.at(1);
  CHECK(spanned.until().seconds() - spanned.since().seconds() == 3600);
  CliRun day(f.controller, {"audit", "list", "--since", "2024-05-01"});
  CHECK(day.Wait() == 0);
  for (const std::string wrong : {"yesterday", "2024-13-01", "2024-05-01 12", "12:30", "1"}) {
    CliRun refused(f.controller, {"audit", "list", "--until", wrong});
    CHECK(refused.Wait() == 2);
    CHECK_THAT(refused.err.text(), Contains("--until") && Contains("7d"));
  }
}

TEST_CASE("slipway audit verify: says how many are right, and what to keep", "[unit][cli]") {
  Audited f(3);
  CliRun verify(f.controller, {"audit", "verify"});
  CHECK(verify.Wait() == 0);
  CHECK(verify.out.text() == "3 entries, none changed, removed or moved\n" + f.Head() + "\n");
  CHECK_FALSE(f.farm.audit_checks.at(0).has_expect());
  CliRun expected(f.controller, {"audit", "verify", "--expect", f.Head(), "--lang", "zh"});
  CHECK(expected.Wait() == 0);
  CHECK_THAT(expected.out.text(), Contains("共 3 条记录"));
  CHECK(f.farm.audit_checks.at(1).expect().sequence() == 3);
  CHECK(f.farm.audit_checks.at(1).expect().hash() == f.farm.audit.front().hash());
  for (const std::string& wrong : {std::string("3"), std::string("3:abc"), ":" + f.Head(),
                                   "0" + f.Head().substr(1), "x" + f.Head()}) {
    CliRun refused(f.controller, {"audit", "verify", "--expect", wrong});
    CHECK(refused.Wait() == 2);
  }
}

TEST_CASE("slipway audit verify: a broken chain is exit 1, with the row", "[unit][cli]") {
  Audited f(3);
  v1::AuditFinding finding;
  finding.set_fault(v1::AUDIT_FAULT_CHANGED);
  finding.set_sequence(2);
  finding.set_message("row 2 was changed");
  f.farm.Update([&](FakeFarm& farm) { farm.audit_finding = finding; });
  CliRun verify(f.controller, {"audit", "verify"});
  CHECK(verify.Wait() == 1);
  CHECK(verify.out.text().empty());
  CHECK_THAT(verify.err.text(), Contains("row 2 was changed") && Contains("docs/audit.md"));
  CliRun chinese(f.controller, {"audit", "verify", "--lang", "zh"});
  CHECK(chinese.Wait() == 1);
  CHECK_THAT(chinese.err.text(), Contains("第 2 行被修改"));
  CliRun json(f.controller, {"audit", "verify", "--json"});
  CHECK(json.Wait() == 1);
  CHECK_THAT(json.out.text(), Contains("AUDIT_FAULT_CHANGED") && Contains("\"sequence\": \"2\""));
}

TEST_CASE("slipway audit export: to a file or standard output, and never half of it",
          "[unit][cli]") {
  Audited f(3);
  const TempDir dir;
  const std::string file = dir / "trail.jsonl";
  CliRun save(f.controller, {"audit", "export", file});
  CHECK(save.Wait() == 0);
  CHECK(save.err.text() == "3 entries; the newest is " + f.Head() + "\n");
  const std::string lines = ReadFile(file);
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 3);
  CHECK_THAT(lines, Contains(R"({"sequence":1,"entry":"{\"v\":1,)"));
  CliRun print(f.controller, {"audit", "export", "-", "--since", "1d"});
  CHECK(print.Wait() == 0);
  CHECK(print.out.text() == lines);
  CHECK(f.farm.audit_exports.at(1).has_since());
  CliRun again(f.controller, {"audit", "export", file});
  CHECK(again.Wait() == 1);
  CHECK_THAT(again.err.text(), Contains("exists already"));
  CliRun forced(f.controller, {"audit", "export", file, "--force"});
  CHECK(forced.Wait() == 0);
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 1);
}

// The first python block of the document.
std::string Recipe() {
  const std::string text = ReadFile(SLIPWAY_SOURCE_DIR "/docs/audit.md");
  const std::string fence = "```python\n";
  const auto begin = text.find(fence) + fence.size();
  return text.substr(begin, text.find("```", begin) - begin);
}

TEST_CASE("docs/audit.md: its recipe checks an export without the farm", "[unit][cli]") {
  Audited f(20);
  const TempDir dir;
  const std::string file = dir / "trail.jsonl";
  CliRun save(f.controller, {"audit", "export", file});
  REQUIRE(save.Wait() == 0);
  WriteFile(dir / "check.py", Recipe());
  const auto check = [&](const std::string& expect = "") {
    process::Command command;
    command.argv = {"python3", dir / "check.py", file};
    if (!expect.empty()) command.argv.push_back(expect);
    command.env = {{"PATH", "/usr/bin:/bin"}};
    auto result = process::Run(command);
    REQUIRE_OK(result);
    return *result;
  };
  CHECK(check().out == f.Head() + "\n");
  CHECK(check(f.Head()).Succeeded());
  const std::string lines = ReadFile(file);
  const auto tampered = [&](const std::string& with, const std::string& expect = "") {
    WriteFile(file, with);
    const auto result = check(expect);
    CHECK_FALSE(result.Succeeded());
    return result.err;
  };
  std::string changed = lines;
  changed.replace(changed.find("bob"), 3, "eve");
  CHECK_THAT(tampered(changed), Contains("row 2 is not what was written"));
  const auto line = [&](int number) {
    std::size_t begin = 0;
    for (int i = 1; i < number; ++i) begin = lines.find('\n', begin) + 1;
    return std::pair(begin, lines.find('\n', begin) + 1 - begin);
  };
  std::string removed = lines;
  removed.erase(line(9).first, line(9).second);
  CHECK_THAT(tampered(removed), Contains("row 9 is missing"));
  CHECK_THAT(tampered(lines.substr(0, line(18).first), f.Head()), Contains("after 17 are missing"));
  CHECK_THAT(tampered(lines, "5:" + f.Head().substr(3)), Contains("row 5 is not"));
  // With --since it begins in the middle.
  WriteFile(file, lines.substr(line(4).first));
  CHECK(check(f.Head()).out == f.Head() + "\n");
}

}  // namespace
}  // namespace slipway::cli
