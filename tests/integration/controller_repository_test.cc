#include <catch2/catch.hpp>
#include <string>

#include "common/crypto/credential.h"
#include "common/crypto/repository_credential.h"
#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "tests/support/farm_fixture.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {
namespace {

using absl::StatusCode;
using crypto::RepositoryCredential;
using crypto::RepositoryCredentialKind;
using crypto::SecretBytes;

constexpr char kPassword[] = "tok3n-nobody-sees";

RepositoryCredential Https() {
  return {RepositoryCredentialKind::kHttps, "bob", SecretBytes::CopyOf(kPassword), ""};
}

// A farm whose application "shop" has a repository over https.
struct Farm {
  Farm() {
    farm.Start();
    REQUIRE_OK(Create("shop", "https://git.example/shop.git"));
    const auto about = farm.client().GetFarm();
    REQUIRE_OK(about);
    id = about->id();
    certificate = about->sealing_certificate();
  }
  absl::StatusOr<v1::Application> Create(const std::string& name, const std::string& repository) {
    v1::CreateApplicationRequest request;
    request.set_name(name);
    request.set_repository(repository);
    v1::Application response;
    const auto context = farm.client().Context();
    const absl::Status status = rpc::FromGrpc(
        *context,
        farm.client().applications().CreateApplication(context.get(), request, &response));
    if (!status.ok()) return status;
    return response;
  }
  absl::Status Move(const std::string& name, const std::string& repository) {
    v1::UpdateApplicationRequest request;
    request.set_name(name);
    request.set_repository(repository);
    request.mutable_update_mask()->add_paths("repository");
    v1::Application response;
    const auto context = farm.client().Context();
    return rpc::FromGrpc(*context, farm.client().applications().UpdateApplication(
                                       context.get(), request, &response));
  }
  std::string SealedFor(const std::string& name, const RepositoryCredential& credential) {
    const auto application = farm.client().GetApplication(name);
    REQUIRE_OK(application);
    const auto sealed = crypto::SealRepositoryCredential(
        {FarmId(id), ApplicationId(application->id()), application->repository_origin()},
        credential, certificate);
    REQUIRE_OK(sealed);
    return *sealed;
  }
  absl::StatusOr<v1::Application> Set(const std::string& name, const std::string& sealed) {
    v1::SetRepositoryCredentialRequest request;
    request.set_name(name);
    request.set_sealed(sealed);
    v1::Application response;
    const auto context = farm.client().Context();
    const absl::Status status = rpc::FromGrpc(
        *context,
        farm.client().applications().SetRepositoryCredential(context.get(), request, &response));
    if (!status.ok()) return status;
    return response;
  }
  // All that the database has of applications, credentials, runs and the audit trail.
  std::string Database() {
    std::string all;
    for (const char* table : {"applications", "repository_credentials", "runs", "tasks", "audit"}) {
      const auto rows =
          RunSql(farm.options().database_url, std::string("SELECT t::text FROM ") + table + " t");
      REQUIRE_OK(rows);
      for (const auto& row : *rows) all += row.at(0) + "\n";
    }
    return all;
  }

  FarmFixture farm;
  std::string id;
  std::string certificate;
};

absl::StatusOr<v1::GetRepositoryCredentialResponse> Ask(
    FakeAgent& agent, const AttemptKey& key,
    const std::string& repository = "https://git.example/shop.git") {
  grpc::ClientContext context;
  v1::GetRepositoryCredentialRequest request;
  *request.mutable_ref() = rpc::ToProto(key);
  request.set_repository(repository);
  v1::GetRepositoryCredentialResponse response;
  const absl::Status status =
      rpc::FromGrpc(context, agent.stub().GetRepositoryCredential(&context, request, &response));
  if (!status.ok()) return status;
  return response;
}

TEST_CASE("Repository credential: what is set is told without its secret and stored sealed",
          "[integration]") {
  Farm f;
  const auto before = f.farm.client().GetApplication("shop");
  REQUIRE_OK(before);
  CHECK_FALSE(before->has_repository_credential());
  CHECK(before->repository_origin() == "https://git.example");
  const auto set = f.Set("shop", f.SealedFor("shop", Https()));
  REQUIRE_OK(set);
  CHECK(set->repository_credential().access() == v1::REPOSITORY_ACCESS_HTTPS);
  CHECK(set->repository_credential().username() == "bob");
  CHECK(set->repository_credential().set_by() == "admin");
  CHECK(set->repository_credential().has_set_at());
  CHECK(f.farm.client().GetApplication("shop")->repository_credential().username() == "bob");
  const std::string database = f.Database();
  CHECK_THAT(database, Catch::Contains("BEGIN CMS") && !Catch::Contains(kPassword));
  CHECK_THAT(database, Catch::Contains("set_repository_credential"));

  const auto removed = f.Set("shop", "");
  REQUIRE_OK(removed);
  CHECK_FALSE(removed->has_repository_credential());
  CHECK_THAT(f.Database(),
             !Catch::Contains("BEGIN CMS") && Catch::Contains("remove_repository_credential"));
}

TEST_CASE("Repository credential: one for something else is refused", "[integration]") {
  Farm f;
  REQUIRE_OK(f.Create("bakery", "https://git.example/bakery.git"));
  REQUIRE_OK(f.Create("kiosk", "git@git.example:kiosk.git"));
  CHECK_THAT(f.Set("shop", f.SealedFor("bakery", Https())).status(),
             StatusIs(StatusCode::kPermissionDenied, "CREDENTIAL_FOREIGN"));
  CHECK_THAT(f.Set("kiosk", f.SealedFor("kiosk", Https())).status(),
             StatusIs(StatusCode::kInvalidArgument, "WRONG_CREDENTIAL_KIND"));
  CHECK_THAT(f.Set("shop", "nonsense").status(),
             StatusIs(StatusCode::kInvalidArgument, "SEAL_BROKEN"));
  const auto shop = f.farm.client().GetApplication("shop");
  const auto publishing = crypto::SealCredential(
      {FarmId(f.id), ApplicationId(shop->id()), "repository"},
      {"weixin-upload-key", "wx1", SecretBytes::CopyOf("key")}, f.certificate);
  REQUIRE_OK(publishing);
  CHECK_THAT(f.Set("shop", *publishing).status(),
             StatusIs(StatusCode::kPermissionDenied, "CREDENTIAL_FOREIGN"));
  CHECK_FALSE(f.farm.client().GetApplication("shop")->has_repository_credential());
}

TEST_CASE("Repository credential: a URL with a password is refused without repeating it",
          "[integration]") {
  Farm f;
  for (const std::string url : {"https://bob:tok3n-nobody-sees@git.example/x.git",
                                "http://:tok3n-nobody-sees@git.example/x.git",
                                "ssh://git:tok3n-nobody-sees@git.example/x.git"}) {
    const absl::Status status = f.Create("other", url).status();
    CHECK_THAT(status, StatusIs(StatusCode::kInvalidArgument, "BAD_REPOSITORY"));
    CHECK_THAT(std::string(status.message()), !Catch::Contains(kPassword));
    CHECK_THAT(GetErrorInfo(status).remedy, Catch::Contains("set-repository-credential"));
  }
  for (const std::string url : {"git@[git.example]:x.git", "https://git.example", "ssh://-x/y"}) {
    CHECK_THAT(f.Create("other", url).status(),
               StatusIs(StatusCode::kInvalidArgument, "BAD_REPOSITORY"));
  }
  CHECK_OK(f.Create("other", "https://bob@git.example/x.git"));
  // One from before goes on, and is told without it.
  REQUIRE_OK(RunSql(f.farm.options().database_url,
                    "UPDATE applications SET repository = "
                    "'https://bob:tok3n-nobody-sees@git.example/x.git' WHERE name = 'other'"));
  f.farm.Stop();
  f.farm.Start();
  CHECK(f.farm.client().GetApplication("other")->repository() ==
        "https://bob:***@git.example/x.git");
}

TEST_CASE("Repository credential: the agent of the build's attempt gets it, and nobody else",
          "[integration]") {
  Farm f;
  REQUIRE_OK(f.Set("shop", f.SealedFor("shop", Https())));
  FakeAgent agent(f.farm.Join("builder"));
  REQUIRE(agent.Reconnect());
  REQUIRE_OK(f.farm.client().Submit(SubmitOf("shop", false)));
  const auto start = agent.WaitStart();
  REQUIRE(start);
  CHECK(start->spec.build().private_repository());
  CHECK_THAT(start->spec.SerializeAsString(), !Catch::Contains(kPassword));
  for (int again = 0; again < 2; ++again) {
    const auto got = Ask(agent, start->key);
    REQUIRE_OK(got);
    CHECK(got->https().username() == "bob");
    CHECK(got->https().password() == kPassword);
  }
  FakeAgent other(f.farm.Join("other"));
  REQUIRE(other.Reconnect());
  CHECK_THAT(Ask(other, start->key).status(),
             StatusIs(StatusCode::kFailedPrecondition, "STALE_ATTEMPT"));
  CHECK_THAT(Ask(agent, {start->key.task, Attempt(7)}).status(),
             StatusIs(StatusCode::kFailedPrecondition, "STALE_ATTEMPT"));

  // Taken away while the build was on its way.
  REQUIRE_OK(f.Set("shop", ""));
  CHECK_THAT(Ask(agent, start->key).status(),
             StatusIs(StatusCode::kNotFound, "NO_REPOSITORY_CREDENTIAL"));
  REQUIRE_OK(f.farm.client().Submit(SubmitOf("shop", false, "request-2")));
  const auto without = agent.WaitStart();
  REQUIRE(without);
  CHECK_FALSE(without->spec.build().private_repository());
  CHECK_THAT(f.Database(), !Catch::Contains(kPassword));
}

TEST_CASE(
    "Repository credential: a build that was sent before the repository moved to another "
    "server does not get the credential of that server",
    "[integration]") {
  Farm f;
  REQUIRE_OK(f.Set("shop", f.SealedFor("shop", Https())));
  FakeAgent agent(f.farm.Join("builder"));
  REQUIRE(agent.Reconnect());
  REQUIRE_OK(f.farm.client().Submit(SubmitOf("shop", false)));
  const auto start = agent.WaitStart();
  REQUIRE(start);
  const std::string sent = start->spec.build().repository();
  REQUIRE_OK(Ask(agent, start->key, sent));

  REQUIRE_OK(f.Move("shop", "https://new.example/shop.git"));
  CHECK_THAT(Ask(agent, start->key, sent).status(),
             StatusIs(StatusCode::kPermissionDenied, "CREDENTIAL_FOREIGN"));
  REQUIRE_OK(f.Set("shop", f.SealedFor("shop", Https())));
  for (const std::string& old : {sent, std::string()}) {
    CHECK_THAT(Ask(agent, start->key, old).status(),
               StatusIs(StatusCode::kPermissionDenied, "CREDENTIAL_FOREIGN"));
  }
  // At its new server, wherever there.
  CHECK_OK(Ask(agent, start->key, "https://new.example/elsewhere.git"));
}

}  // namespace
}  // namespace slipway::testing
