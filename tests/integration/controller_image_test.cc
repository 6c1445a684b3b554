// Prepared images that agents share.
#include <catch2/catch.hpp>
#include <string>

#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "tests/integration/channel_shop.h"
#include "tests/support/postgres_fixture.h"

namespace slipway::testing {
namespace {

struct Sharing : public Shop {
  FakeAgent::Work Start(const std::string& application = "shop") {
    static int number = 0;
    REQUIRE_OK(
        farm().client().Submit(SubmitOf(application, false, "image-" + std::to_string(++number))));
    auto start = agent().WaitStart();
    REQUIRE(start);
    return *start;
  }
  std::string NameFor(const FakeAgent::Work& work) {
    return "slipway-prepared/" + work.spec.application() + ":0123456789abcdef";
  }
  absl::StatusOr<std::string> Find(const AttemptKey& key, const std::string& name) {
    grpc::ClientContext context;
    v1::FindPreparedImageRequest request;
    *request.mutable_ref() = rpc::ToProto(key);
    request.set_name(name);
    v1::FindPreparedImageResponse response;
    SLIPWAY_RETURN_IF_ERROR(
        rpc::FromGrpc(context, agent().stub().FindPreparedImage(&context, request, &response)));
    return response.manifest();
  }
  absl::Status Share(const AttemptKey& key, const std::string& name, const Sha256Digest& manifest) {
    grpc::ClientContext context;
    v1::SharePreparedImageRequest request;
    *request.mutable_ref() = rpc::ToProto(key);
    request.set_name(name);
    request.set_manifest(manifest.Bytes());
    v1::SharePreparedImageResponse response;
    return rpc::FromGrpc(context, agent().stub().SharePreparedImage(&context, request, &response));
  }
  absl::Status Fetch(const AttemptKey& key, const std::string& manifest) {
    grpc::ClientContext context;
    v1::FetchArtifactRequest request;
    *request.mutable_ref() = rpc::ToProto(key);
    request.set_manifest(manifest);
    const auto stream = agent().stub().FetchArtifact(&context, request);
    v1::FetchArtifactResponse response;
    while (stream->Read(&response)) {
    }
    return rpc::FromGrpc(context, stream->Finish());
  }
};

TEST_CASE(
    "Prepared images: what one agent has shared another finds and fetches, for the same "
    "application",
    "[integration]") {
  Sharing shop;
  const FakeAgent::Work first = shop.Start();
  const std::string name = shop.NameFor(first);
  CHECK(shop.Find(first.key, name)->empty());
  CHECK_THAT(shop.Share(first.key, name, *Sha256Digest::Parse(std::string(64, 'a'))),
             StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_ARTIFACT"));
  const auto uploaded = shop.agent().Upload(first.key, shop.product());
  REQUIRE_OK(uploaded);
  // An artifact is no image yet.
  CHECK_THAT(shop.Fetch(first.key, uploaded->manifest.Bytes()),
             StatusIs(absl::StatusCode::kPermissionDenied, "WRONG_PRODUCT"));
  REQUIRE_OK(shop.Share(first.key, name, uploaded->manifest));

  const FakeAgent::Work second = shop.Start();
  const auto found = shop.Find(second.key, name);
  REQUIRE_OK(found);
  CHECK(*found == uploaded->manifest.Bytes());
  CHECK_OK(shop.Fetch(second.key, *found));
  // One that is lost counts as none.
  REQUIRE_OK(RunSql(shop.farm().options().database_url, "DELETE FROM artifacts"));
  CHECK(shop.Find(second.key, name)->empty());
}

TEST_CASE("Prepared images: another application's are neither found, shared nor fetched",
          "[integration]") {
  Sharing shop;
  const FakeAgent::Work mine = shop.Start();
  const std::string name = shop.NameFor(mine);
  const auto uploaded = shop.agent().Upload(mine.key, shop.product());
  REQUIRE_OK(uploaded);
  REQUIRE_OK(shop.Share(mine.key, name, uploaded->manifest));
  REQUIRE_OK(shop.farm().client().CreateApplication("other"));
  const FakeAgent::Work other = shop.Start("other");
  CHECK_THAT(shop.Find(other.key, name).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD"));
  CHECK_THAT(shop.Share(other.key, name, uploaded->manifest),
             StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD"));
  CHECK_THAT(shop.Fetch(other.key, uploaded->manifest.Bytes()),
             StatusIs(absl::StatusCode::kPermissionDenied, "WRONG_PRODUCT"));
  for (const std::string& bad : {std::string("slipway-builder:1"), std::string(),
                                 name + std::string(300, 'x'), "x" + name}) {
    CHECK_THAT(shop.Find(mine.key, bad).status(),
               StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD"));
  }
  CHECK_THAT(shop.Find({mine.key.task, Attempt(7)}, name).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "STALE_ATTEMPT"));
}

}  // namespace
}  // namespace slipway::testing
