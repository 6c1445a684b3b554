#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

#include "tests/integration/agent_program.h"
#include "tests/support/git_servers.h"

namespace slipway::testing {
namespace {

constexpr char kPassword[] = "tok3n-nobody-sees";

// Files of the agent, and what it has printed, that hold the text.
std::string Holding(AgentFarm& farm, const std::string& text) {
  using Files = std::filesystem::recursive_directory_iterator;
  for (;;) {
    std::string found = farm.Output().find(text) == std::string::npos ? "" : "output";
    // The agent clears up meanwhile: what is gone when it is opened holds nothing, and where a
    // directory went the walk begins anew.
    std::error_code error;
    for (Files item(farm.data_dir(), std::filesystem::directory_options::skip_permission_denied,
                    error);
         !error && item != Files(); item.increment(error)) {
      std::error_code gone;
      if (!item->is_regular_file(gone)) continue;
      std::ifstream in(item->path(), std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(in), {}};
      if (bytes.find(text) != std::string::npos) found += " " + item->path().string();
    }
    if (!error) return found;
  }
}

TEST_CASE("Agent: builds a private repository and keeps nothing of what opens it",
          "[integration]") {
  AgentFarm farm;
  farm.CommitScript("mkdir -p dist && echo built >dist/index.html\n");
  std::string config = ReadFile(farm.path("config.yaml"));
  config.replace(config.find("allow_file: true"), 16, "allow_http: true");
  WriteFile(farm.path("config.yaml"), config);
  GitHttpServer server(std::filesystem::path(farm.repository()).parent_path().string(), "bob",
                       kPassword);
  v1::GetRepositoryCredentialResponse credential;
  credential.mutable_https()->set_username("bob");
  credential.mutable_https()->set_password(kPassword);
  farm.controller().repository_credential().Set(credential);
  farm.StartAndConnect();
  v1::TaskSpec spec = farm.BuildSpec();
  spec.mutable_build()->set_repository(server.Url("repository/.git"));
  spec.mutable_build()->set_private_repository(true);
  const AttemptKey key = farm.Key();
  const v1::AttemptResult built = farm.Build(spec, key);
  INFO(farm.controller().Log(key));
  REQUIRE_FALSE(built.has_failure());
  CHECK(Holding(farm, kPassword).empty());
  CHECK_THAT(farm.controller().Log(key), !Catch::Contains(kPassword));

  // Another application does not read it, not even a commit that is here.
  v1::TaskSpec stranger = farm.BuildSpec(built.build().commit());
  stranger.set_application("app-2");
  stranger.mutable_build()->set_repository(server.Url("repository/.git"));
  const v1::AttemptResult refused = farm.Build(stranger, farm.Key());
  REQUIRE(refused.has_failure());
  CHECK(refused.failure().reason() == "REPOSITORY_ACCESS_DENIED");

  // It has expired at the server.
  server.SetPassword("another");
  const AttemptKey late = farm.Key();
  const v1::AttemptResult expired = farm.Build(spec, late);
  REQUIRE(expired.has_failure());
  CHECK(expired.failure().reason() == "REPOSITORY_ACCESS_DENIED");
  CHECK(expired.failure().failure_class() == v1::FAILURE_CLASS_CREDENTIAL);
  CHECK_THAT(expired.failure().remedy(), Catch::Contains("set-repository-credential"));
  CHECK_THAT(expired.ShortDebugString() + farm.controller().Log(late), !Catch::Contains(kPassword));
  CHECK(Holding(farm, kPassword).empty());
}

TEST_CASE("Agent: what a token in a URL opened is not read by another application",
          "[integration]") {
  AgentFarm farm;
  farm.CommitScript("mkdir -p dist && echo built >dist/index.html\n");
  std::string config = ReadFile(farm.path("config.yaml"));
  config.replace(config.find("allow_file: true"), 16, "allow_http: true");
  WriteFile(farm.path("config.yaml"), config);
  // As some servers take a token: for the user name, with an empty password.
  const GitHttpServer server(std::filesystem::path(farm.repository()).parent_path().string(),
                             kPassword, "");
  farm.StartAndConnect();
  const std::string path = "/repository/.git";
  v1::TaskSpec spec = farm.BuildSpec();
  spec.mutable_build()->set_repository(std::string("http://") + kPassword + "@" + server.host() +
                                       path);
  const v1::AttemptResult built = farm.Build(spec, farm.Key());
  INFO(built.ShortDebugString());
  REQUIRE_FALSE(built.has_failure());

  v1::TaskSpec stranger = farm.BuildSpec(built.build().commit());
  stranger.set_application("app-2");
  stranger.mutable_build()->set_repository("http://" + server.host() + path);
  const v1::AttemptResult refused = farm.Build(stranger, farm.Key());
  REQUIRE(refused.has_failure());
  CHECK(refused.failure().reason() == "REPOSITORY_ACCESS_DENIED");
}

}  // namespace
}  // namespace slipway::testing
