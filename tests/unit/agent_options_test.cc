#include <catch2/catch.hpp>
#include <string>

#include "agent/init_copy.h"
#include "agent/link/enroll.h"
#include "agent/options.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::agent {
namespace {

using testing::ReadFile;
using testing::StatusIs;
using testing::TempDir;
using testing::WriteFile;

TEST_CASE("Agent options: the file is read, what it leaves out keeps its default", "[unit]") {
  const TempDir dir;
  WriteFile(dir / "config.yaml",
            "slots: 4\nlabels: {os: linux}\nlog_budget: 1MiB\n"
            "docker:\n  socket: /x.sock\n  engine_path_map: [{agent: /a, engine: /b}]\n"
            "max_limits: {cpus: 1.5, memory: 1GiB}\ngit: {allow_file: true, fetch_timeout: 5s}\n"
            "disk_floor: {bytes: 2GiB, percent: 3}\n");
  Options options;
  REQUIRE_OK(LoadOptions(dir / "config.yaml", true, options));
  CHECK(options.slots == 4);
  CHECK(options.labels == std::map<std::string, std::string>{{"os", "linux"}});
  CHECK(options.log_budget_bytes == 1 << 20);
  CHECK(options.docker_socket == "/x.sock");
  CHECK(options.path_map.at(0).engine_path == "/b");
  CHECK(options.max_limits.cpus == 1.5);
  CHECK(options.max_limits.pids == 4096);
  CHECK(options.git_allow_file);
  CHECK_FALSE(options.git_allow_http);
  CHECK(options.disk_floor_percent == 3);
  CHECK(options.network == "slipway");
}

TEST_CASE("Agent options: a mistake is told with file and line", "[unit]") {
  const TempDir dir;
  WriteFile(dir / "c.yaml", "slots: 2\nslot: 3\ndisk_floor: {percent: 99}\n");
  Options options;
  const absl::Status status = LoadOptions(dir / "c.yaml", true, options);
  CHECK_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, "c.yaml:2:"));
  CHECK_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, "disk_floor.percent"));
  CHECK_OK(LoadOptions(dir / "absent.yaml", false, options));
  CHECK_THAT(LoadOptions(dir / "absent.yaml", true, options),
             StatusIs(absl::StatusCode::kNotFound));
}

TEST_CASE("CopyInit: the copy is named by its content and repaired when damaged", "[unit]") {
  const TempDir dir;
  WriteFile(dir / "init", "program one");
  const auto first = CopyInit(dir / "init", dir / "data");
  REQUIRE_OK(first);
  CHECK(ReadFile(*first) == "program one");
  WriteFile(*first, "damaged");
  CHECK(CopyInit(dir / "init", dir / "data").value() == *first);
  CHECK(ReadFile(*first) == "program one");
  WriteFile(dir / "init", "program two");
  const auto second = CopyInit(dir / "init", dir / "data");
  REQUIRE_OK(second);
  CHECK(*second != *first);
  CHECK(ReadFile(*first) == "program one");
  CHECK_THAT(CopyInit(dir / "none", dir / "data").status(),
             StatusIs(absl::StatusCode::kNotFound, "NO_INIT"));
}

TEST_CASE("ParseJoinToken: takes whole tokens only", "[unit]") {
  const std::string hex(64, 'a');
  const auto token = link::ParseJoinToken("SLP1-" + hex + "-the-secret");
  REQUIRE_OK(token);
  CHECK(token->ca.Hex() == hex);
  CHECK(token->secret.view() == "the-secret");
  for (const std::string& bad :
       {std::string(), "SLP2-" + hex + "-x", "SLP1-" + hex, "SLP1-" + hex + "-",
        "SLP1-" + std::string(64, 'g') + "-x", "SLP1-" + hex.substr(1) + "-x"}) {
    CHECK_THAT(link::ParseJoinToken(bad).status(),
               StatusIs(absl::StatusCode::kInvalidArgument, "BAD_TOKEN"));
  }
}

}  // namespace
}  // namespace slipway::agent
