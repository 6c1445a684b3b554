#include <catch2/catch.hpp>
#include <cstdlib>
#include <sstream>
#include <string>

#include "controller/store/pg/os_user.h"
#include "controller/store/pg/server_process.h"
#include "tests/support/postgres_fixture.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::store::pg {
namespace {

using testing::PostgresFixture;
using testing::ReadFile;
using testing::TempDir;
using testing::WriteFile;

// Without what differs between versions of pg_dump and from run to run.
std::string Normalized(const std::string& dump) {
  std::istringstream lines(dump);
  std::string text;
  for (std::string line; std::getline(lines, line);) {
    const bool noise = line.empty() || line.starts_with("--") || line.starts_with("SET ") ||
                       line.starts_with("\\") || line.starts_with("SELECT pg_catalog.");
    if (!noise) text += line + "\n";
  }
  return text;
}

// SLIPWAY_TEST_ACCEPT=1 writes the schema that the migrations make now.
TEST_CASE("Schema: the migrations make the schema that was reviewed", "[db]") {
  PostgresFixture& fixture = PostgresFixture::Get();
  const TempDir dir;
  const auto self = CurrentOsUser();
  REQUIRE_OK(self);
  REQUIRE_OK(RunToEnd({.program = fixture.cluster().bin_dir() / "pg_dump",
                       .arguments = {"--schema-only", "--no-owner", "--no-privileges",
                                     "--no-password", "--dbname=" + fixture.NewDatabase()},
                       .user = *self,
                       .output_file = dir / "schema.sql"},
                      std::chrono::seconds(60)));
  const std::string schema = Normalized(ReadFile(dir / "schema.sql"));
  const std::string golden = std::string(SLIPWAY_SOURCE_DIR) + "/tests/db/golden/schema.sql";
  if (std::getenv("SLIPWAY_TEST_ACCEPT") != nullptr) WriteFile(golden, schema);
  CHECK(schema == ReadFile(golden));
}

}  // namespace
}  // namespace slipway::store::pg
