#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "common/process/process.h"
#include "controller/app.h"
#include "controller/farm_keys.h"
#include "controller/options.h"
#include "tests/support/farm_fixture.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::testing {
namespace {

absl::Status TryStart(const controller::Options& options) {
  return controller::App::Start(options, [](const absl::Status&) {}).status();
}

TEST_CASE("Controller: a second one on the same data directory is refused", "[integration]") {
  FarmFixture farm;
  farm.Start();
  controller::Options options = farm.options();
  options.listen = "127.0.0.1:0";
  CHECK_THAT(TryStart(options), StatusIs(absl::StatusCode::kFailedPrecondition, "DATA_DIR_IN_USE"));
}

TEST_CASE("Controller: a port in use is said, and what was begun is undone", "[integration]") {
  FarmFixture farm;
  farm.Start();
  TempDir dir;
  controller::Options options = farm.options();
  options.data_dir = dir.path();
  options.database_url = PostgresFixture::Get().NewDatabase();
  CHECK_THAT(TryStart(options), StatusIs(absl::StatusCode::kUnavailable, "CANNOT_LISTEN"));
  options.listen = "127.0.0.1:0";
  CHECK_OK(TryStart(options));
}

TEST_CASE("Controller: an address that is none is refused", "[integration]") {
  TempDir dir;
  controller::Options options;
  options.http_listen = "127.0.0.1:0";
  options.data_dir = dir.path();
  for (const char* listen : {"", "7443", ":7443", "localhost:", "localhost:x", "localhost:65536",
                             "localhost:-1", "localhost:99999999999999999999", "localhost:74 43"}) {
    options.listen = listen;
    INFO(listen);
    CHECK_THAT(TryStart(options), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_LISTEN"));
  }
}

TEST_CASE("Controller: a database of a newer controller is left alone", "[integration]") {
  FarmFixture farm;
  REQUIRE_OK(RunSql(farm.options().database_url,
                    "INSERT INTO schema_migrations SELECT 9999, 'from_the_future.sql', sha256, "
                    "applied_at FROM schema_migrations LIMIT 1"));
  CHECK_THAT(TryStart(farm.options()),
             StatusIs(absl::StatusCode::kFailedPrecondition, "SCHEMA_NEWER"));
}

TEST_CASE("Controller: a database that does not answer is said", "[integration]") {
  TempDir dir;
  controller::Options options;
  options.data_dir = dir.path();
  options.listen = "127.0.0.1:0";
  options.http_listen = "127.0.0.1:0";
  options.database_url = fmt::format("host={} dbname=none connect_timeout=2", dir.path());
  CHECK_THAT(TryStart(options), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_CASE("Controller: a wrong flag is named, with exit 2", "[integration]") {
  process::Command command;
  command.argv = {SLIPWAY_CONTROLLER_BINARY, "--frobnicate"};
  const auto run = process::Run(command);
  REQUIRE_OK(run);
  CHECK(run->exit_code == 2);
  CHECK_THAT(run->err, Catch::Contains("--frobnicate") && Catch::Contains("--help"));
}

TEST_CASE("Controller: farm keys that do not fit together are damage, not a new farm",
          "[integration]") {
  TempDir dir;
  const FarmId farm("farm-1");
  const WallTime now = SystemClock().Wall();
  using controller::MissingKeys;
  CHECK_THAT(controller::LoadOrCreateFarmKeys(dir.path(), farm, now, MissingKeys::kRefuse).status(),
             StatusIs(absl::StatusCode::kDataLoss, "FARM_KEYS_MISSING"));
  CHECK(std::filesystem::is_empty(dir.path()));
  const auto first = controller::LoadOrCreateFarmKeys(dir.path(), farm, now, MissingKeys::kCreate);
  REQUIRE_OK(first);
  const auto again = controller::LoadOrCreateFarmKeys(dir.path(), farm, now, MissingKeys::kRefuse);
  REQUIRE_OK(again);
  CHECK(again->ca_fingerprint == first->ca_fingerprint);
  CHECK(again->sealing.certificate_pem == first->sealing.certificate_pem);

  std::filesystem::copy_file(dir / "sealing.key", dir / "ca.key",
                             std::filesystem::copy_options::overwrite_existing);
  CHECK_THAT(controller::LoadOrCreateFarmKeys(dir.path(), farm, now, MissingKeys::kCreate).status(),
             StatusIs(absl::StatusCode::kDataLoss, "FARM_KEYS_DAMAGED"));
}

TEST_CASE("Controller: a session key that is too short is damage, and is not used",
          "[integration]") {
  TempDir dir;
  const auto made = controller::LoadOrCreateSessionKey(dir / "session.key");
  REQUIRE_OK(made);
  CHECK(controller::LoadOrCreateSessionKey(dir / "session.key")->view() == made->view());
  WriteFile(dir / "session.key", std::string(31, 'k'));
  CHECK_THAT(controller::LoadOrCreateSessionKey(dir / "session.key").status(),
             StatusIs(absl::StatusCode::kDataLoss, "FARM_KEYS_DAMAGED"));
}

TEST_CASE("Controller options: are read with their defaults and refused by line and key",
          "[integration]") {
  TempDir dir;
  const std::string path = dir / "controller.yaml";
  WriteFile(path,
            "data_dir: /srv/slipway\nno_agent_grace: 90s\nmax_unfinished: 7\n"
            "hot_cache: {window: 2h, more_than: 10}\n");
  const auto options = controller::LoadOptions(path);
  REQUIRE_OK(options);
  CHECK(options->listen == "0.0.0.0:7443");
  CHECK(options->no_agent_grace == std::chrono::seconds(90));
  CHECK(options->max_unfinished == 7);
  CHECK(options->hot.on);
  CHECK(options->hot.window == std::chrono::hours(2));
  CHECK(options->hot.more_than == 10);

  struct Case {
    const char* lines;
    const char* says;
  };
  for (const Case& c :
       {Case{"no_agent_grace: 10\n", "no_agent_grace"},
        Case{"max_unfinished: 0\n", "max_unfinished"},
        Case{"hot_cache: {more_than: 1000}\n", "more_than"},
        Case{"hot_cache: {window: 0s}\n", "window"}, Case{"lisen: 0.0.0.0:1\n", "lisen"}}) {
    WriteFile(path, c.lines);
    INFO(c.lines);
    CHECK_THAT(controller::LoadOptions(path).status(),
               StatusIs(absl::StatusCode::kInvalidArgument, c.says));
  }
}

TEST_CASE("Controller options: targets are refused with the command that takes them",
          "[integration]") {
  TempDir dir;
  const std::string path = dir / "controller.yaml";
  WriteFile(path, "data_dir: /srv/slipway\ntargets:\n  - platform: weixin\n    image: i\n");
  const absl::Status status = controller::LoadOptions(path).status();
  CHECK_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, "CONFIG_INVALID"));
  CHECK_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, "controller.yaml:2:1: targets"));
  CHECK_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, "slipway apply -f FILE"));
}

}  // namespace
}  // namespace slipway::testing
