#include "agent/link/identity.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "agent/link/renewer.h"
#include "common/crypto/key_file.h"
#include "common/crypto/pki.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::link {
namespace {

using testing::ReadFile;
using testing::TempDir;
using testing::WriteFile;
using namespace std::chrono_literals;

Identity MakeIdentity(const crypto::KeyAndCertificate& ca) {
  auto key = crypto::CreateKeyAndRequest();
  REQUIRE_OK(key);
  Identity identity;
  identity.server = "farm:7443";
  identity.agent = AgentId("agent-1");
  identity.farm = FarmId("farm-1");
  identity.name = "builder";
  identity.ca_pem = ca.certificate_pem;
  const auto certificate = crypto::IssueAgentCertificate(ca, key->request_pem, identity.farm,
                                                         identity.agent, SystemClock().Wall());
  REQUIRE_OK(certificate);
  identity.certificate_pem = *certificate;
  identity.key_pem = std::move(key->key_pem);
  return identity;
}

crypto::KeyAndCertificate MakeCa() {
  auto ca = crypto::CreateCa(FarmId("farm-1"), SystemClock().Wall());
  REQUIRE_OK(ca);
  return *std::move(ca);
}

TEST_CASE("Identity: what was saved is loaded, and nobody else may read the key", "[unit][agent]") {
  const TempDir dir;
  const Identity saved = MakeIdentity(MakeCa());
  REQUIRE_OK(SaveIdentity(dir.path(), saved));
  const auto loaded = LoadIdentity(dir.path());
  REQUIRE_OK(loaded);
  CHECK(loaded->server == saved.server);
  CHECK(loaded->agent == saved.agent);
  CHECK(loaded->certificate_pem == saved.certificate_pem);
  CHECK(loaded->key_pem.view() == saved.key_pem.view());
  using std::filesystem::perms;
  CHECK((std::filesystem::status(dir / "identity.pem").permissions() &
         (perms::group_all | perms::others_all)) == perms::none);
}

TEST_CASE("Identity: a renewal replaces key and certificate together, at every step",
          "[unit][agent]") {
  const TempDir dir;
  const crypto::KeyAndCertificate ca = MakeCa();
  const Identity old = MakeIdentity(ca);
  const Identity next = MakeIdentity(ca);
  REQUIRE_OK(SaveIdentity(dir.path(), old));
  // Died while the new file was written beside the old one: a torn copy of it lies around.
  WriteFile(dir / ".identity.pem.new-1", std::string(next.key_pem.view().substr(0, 40)));
  CHECK(LoadIdentity(dir.path())->certificate_pem == old.certificate_pem);
  // Died right after the rename.
  REQUIRE_OK(SaveRenewed(dir.path(), next));
  const auto loaded = LoadIdentity(dir.path());
  REQUIRE_OK(loaded);
  CHECK(loaded->certificate_pem == next.certificate_pem);
  CHECK(loaded->key_pem.view() == next.key_pem.view());
  CHECK(loaded->agent == old.agent);
}

TEST_CASE("Identity: the two files of agents that joined before it was one file are good",
          "[unit][agent]") {
  const TempDir dir;
  const crypto::KeyAndCertificate ca = MakeCa();
  const Identity old = MakeIdentity(ca);
  REQUIRE_OK(SaveIdentity(dir.path(), old));
  std::filesystem::remove(dir / "identity.pem");
  REQUIRE_OK(crypto::WriteSecretFile(dir / "key.pem", old.key_pem.view()));
  WriteFile(dir / "agent.pem", old.certificate_pem);
  CHECK(LoadIdentity(dir.path())->certificate_pem == old.certificate_pem);
  // From the first renewal on the new file counts.
  const Identity next = MakeIdentity(ca);
  REQUIRE_OK(SaveRenewed(dir.path(), next));
  CHECK(LoadIdentity(dir.path())->certificate_pem == next.certificate_pem);
}

TEST_CASE("Identity: key and certificate that do not fit, and half a file, are told",
          "[unit][agent]") {
  const TempDir dir;
  const crypto::KeyAndCertificate ca = MakeCa();
  Identity mixed = MakeIdentity(ca);
  mixed.certificate_pem = MakeIdentity(ca).certificate_pem;
  REQUIRE_OK(SaveIdentity(dir.path(), mixed));
  CHECK_THAT(LoadIdentity(dir.path()).status(),
             testing::StatusIs(absl::StatusCode::kInvalidArgument));
  mixed.certificate_pem = "";
  REQUIRE_OK(SaveRenewed(dir.path(), mixed));
  CHECK_THAT(LoadIdentity(dir.path()).status(),
             testing::StatusIs(absl::StatusCode::kInvalidArgument, "no certificate"));
}

TEST_CASE("RenewAt: two thirds into the lifetime, spread over a twentieth of it", "[unit][agent]") {
  const WallTime issued = FromUnixMicros(1'700'000'000'000'000);
  const WallTime end = issued + 60min;
  const auto close = [&](WallTime at, Duration after) {
    return at - issued > after - 1ms && at - issued < after + 1ms;
  };
  CHECK(close(RenewAt(issued, end, 0), 40min));
  CHECK(close(RenewAt(issued, end, 0.5), 41min + 30s));
  CHECK(RenewAt(issued, end, 0.999) < issued + 43min);
}

}  // namespace
}  // namespace slipway::link
