#include <catch2/catch.hpp>
#include <string>

#include "agent/init_copy.h"
#include "agent/link/clock_check.h"
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
            "docker:\n  socket: /x.sock\n  pull: never\n  registries: [r.example.org]\n  "
            "engine_path_map: [{agent: /a, engine: /b}]\n"
            "max_limits: {cpus: 1.5, memory: 1GiB}\ngit: {allow_file: true, fetch_timeout: 5s}\n"
            "disk_floor: {bytes: 2GiB, percent: 3}\ndisk_pressure: {bytes: 5GiB}\n"
            "health: {interval: 1s}\n");
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
  CHECK(options.disk.floor.percent == 3);
  CHECK(options.disk.pressure.bytes == std::int64_t{5} << 30);
  CHECK(options.disk.pressure.percent == 10);
  CHECK(options.health_interval == std::chrono::seconds(1));
  CHECK(options.pull.policy == images::PullPolicy::kNever);
  CHECK(options.pull.registries == std::vector<std::string>{"r.example.org"});
  CHECK(options.network == "slipway");
}

TEST_CASE("Agent options: caches have limits, or are off", "[unit]") {
  const TempDir dir;
  WriteFile(dir / "limits.yaml", "caches: {max_size: 2GiB, max_size_per_application: 1GiB}\n");
  Options limited;
  REQUIRE_OK(LoadOptions(dir / "limits.yaml", true, limited));
  CHECK(limited.caches_enabled);
  CHECK(limited.caches.max_bytes == std::int64_t{2} << 30);
  CHECK(limited.caches.max_bytes_per_application == std::int64_t{1} << 30);
  WriteFile(dir / "off.yaml", "caches: off\n");
  Options off;
  REQUIRE_OK(LoadOptions(dir / "off.yaml", true, off));
  CHECK_FALSE(off.caches_enabled);
  WriteFile(dir / "none.yaml", "slots: 1\n");
  Options none;
  REQUIRE_OK(LoadOptions(dir / "none.yaml", true, none));
  CHECK(none.caches_enabled);
  WriteFile(dir / "wrong.yaml", "caches: {max_size: 1, max: 2}\n");
  const absl::Status status = LoadOptions(dir / "wrong.yaml", true, none);
  CHECK_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, "caches.max_size"));
  CHECK_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, "caches.max: unknown key"));
  WriteFile(dir / "word.yaml", "caches: never\n");
  CHECK_THAT(LoadOptions(dir / "word.yaml", true, none),
             StatusIs(absl::StatusCode::kInvalidArgument, "caches"));
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

TEST_CASE("ClockTrouble: names the certificate that this machine's clock does not fit", "[unit]") {
  const auto day = [](int n) { return FromUnixMicros(std::int64_t{86'400'000'000} * n); };
  std::vector<link::NamedCertificate> certificates(2);
  certificates[0].name = "this agent's certificate";
  certificates[0].facts.not_before = day(10);
  certificates[0].facts.not_after = day(100);
  certificates[1].name = "the controller's certificate";
  certificates[1].facts.not_before = day(20);
  certificates[1].facts.not_after = day(30);
  CHECK(link::ClockTrouble(certificates, day(20)).empty());
  CHECK_THAT(link::ClockTrouble(certificates, day(15)),
             Catch::Contains("it is 1970-01-16 00:00:00 UTC") &&
                 Catch::Contains("the controller's certificate is valid from 1970-01-21"));
  CHECK_THAT(link::ClockTrouble(certificates, day(5)), Catch::Contains("this agent's certificate"));
  CHECK_THAT(link::ClockTrouble(certificates, day(30)), Catch::Contains("to 1970-01-31"));
}

}  // namespace
}  // namespace slipway::agent
