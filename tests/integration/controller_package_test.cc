// Packages as people fetch them from a real controller: what comes, who gets it, what is told of
// it.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "common/crypto/hash.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "slipway/v1/access.grpc.pb.h"
#include "slipway/v1/audit.grpc.pb.h"
#include "slipway/v1/release.grpc.pb.h"
#include "slipway/v1/session.grpc.pb.h"
#include "tests/support/farm_fixture.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace slipway::testing {
namespace {

using absl::StatusCode;

constexpr char kPassword[] = "correct horse battery";
constexpr char kPackagePassword[] = "a password of the package";

int Run(const TempDir& dir, const std::string& command) {
  return std::system(("cd '" + dir.path() + "' && " + command + " >/dev/null 2>&1").c_str());
}

// What came of one stream.
struct Came {
  absl::Status status;
  v1::PackageHeader header;
  std::string file;
  std::optional<v1::PackageTrailer> trailer;
};

class World {
 public:
  World() : agent_((farm_.Start(), farm_.Join("builder")), 4) {
    REQUIRE_OK(farm_.client().CreateApplication("shop"));
    REQUIRE(agent_.Reconnect());
    WriteFile(product_ / "app.json", "{}\n");
    WriteFile(product_ / "pages/首页.txt", "hello\n");
    accounts_ = v1::AccountService::NewStub(farm_.client().channel());
    for (const char* name : {"member", "outsider"}) AddMember(name);
    ChangeGrant(true);
  }

  // A build of what is in product(); its task.
  std::string Build(const std::string& request_id) {
    const auto submitted = farm_.client().Submit(SubmitOf("shop", false, request_id));
    REQUIRE_OK(submitted);
    const auto start = agent_.WaitStart();
    REQUIRE(start);
    DoBuild(agent_, start->key, product_.path(), "a log\n");
    REQUIRE_OK(farm_.client().Watch(submitted->run()));
    return submitted->tasks(0).id();
  }
  // More than any window between the two holds.
  void MakeLarge() {
    std::string noise(std::size_t{48} << 20, '\0');
    std::uint64_t state = 1;
    for (char& byte : noise) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      byte = static_cast<char>(state >> 56);
    }
    WriteFile(product_ / "large.bin", noise);
  }

  std::unique_ptr<grpc::ClientContext> ContextOf(const std::string& name) {
    v1::LoginRequest request;
    request.set_account(name);
    request.set_password(kPassword);
    v1::LoginResponse response;
    grpc::ClientContext login;
    const auto sessions = v1::SessionService::NewStub(farm_.client().channel());
    REQUIRE(sessions->Login(&login, request, &response).ok());
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    context->AddMetadata("authorization", "Bearer " + response.access_token());
    return context;
  }
  Came Fetch(const v1::DownloadPackageRequest& request, const std::string& who = "member") {
    const auto context = ContextOf(who);
    const auto stream = farm_.client().releases().DownloadPackage(context.get(), request);
    return ReadAll(*context, *stream);
  }
  static Came ReadAll(grpc::ClientContext& context,
                      grpc::ClientReader<v1::DownloadPackageResponse>& stream) {
    Came came;
    v1::DownloadPackageResponse message;
    while (stream.Read(&message)) {
      CHECK_FALSE(came.trailer.has_value());
      if (message.has_header()) came.header = message.header();
      if (message.has_trailer()) came.trailer = message.trailer();
      came.file += message.data();
    }
    came.status = rpc::FromGrpc(context, stream.Finish());
    return came;
  }

  void ChangeGrant(bool add) {
    v1::ChangeGrantsRequest change;
    v1::Grant& grant = add ? *change.add_add() : *change.add_remove();
    grant.set_account("member");
    grant.set_application("shop");
    if (add) grant.add_operations(v1::OPERATION_PREVIEW);
    v1::ChangeGrantsResponse done;
    const auto context = farm_.client().Context();
    REQUIRE(accounts_->ChangeGrants(context.get(), change, &done).ok());
  }

  // The whole trail of one action, as it is stored.
  std::vector<std::string> Trail(const std::string& with) {
    const auto audit = v1::AuditService::NewStub(farm_.client().channel());
    const auto context = farm_.client().Context();
    const auto stream = audit->ExportAudit(context.get(), {});
    std::vector<std::string> found;
    v1::ExportAuditResponse message;
    while (stream->Read(&message)) {
      for (const auto& line : message.lines()) {
        if (line.ShortDebugString().find(with) != std::string::npos) {
          found.push_back(line.ShortDebugString());
        }
      }
    }
    REQUIRE(stream->Finish().ok());
    return found;
  }

  FarmFixture& farm() { return farm_; }
  const TempDir& product() { return product_; }

 private:
  void AddMember(const std::string& name) {
    v1::CreateAccountRequest request;
    request.set_name(name);
    request.set_kind(v1::ACCOUNT_KIND_MEMBER);
    request.set_password(kPassword);
    v1::CreateAccountResponse response;
    const auto context = farm_.client().Context();
    REQUIRE(accounts_->CreateAccount(context.get(), request, &response).ok());
  }

  TempDir product_;
  FarmFixture farm_;
  FakeAgent agent_;
  std::unique_ptr<v1::AccountService::Stub> accounts_;
};

v1::DownloadPackageRequest Ask(const std::string& task,
                               v1::PackageForm form = v1::PACKAGE_FORM_ZIP) {
  v1::DownloadPackageRequest request;
  request.set_name(task);
  request.set_form(form);
  return request;
}

void CheckWhole(const Came& came) {
  REQUIRE_OK(came.status);
  REQUIRE(came.trailer.has_value());
  CHECK(came.trailer->sha256() == crypto::Sha256Of(came.file).Bytes());
  CHECK(came.trailer->size() == came.file.size());
}

TEST_CASE("Packages: the same product is the same bytes, whichever build it is of",
          "[integration]") {
  World world;
  const std::string first = world.Build("one");
  const std::string second = world.Build("two");
  const TempDir dir;
  const struct {
    v1::PackageForm form;
    const char* name;
    const char* unpack;
  } forms[] = {{v1::PACKAGE_FORM_ZIP, "shop-weixin", "LC_ALL=C.UTF-8 unzip -q package -d out"},
               {v1::PACKAGE_FORM_TAR_GZ, ".tar.gz", "mkdir out && tar -xzf package -C out"}};
  for (const auto& form : forms) {
    const Came came = world.Fetch(Ask(first, form.form));
    CheckWhole(came);
    CHECK_THAT(came.header.file_name(), Catch::Contains(form.name));
    CHECK(came.header.product_bytes() == 9);
    CHECK(came.header.cipher() == v1::PACKAGE_CIPHER_UNSPECIFIED);
    CHECK(world.Fetch(Ask(second, form.form)).file == came.file);
    WriteFile(dir / "package", came.file);
    REQUIRE(Run(dir, form.unpack) == 0);
    CHECK(ReadFile(dir / "out/app.json") == "{}\n");
    CHECK(ReadFile(dir / "out/pages/首页.txt") == "hello\n");
    std::filesystem::remove_all(dir / "out");
  }
}

TEST_CASE("Packages: an encrypted one opens with openssl and the key alone, and shows tampering",
          "[integration]") {
  World world;
  const std::string task = world.Build("one");
  const TempDir dir;
  REQUIRE(Run(dir,
              "openssl req -x509 -nodes -subj /CN=them -newkey ec -pkeyopt "
              "ec_paramgen_curve:P-256 -keyout key -out cert") == 0);
  REQUIRE(Run(dir, "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out other") ==
          0);
  v1::DownloadPackageRequest request = Ask(task);
  request.mutable_encryption()->add_recipients(ReadFile(dir / "cert"));
  const Came came = world.Fetch(request);
  CheckWhole(came);
  CHECK(came.header.authenticated());
  CHECK(came.header.cipher() == v1::PACKAGE_CIPHER_AES_256_GCM);
  REQUIRE(came.header.recipients_size() == 1);
  CHECK_THAT(came.header.file_name(), Catch::EndsWith(".zip.cms"));
  WriteFile(dir / "p.cms", came.file);
  const std::string open = "openssl cms -decrypt -inform DER -in p.cms -out p.zip -inkey ";
  REQUIRE(Run(dir, open + "key") == 0);
  CHECK(ReadFile(dir / "p.zip") == world.Fetch(Ask(task)).file);
  CHECK(Run(dir, open + "other") != 0);
  std::string changed = came.file;
  changed[changed.size() * 3 / 4] ^= 1;
  WriteFile(dir / "p.cms", changed);
  CHECK(Run(dir, open + "key") != 0);
}

TEST_CASE("Packages: the audit trail says who fetched what for whom, and no password",
          "[integration]") {
  World world;
  const std::string task = world.Build("one");
  const TempDir dir;
  REQUIRE(Run(dir,
              "openssl req -x509 -nodes -subj /CN=them -newkey rsa:2048 -keyout key "
              "-out cert") == 0);
  v1::DownloadPackageRequest request = Ask(task);
  request.mutable_encryption()->add_recipients(ReadFile(dir / "cert"));
  const Came came = world.Fetch(request);
  CheckWhole(came);
  const std::string fingerprint = Sha256Digest::FromBytes(came.header.recipients(0))->Hex();
  auto trail = world.Trail("download_package");
  REQUIRE(trail.size() == 1);
  for (const std::string& words :
       {std::string("member"), task, fingerprint, std::string("aes-256-gcm"), std::string("zip")}) {
    CHECK_THAT(trail[0], Catch::Contains(words));
  }

  request.mutable_encryption()->clear_recipients();
  request.mutable_encryption()->set_password(kPackagePassword);
  request.mutable_encryption()->set_cipher(v1::PACKAGE_CIPHER_SM4_CBC);
  const Came sealed = world.Fetch(request);
  CheckWhole(sealed);
  CHECK_FALSE(sealed.header.authenticated());
  CHECK(world.Trail(kPackagePassword).empty());
  trail = world.Trail("download_package");
  REQUIRE(trail.size() == 2);
  CHECK_THAT(trail[1], Catch::Contains("sm4-cbc"));
}

TEST_CASE("Packages: who does not see the product gets nothing, and what cannot be made is refused",
          "[integration]") {
  World world;
  const std::string task = world.Build("one");
  CHECK_THAT(world.Fetch(Ask(task), "outsider").status,
             StatusIs(StatusCode::kNotFound, "NO_SUCH_PRODUCT"));
  v1::DownloadPackageRequest request = Ask(task);
  request.mutable_encryption();
  CHECK_THAT(world.Fetch(request).status, StatusIs(StatusCode::kInvalidArgument, "BAD_FIELD"));
  request.mutable_encryption()->add_recipients("no certificate");
  CHECK_THAT(world.Fetch(request).status, StatusIs(StatusCode::kInvalidArgument, "recipients[0]"));
  request.mutable_encryption()->clear_recipients();
  request.mutable_encryption()->set_password("short");
  CHECK_THAT(world.Fetch(request).status, StatusIs(StatusCode::kInvalidArgument, "BAD_PASSWORD"));
  request = Ask(task, static_cast<v1::PackageForm>(77));
  CHECK_THAT(world.Fetch(request).status, StatusIs(StatusCode::kInvalidArgument, "BAD_FIELD"));
  CHECK(world.Trail("download_package").empty());
}

TEST_CASE("Packages: a damaged product is an error without a trailer", "[integration]") {
  World world;
  std::string text;
  for (int i = 0; i < 50'000; ++i) text += std::to_string(i * 7919) + "\n";
  WriteFile(world.product() / "text", text);
  const std::string task = world.Build("one");
  const std::string hex = crypto::Sha256Of(text).Hex();
  const std::string path =
      world.farm().data_dir() + "/blobs/blobs/" + hex.substr(0, 2) + "/" + hex + ".zst";
  REQUIRE(std::filesystem::exists(path));
  std::string frame = ReadFile(path);
  frame[frame.size() / 2] ^= 1;
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  WriteFile(path, frame);
  for (const v1::PackageForm form : {v1::PACKAGE_FORM_ZIP, v1::PACKAGE_FORM_TAR_GZ}) {
    const Came came = world.Fetch(Ask(task, form));
    CHECK_THAT(came.status, StatusIs(StatusCode::kDataLoss, "BLOB_CORRUPT"));
    CHECK_FALSE(came.trailer.has_value());
  }
}

TEST_CASE("Packages: a name with a backslash goes into no zip file", "[integration]") {
  World world;
  WriteFile(world.product() / "a\\b", "x");
  const std::string task = world.Build("one");
  CHECK_THAT(world.Fetch(Ask(task)).status, StatusIs(StatusCode::kInvalidArgument, "UNSAFE_PATH"));
  CheckWhole(world.Fetch(Ask(task, v1::PACKAGE_FORM_TAR_GZ)));
}

TEST_CASE("Packages: a stream ends when the right to it does", "[integration]") {
  World world;
  world.MakeLarge();
  const std::string task = world.Build("one");
  const auto context = world.ContextOf("member");
  const auto stream = world.farm().client().releases().DownloadPackage(context.get(), Ask(task));
  v1::DownloadPackageResponse message;
  REQUIRE(stream->Read(&message));
  world.ChangeGrant(false);
  const Came came = World::ReadAll(*context, *stream);
  CHECK(came.status.code() == StatusCode::kNotFound);
  CHECK_FALSE(came.trailer.has_value());
}

TEST_CASE("Packages: one account has four at a time, and those who leave make room",
          "[integration]") {
  World world;
  world.MakeLarge();
  const std::string task = world.Build("one");
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::DownloadPackageResponse>>> streams;
  v1::DownloadPackageResponse message;
  for (int i = 0; i < 4; ++i) {
    contexts.push_back(world.ContextOf("member"));
    streams.push_back(
        world.farm().client().releases().DownloadPackage(contexts.back().get(), Ask(task)));
    REQUIRE(streams.back()->Read(&message));
  }
  CHECK_THAT(world.Fetch(Ask(task)).status,
             StatusIs(StatusCode::kResourceExhausted, "PACKAGES_BUSY"));
  for (const auto& context : contexts) context->TryCancel();
  for (const auto& stream : streams) {
    while (stream->Read(&message)) {
    }
    CHECK(stream->Finish().error_code() == grpc::StatusCode::CANCELLED);
  }
  Came came;
  CHECK(WaitUntil([&] {
    came = world.Fetch(Ask(task));
    return came.status.ok();
  }));
  CheckWhole(came);
}

}  // namespace
}  // namespace slipway::testing
