#include "common/crypto/pki.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "common/crypto/key_file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::crypto {
namespace {

using absl::StatusCode;
using std::chrono::hours;
using testing::ReadFile;
using testing::StatusIs;
using testing::TempDir;
using testing::WriteFile;

const FarmId kFarm("farm-1");
const AgentId kAgent("agent-7");
const WallTime kNow = WallTime(std::chrono::seconds(1'800'000'000));

KeyAndCertificate NewCa() {
  auto ca = CreateCa(kFarm, kNow);
  REQUIRE_OK(ca);
  return *std::move(ca);
}

// The exit status of the openssl program, and its output in `out`.
int Openssl(const TempDir& dir, const std::string& arguments, std::string* out = nullptr) {
  const std::string log = dir / "out.txt";
  const int status = std::system(
      ("cd '" + dir.path() + "' && openssl " + arguments + " >'" + log + "' 2>&1").c_str());
  if (out != nullptr) *out = ReadFile(log);
  return status;
}

TEST_CASE("Pki: an agent's certificate carries its names and comes from the farm's CA",
          "[unit][crypto]") {
  const KeyAndCertificate ca = NewCa();
  auto request = CreateKeyAndRequest();
  REQUIRE_OK(request);
  const auto certificate = IssueAgentCertificate(ca, request->request_pem, kFarm, kAgent, kNow);
  REQUIRE_OK(certificate);

  const auto facts = ReadCertificate(*certificate);
  REQUIRE_OK(facts);
  CHECK(facts->common_name == "agent-7");
  CHECK(facts->uris == std::vector<std::string>{"slipway://farm-1/agent/agent-7"});
  CHECK(facts->not_after == kNow + kAgentLifetime);
  CHECK(facts->not_before < kNow);
  CHECK(facts->serial.size() == 32);
  CHECK_FALSE(facts->fingerprint.IsZero());
  CHECK(AgentOfUri(facts->uris[0], kFarm).value() == kAgent);
  CHECK_OK(CheckKeyMatches(request->key_pem.view(), *certificate));
  CHECK_OK(VerifyIssuedBy(*certificate, ca.certificate_pem, kNow));
}

TEST_CASE("Pki: another farm's CA, an expired and a future certificate are refused",
          "[unit][crypto]") {
  const KeyAndCertificate ca = NewCa();
  const KeyAndCertificate other = NewCa();
  const auto request = CreateKeyAndRequest();
  REQUIRE_OK(request);
  const auto certificate = IssueAgentCertificate(ca, request->request_pem, kFarm, kAgent, kNow);
  REQUIRE_OK(certificate);
  CHECK_THAT(VerifyIssuedBy(*certificate, other.certificate_pem, kNow),
             StatusIs(StatusCode::kUnauthenticated, "not issued by this farm's CA"));
  CHECK_THAT(VerifyIssuedBy(*certificate, ca.certificate_pem, kNow + hours(24) * 91),
             StatusIs(StatusCode::kUnauthenticated, "expired"));
  CHECK_THAT(VerifyIssuedBy(*certificate, ca.certificate_pem, kNow - hours(1)),
             StatusIs(StatusCode::kUnauthenticated, "not valid yet"));
}

TEST_CASE("Pki: openssl verifies the chain for the purpose each certificate has",
          "[unit][crypto]") {
  const TempDir dir;
  const KeyAndCertificate ca = NewCa();
  const auto server = IssueServerCertificate(
      ca, {.dns = {"farm.example", "localhost"}, .ips = {"127.0.0.1", "::1"}}, kNow);
  REQUIRE_OK(server);
  const auto request = CreateKeyAndRequest();
  REQUIRE_OK(request);
  const auto agent = IssueAgentCertificate(ca, request->request_pem, kFarm, kAgent, kNow);
  REQUIRE_OK(agent);
  WriteFile(dir / "ca.pem", ca.certificate_pem);
  WriteFile(dir / "server.pem", server->certificate_pem);
  WriteFile(dir / "agent.pem", *agent);
  const std::string at = "-attime 1800000000 -x509_strict -CAfile ca.pem ";

  CHECK(Openssl(dir, "verify -purpose sslserver -verify_hostname farm.example " + at +
                         "server.pem") == 0);
  CHECK(Openssl(dir, "verify -purpose sslserver -verify_ip ::1 " + at + "server.pem") == 0);
  CHECK(Openssl(dir, "verify -verify_hostname evil.example " + at + "server.pem") != 0);
  CHECK(Openssl(dir, "verify -purpose sslclient " + at + "server.pem") != 0);
  CHECK(Openssl(dir, "verify -purpose sslclient " + at + "agent.pem") == 0);
  CHECK(Openssl(dir, "verify -purpose sslserver " + at + "agent.pem") != 0);
}

TEST_CASE("Pki: a request by openssl is taken; names it asks for are not", "[unit][crypto]") {
  const TempDir dir;
  const KeyAndCertificate ca = NewCa();
  REQUIRE(Openssl(dir,
                  "req -new -newkey rsa:2048 -nodes -keyout k.pem -out r.pem -subj /CN=agent-1 "
                  "-addext subjectAltName=URI:slipway://farm-1/agent/agent-1") == 0);
  const auto certificate = IssueAgentCertificate(ca, ReadFile(dir / "r.pem"), kFarm, kAgent, kNow);
  REQUIRE_OK(certificate);
  const auto facts = ReadCertificate(*certificate);
  REQUIRE_OK(facts);
  CHECK(facts->common_name == "agent-7");
  CHECK(facts->uris == std::vector<std::string>{"slipway://farm-1/agent/agent-7"});
}

TEST_CASE("Pki: a request with a small key or a foreign signature is refused", "[unit][crypto]") {
  const TempDir dir;
  const KeyAndCertificate ca = NewCa();
  REQUIRE(Openssl(dir, "req -new -newkey rsa:1024 -nodes -keyout k.pem -out r.pem -subj /CN=x") ==
          0);
  CHECK_THAT(IssueAgentCertificate(ca, ReadFile(dir / "r.pem"), kFarm, kAgent, kNow).status(),
             StatusIs(StatusCode::kInvalidArgument, "WEAK_KEY"));

  const auto request = CreateKeyAndRequest();
  REQUIRE_OK(request);
  WriteFile(dir / "good.pem", request->request_pem);
  REQUIRE(Openssl(dir, "req -in good.pem -outform DER -out good.der") == 0);
  std::string der = ReadFile(dir / "good.der");
  der.back() = static_cast<char>(der.back() ^ 1);
  WriteFile(dir / "bad.der", der);
  REQUIRE(Openssl(dir, "req -inform DER -in bad.der -out bad.pem") == 0);
  CHECK_THAT(IssueAgentCertificate(ca, ReadFile(dir / "bad.pem"), kFarm, kAgent, kNow).status(),
             StatusIs(StatusCode::kInvalidArgument, "not signed by its own key"));
  CHECK_THAT(IssueAgentCertificate(ca, "nonsense", kFarm, kAgent, kNow).status(),
             StatusIs(StatusCode::kInvalidArgument, "not a PEM certificate request"));
}

TEST_CASE("Pki: names that would smuggle others are refused", "[unit][crypto]") {
  const KeyAndCertificate ca = NewCa();
  for (const std::string& name :
       std::vector<std::string>{"", "a,DNS:b", "a b", ".a", std::string(300, 'a')}) {
    CHECK_FALSE(IssueServerCertificate(ca, {.dns = {name}, .ips = {}}, kNow).ok());
  }
  CHECK_FALSE(IssueServerCertificate(ca, {.dns = {}, .ips = {"1.2.3"}}, kNow).ok());
  CHECK_FALSE(IssueServerCertificate(ca, {}, kNow).ok());
  const auto request = CreateKeyAndRequest();
  REQUIRE_OK(request);
  for (const char* id : {"", "a/b", "a b"}) {
    CHECK_FALSE(IssueAgentCertificate(ca, request->request_pem, kFarm, AgentId(id), kNow).ok());
  }
  CHECK_FALSE(AgentOfUri("slipway://farm-10/agent/a", kFarm).ok());
  CHECK_FALSE(AgentOfUri("slipway://farm-1/agent/", kFarm).ok());
  CHECK_FALSE(AgentOfUri("slipway://farm-1/agent/a/b", kFarm).ok());
}

TEST_CASE("Pki: a key of another certificate does not match", "[unit][crypto]") {
  const KeyAndCertificate a = NewCa();
  const KeyAndCertificate b = NewCa();
  CHECK_OK(CheckKeyMatches(a.key_pem.view(), a.certificate_pem));
  CHECK_THAT(CheckKeyMatches(b.key_pem.view(), a.certificate_pem),
             StatusIs(StatusCode::kInvalidArgument, "does not belong"));
}

TEST_CASE("WriteSecretFile: replaces the file whole, for its owner only", "[unit][crypto]") {
  const TempDir dir;
  const std::string path = dir / "key.pem";
  REQUIRE_OK(WriteSecretFile(path, "first, which is longer"));
  REQUIRE_OK(WriteSecretFile(path, "second"));
  struct stat facts {};
  REQUIRE(stat(path.c_str(), &facts) == 0);
  CHECK((facts.st_mode & 07777) == 0600);
  const auto back = ReadSecretFile(path);
  REQUIRE_OK(back);
  CHECK(back->view() == "second");
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()),
                      std::filesystem::directory_iterator()) == 1);
}

TEST_CASE("ReadSecretFile: refuses what others may read, and what is no file", "[unit][crypto]") {
  const TempDir dir;
  const std::string path = dir / "key.pem";
  REQUIRE_OK(WriteSecretFile(path, "secret"));
  REQUIRE(chmod(path.c_str(), 0640) == 0);
  CHECK_THAT(ReadSecretFile(path).status(),
             StatusIs(StatusCode::kFailedPrecondition, "SECRET_FILE_OPEN_TO_OTHERS"));
  const std::string fifo = dir / "fifo";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  CHECK_THAT(ReadSecretFile(fifo).status(),
             StatusIs(StatusCode::kInvalidArgument, "not a regular file"));
  CHECK_THAT(ReadSecretFile(dir / "none").status(), StatusIs(StatusCode::kNotFound));
}

}  // namespace
}  // namespace slipway::crypto
