#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "agent/workspace/failure.h"
#include "common/git/mirror_cache.h"
#include "tests/support/git_fixture.h"
#include "tests/support/git_servers.h"
#include "tests/support/status_matchers.h"

namespace slipway::git {
namespace {

using crypto::RepositoryCredential;
using crypto::RepositoryCredentialKind;
using crypto::SecretBytes;
using protocol::FailureClass;
using testing::GitFixture;
using testing::GitHttpServer;
using testing::GitSshServer;
using testing::ReadFile;
using testing::SshKeyPair;
using testing::StatusIs;
using testing::TempDir;
using testing::TlsAuthority;

constexpr char kPassword[] = "tok3n/with'odd \"signs\" %$x";

RepositoryCredential Https(const std::string& password) {
  return {RepositoryCredentialKind::kHttps, "bob", SecretBytes::CopyOf(password), ""};
}
RepositoryCredential Ssh(const std::string& key, const std::string& known_hosts = "") {
  return {RepositoryCredentialKind::kSsh, "", SecretBytes::CopyOf(key), known_hosts};
}

// A repository with one commit, and an agent's mirrors.
struct World {
  World() {
    origin.Write("a.txt", "1");
    commit = origin.Commit("first");
    MirrorOptions options;
    options.work_dir = temp.path() + "/work dir";
    options.allowed_schemes.insert("http");
    options.fetch_timeout = std::chrono::seconds(30);
    // As on a machine whose user has no key.
    options.environment["HOME"] = "/nonexistent";
    auto made = MirrorCache::Create(options);
    REQUIRE_OK(made);
    mirrors = std::move(*made);
  }
  Source For(const std::string& url, const std::string& application,
             const RepositoryCredential& credential) {
    return {url, application, [this, &credential](const std::stop_token&) {
              ++asked;
              return absl::StatusOr<RepositoryCredential>(credential.Clone());
            }};
  }
  // Whether any file of the agent holds the text.
  bool OnDisk(const std::string& text) const {
    for (const auto& item :
         std::filesystem::recursive_directory_iterator(temp.path() + "/work dir")) {
      if (item.is_regular_file() &&
          ReadFile(item.path().string()).find(text) != std::string::npos) {
        return true;
      }
    }
    return false;
  }

  TempDir temp;
  GitFixture origin{temp.path() + "/origin"};
  std::string commit;
  std::unique_ptr<MirrorCache> mirrors;
  int asked = 0;
};

TEST_CASE("Private repository: a user name and password open it over HTTP", "[integration]") {
  World world;
  const GitHttpServer server(world.temp.path(), "bob", kPassword);
  const std::string url = server.Url("origin");
  const RepositoryCredential right = Https(kPassword);
  const auto resolved = world.mirrors->Resolve(world.For(url, "shop", right), "main");
  REQUIRE_OK(resolved);
  CHECK(resolved->commit == world.commit);
  CHECK_FALSE(world.OnDisk("tok3n"));
  // A URL that holds it goes on working.
  auto embedded = world.mirrors->Resolve(
      "http://bob:tok3n%2Fwith%27odd%20%22signs%22%20%25%24x@" + server.host() + "/origin", "main");
  CHECK_OK(embedded);
}

TEST_CASE("Private repository: a wrong or expired password is refused in git's words without it",
          "[integration]") {
  World world;
  GitHttpServer server(world.temp.path(), "bob", kPassword);
  const std::string url = server.Url("origin");
  const RepositoryCredential wrong = Https("wr0ng-password");
  const auto status = world.mirrors->Resolve(world.For(url, "shop", wrong), "main").status();
  CHECK_THAT(status, StatusIs(absl::StatusCode::kPermissionDenied, "REPOSITORY_ACCESS_DENIED"));
  const protocol::Failure failure = workspace::ToFailure(status);
  CHECK(failure.klass == FailureClass::kCredential);
  CHECK_THAT(failure.remedy, Catch::Contains("slipway apps set-repository-credential"));
  CHECK_THAT(failure.remedy_zh, Catch::Contains("slipway apps set-repository-credential"));
  CHECK_THAT(failure.tool_words, Catch::Contains("Authentication failed"));
  CHECK_THAT(failure.message + failure.tool_words, !Catch::Contains("wr0ng"));

  // It was good until it was replaced at the server.
  const RepositoryCredential right = Https(kPassword);
  REQUIRE_OK(world.mirrors->Resolve(world.For(url, "shop", right), "main"));
  server.SetPassword("another");
  CHECK_THAT(world.mirrors->Resolve(world.For(url, "shop", right), "main").status(),
             StatusIs(absl::StatusCode::kPermissionDenied, "REPOSITORY_ACCESS_DENIED"));
}

TEST_CASE("Private repository: a server's certificate must be of the authority that was given",
          "[integration]") {
  World world;
  const TlsAuthority ours("our company");
  const TlsAuthority others("somebody else");
  const GitHttpServer server(world.temp.path(), "bob", kPassword, ours.server);
  const std::string url = server.Url("origin");
  const auto trusting = [](const std::string& authorities) {
    RepositoryCredential credential = Https(kPassword);
    credential.ca_certificates = authorities;
    return credential;
  };
  for (const std::string& authorities : {others.authority, std::string()}) {
    const RepositoryCredential credential = trusting(authorities);
    const auto status = world.mirrors->Resolve(world.For(url, "shop", credential), "main").status();
    CHECK_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition, "REPOSITORY_UNTRUSTED"));
    const protocol::Failure failure = workspace::ToFailure(status);
    CHECK(failure.klass == FailureClass::kCredential);
    CHECK_THAT(failure.remedy, Catch::Contains("--ca-file"));
    CHECK_THAT(failure.remedy_zh, Catch::Contains("--ca-file"));
    CHECK_THAT(failure.message + failure.tool_words, !Catch::Contains("tok3n"));
  }
  for (const std::string& authorities : {ours.authority, others.authority + ours.authority}) {
    const RepositoryCredential credential = trusting(authorities);
    const auto resolved = world.mirrors->Resolve(world.For(url, "shop", credential), "main");
    REQUIRE_OK(resolved);
    CHECK(resolved->commit == world.commit);
  }
  CHECK_FALSE(world.OnDisk("tok3n"));

  // What the machine trusts is for credentials without an authority of their own, and only for
  // them.
  MirrorOptions options = world.mirrors->options();
  options.work_dir = world.temp.path() + "/second";
  testing::WriteFile(world.temp.path() + "/trusted.pem", ours.authority);
  options.environment["GIT_SSL_CAINFO"] = world.temp.path() + "/trusted.pem";
  const auto mirrors = MirrorCache::Create(options);
  REQUIRE_OK(mirrors);
  const RepositoryCredential plain = trusting("");
  CHECK_OK((*mirrors)->Resolve(world.For(url, "shop", plain), "main"));
  const RepositoryCredential pinned = trusting(others.authority);
  CHECK_THAT((*mirrors)->Resolve(world.For(url, "bakery", pinned), "main").status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "REPOSITORY_UNTRUSTED"));
}

TEST_CASE("Private repository: what one application's credential opened no other one reads",
          "[integration]") {
  World world;
  const GitHttpServer server(world.temp.path(), "bob", kPassword);
  const std::string url = server.Url("origin");
  const RepositoryCredential right = Https(kPassword);
  const Source shop = world.For(url, "shop", right);
  REQUIRE_OK(world.mirrors->Resolve(shop, "main"));
  // The full id of a commit needs no network, and so no credential, where it is.
  world.asked = 0;
  CHECK_OK(world.mirrors->Resolve(shop, world.commit));
  CHECK(world.asked == 0);

  const RepositoryCredential wrong = Https("wr0ng-password");
  for (const Source& other : {Source(url), world.For(url, "bakery", wrong)}) {
    CHECK_FALSE(world.mirrors->Reader(other).ok());
    CHECK_THAT(world.mirrors->Resolve(other, world.commit).status(),
               StatusIs(absl::StatusCode::kPermissionDenied, "REPOSITORY_ACCESS_DENIED"));
    CHECK_FALSE(world.mirrors->Ensure(other, world.commit).ok());
  }
}

TEST_CASE("Private repository: a key opens it over SSH and leaves nothing behind",
          "[integration]") {
  World world;
  const SshKeyPair key(world.temp.path() + "/key");
  const GitSshServer server(key.open);
  const std::string url = server.Url(world.origin.path());
  const RepositoryCredential right = Ssh(key.secret, server.KnownHosts());
  const auto resolved = world.mirrors->Resolve(world.For(url, "shop", right), "main");
  REQUIRE_OK(resolved);
  CHECK(resolved->commit == world.commit);
  CHECK_FALSE(world.OnDisk(key.secret.substr(60, 40)));
  // Nor is the file in memory left open here.
  for (const auto& item : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    CHECK(std::filesystem::read_symlink(item, error).string().find("slipway-git") ==
          std::string::npos);
  }

  const SshKeyPair stranger(world.temp.path() + "/stranger");
  const RepositoryCredential wrong = Ssh(stranger.secret, server.KnownHosts());
  const auto refused = world.mirrors->Resolve(world.For(url, "shop", wrong), "main").status();
  CHECK_THAT(refused, StatusIs(absl::StatusCode::kPermissionDenied, "REPOSITORY_ACCESS_DENIED"));
  CHECK(workspace::ToFailure(refused).klass == FailureClass::kCredential);
  CHECK_FALSE(world.mirrors->Resolve(url, "main").ok());
}

TEST_CASE("Private repository: an SSH server must have the key that was given, or seen first",
          "[integration]") {
  World world;
  const SshKeyPair key(world.temp.path() + "/key");
  const GitSshServer server(key.open);
  const std::string url = server.Url(world.origin.path());
  const SshKeyPair impostor(world.temp.path() + "/impostor");
  std::string other_hosts = server.KnownHosts();
  other_hosts.replace(other_hosts.find("ssh-ed25519"), std::string::npos, impostor.open);
  for (const std::string& hosts : {other_hosts, std::string("git.example ") + impostor.open}) {
    const RepositoryCredential pinned = Ssh(key.secret, hosts);
    const auto status = world.mirrors->Resolve(world.For(url, "shop", pinned), "main").status();
    CHECK_THAT(status, StatusIs(absl::StatusCode::kUnavailable, "REPOSITORY_UNREACHABLE"));
    CHECK_THAT(workspace::ToFailure(status).remedy, Catch::Contains("--known-hosts"));
  }

  const RepositoryCredential trusting = Ssh(key.secret);
  CHECK_OK(world.mirrors->Resolve(world.For(url, "shop", trusting), "main"));
  const std::string seen = world.temp.path() + "/work dir/mirrors/known_hosts";
  CHECK_THAT(ReadFile(seen), Catch::Contains("ssh-ed25519"));
  // From then on it is pinned.
  testing::WriteFile(seen, other_hosts);
  CHECK_THAT(world.mirrors->Resolve(world.For(url, "shop", trusting), "main").status(),
             StatusIs(absl::StatusCode::kUnavailable, "REPOSITORY_UNREACHABLE"));
}

TEST_CASE("Private repository: a credential of the other kind is refused, and so is none",
          "[integration]") {
  World world;
  const SshKeyPair key(world.temp.path() + "/key");
  const RepositoryCredential ssh = Ssh(key.secret);
  const RepositoryCredential https = Https(kPassword);
  for (const Source& source : {world.For("http://127.0.0.1:1/x.git", "shop", ssh),
                               world.For("ssh://git@127.0.0.1:1/x.git", "shop", https)}) {
    CHECK_THAT(world.mirrors->Resolve(source, "main").status(),
               StatusIs(absl::StatusCode::kPermissionDenied, "REPOSITORY_ACCESS_DENIED"));
  }
  const Source none{"http://127.0.0.1:1/x.git", "shop", [](const std::stop_token&) {
                      return absl::StatusOr<RepositoryCredential>(MakeError(
                          absl::StatusCode::kNotFound, "NO_REPOSITORY_CREDENTIAL", "gone"));
                    }};
  const auto gone = world.mirrors->Resolve(none, "main").status();
  CHECK_THAT(gone, StatusIs(absl::StatusCode::kNotFound, "NO_REPOSITORY_CREDENTIAL"));
  CHECK(workspace::ToFailure(gone).klass == FailureClass::kCredential);
}

TEST_CASE("Private repository: the secret is in no argument and no environment of any program",
          "[integration]") {
  World world;
  const std::string bin = world.temp.path() + "/bin";
  // A git that writes down how it was called.
  testing::WriteFile(bin + "/git", "#!/bin/sh\n{ echo \"$@\"; env; } >> " + bin +
                                       "/seen\nexec /usr/bin/git \"$@\"\n");
  chmod((bin + "/git").c_str(), 0755);
  MirrorOptions options = world.mirrors->options();
  options.environment["PATH"] = bin + ":/usr/bin:/bin";
  auto mirrors = MirrorCache::Create(options);
  REQUIRE_OK(mirrors);
  const GitHttpServer server(world.temp.path(), "bob", kPassword);
  const RepositoryCredential right = Https(kPassword);
  REQUIRE_OK((*mirrors)->Resolve(world.For(server.Url("origin"), "shop", right), "main"));
  CHECK_THAT(ReadFile(bin + "/seen"), Catch::Contains("fetch") && !Catch::Contains("tok3n"));
}

}  // namespace
}  // namespace slipway::git
