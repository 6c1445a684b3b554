#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "common/crypto/repository_credential.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/cli_fixture.h"

namespace slipway::cli {
namespace {

using Catch::Contains;
using testing::TempDir;
using testing::WriteFile;

std::vector<std::string> Setting(std::vector<std::string> flags) {
  flags.insert(flags.begin(), {"apps", "set-repository-credential", "pocket-shop"});
  return flags;
}

TEST_CASE("slipway apps set-repository-credential: the secret leaves the program only sealed",
          "[unit][cli]") {
  Fixture f;
  const auto sealing = crypto::CreateEncryptionCertificate(FarmId("farm-1"), SystemClock().Wall());
  REQUIRE_OK(sealing);
  f.farm.farm.set_sealing_certificate(sealing->certificate_pem);
  f.farm.application.set_repository_origin("https://git.example");
  f.farm.application.mutable_repository_credential()->set_access(v1::REPOSITORY_ACCESS_HTTPS);
  f.farm.application.mutable_repository_credential()->set_username("bob");
  const TempDir dir;
  WriteFile(dir / "password", "tok3n\n");
  CliRun set(f.controller, Setting({"--https-user", "bob", "--password-file", dir / "password"}));
  CHECK(set.Wait() == 0);
  CHECK_THAT(set.out.text(), Contains("https, bob") && !Contains("tok3n"));
  CHECK_THAT(set.err.text(), !Contains("tok3n"));
  REQUIRE(f.farm.repository_credentials.size() == 1);
  const auto opened = crypto::OpenRepositoryCredential(
      f.farm.repository_credentials[0], sealing->certificate_pem, sealing->key_pem.view(),
      {FarmId("farm-1"), ApplicationId(f.farm.application.id()), "https://git.example"});
  REQUIRE_OK(opened);
  CHECK(opened->username == "bob");
  CHECK(opened->secret.view() == "tok3n");

  WriteFile(dir / "ca.pem", sealing->certificate_pem);
  f.farm.application.mutable_repository_credential()->set_pinned_hosts(true);
  CliRun own(f.controller, Setting({"--https-user", "bob", "--password-file", dir / "password",
                                    "--ca-file", dir / "ca.pem"}));
  CHECK(own.Wait() == 0);
  CHECK_THAT(own.out.text(), Contains("https, bob, server's authority given"));
  REQUIRE(f.farm.repository_credentials.size() == 2);
  const auto pinned = crypto::OpenRepositoryCredential(
      f.farm.repository_credentials[1], sealing->certificate_pem, sealing->key_pem.view(),
      {FarmId("farm-1"), ApplicationId(f.farm.application.id()), "https://git.example"});
  REQUIRE_OK(pinned);
  CHECK(pinned->ca_certificates == sealing->certificate_pem);

  CliRun none(f.controller, Setting({"--none"}));
  CHECK(none.Wait() == 0);
  REQUIRE(f.farm.repository_credentials.size() == 3);
  CHECK(f.farm.repository_credentials[2].empty());
}

TEST_CASE("slipway apps set-repository-credential: what could not work is refused at once",
          "[unit][cli]") {
  Fixture f;
  const TempDir dir;
  WriteFile(dir / "file", "hello\n");
  for (const std::vector<std::string>& flags :
       {std::vector<std::string>{},
        {"--https-user", "bob"},
        {"--none", "--https-user", "bob"},
        {"--password-file", dir / "file"},
        {"--none", "--known-hosts", dir / "file"},
        {"--none", "--ca-file", dir / "file"},
        {"--ssh-key-file", dir / "file", "--ca-file", dir / "file"}}) {
    CliRun run(f.controller, Setting(flags));
    CHECK(run.Wait() == 2);
  }
  CliRun key(f.controller, Setting({"--ssh-key-file", dir / "file"}));
  CHECK(key.Wait() == 1);
  CHECK_THAT(key.err.text(), Contains("no private key") && Contains("ssh-keygen"));
  CliRun authority(f.controller, Setting({"--https-user", "bob", "--password-file", dir / "file",
                                          "--ca-file", dir / "file"}));
  CHECK(authority.Wait() == 1);
  CHECK_THAT(authority.err.text(), Contains("no PEM certificate"));
  CHECK(f.farm.repository_credentials.empty());
}

}  // namespace
}  // namespace slipway::cli
