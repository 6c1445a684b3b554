#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <string>
#include <variant>

#include "common/crypto/credential.h"
#include "common/qr/release_code.h"
#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "tests/support/farm_fixture.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace slipway::testing {
namespace {

constexpr char kLog[] = "fetching\nbuilding\ndone\n";
constexpr char kAppId[] = "wx0123456789abcdef";
constexpr char kSecret[] =
    "-----BEGIN RSA PRIVATE KEY-----\nplain\n-----END RSA PRIVATE KEY-----\n";

struct Story {
  Story() : product(farm.data_dir() + "/product") {
    farm.Start();
    REQUIRE_OK(farm.client().CreateApplication("shop"));
    agent = std::make_unique<FakeAgent>(farm.Join("builder"));
    REQUIRE(agent->Reconnect());
    WriteFile(product + "/app.json", "{\"pages\":[]}");
    WriteFile(product + "/pages/index.js", std::string(300'000, 'x'));
  }

  std::string Seal(const std::string& application, const std::string& app_id = kAppId) {
    const auto farm_info = farm.client().GetFarm();
    REQUIRE_OK(farm_info);
    const auto found = farm.client().GetApplication(application);
    REQUIRE_OK(found);
    const auto sealed =
        crypto::SealCredential({FarmId(farm_info->id()), ApplicationId(found->id()), "weixin"},
                               {"weixin-upload-key", app_id, crypto::SecretBytes::CopyOf(kSecret)},
                               farm_info->sealing_certificate());
    REQUIRE_OK(sealed);
    return *sealed;
  }

  // Submits, builds, and takes the publish task.
  FakeAgent::Work ToPublish(const std::string& sealed) {
    const auto submitted = farm.client().Submit(SubmitOf("shop", true));
    REQUIRE_OK(submitted);
    run = submitted->run();
    const auto build = agent->WaitStart();
    REQUIRE(build);
    build_task = build->key.task.value();
    CHECK(build->spec.build().publish_follows());
    CHECK(build->spec.build().repository() == "https://git.example/shop.git");
    manifest = DoBuild(*agent, build->key, product, kLog, sealed);
    const auto publish = agent->WaitStart();
    REQUIRE(publish);
    CHECK(publish->spec.publish().manifest() == manifest.Bytes());
    CHECK(publish->spec.publish().image() == "slipway/publisher:1");
    CHECK(publish->spec.publish().app_id() == kAppId);
    return *publish;
  }

  v1::PermitDenied Denied(const AttemptKey& key, const Sha256Digest& digest) {
    const auto answer = agent->AskPermit(key, digest);
    REQUIRE(answer);
    REQUIRE(std::holds_alternative<v1::PermitDenied>(*answer));
    return std::get<v1::PermitDenied>(*answer);
  }

  FarmFixture farm;
  std::string product;
  std::unique_ptr<FakeAgent> agent;
  std::string run;
  std::string build_task;
  Sha256Digest manifest;
};

TEST_CASE("Controller: from a submit to a release whose exact bytes come back", "[integration]") {
  Story story;
  const FakeAgent::Work publish = story.ToPublish(story.Seal("shop"));

  const auto first = story.agent->AskPermit(publish.key, story.manifest);
  REQUIRE(first);
  REQUIRE(std::holds_alternative<v1::Permit>(*first));
  const v1::Permit permit = std::get<v1::Permit>(*first);
  CHECK(permit.secret() == kSecret);
  CHECK(rpc::FromProto(permit.valid_for()) > seconds(30));
  // Asking again is the same leave.
  const auto second = story.agent->AskPermit(publish.key, story.manifest);
  REQUIRE(second);
  REQUIRE(std::holds_alternative<v1::Permit>(*second));
  CHECK(std::get<v1::Permit>(*second).nonce() == permit.nonce());

  REQUIRE_OK(story.agent->AppendLog(publish.key, "uploading\n"));
  REQUIRE(story.agent->Report(publish.key, PublishResult("uploading\n")));

  const auto watched = story.farm.client().Watch(story.run);
  REQUIRE_OK(watched);
  REQUIRE(watched->finished());
  REQUIRE(watched->tasks_size() == 2);
  CHECK(watched->tasks(0).state() == v1::TASK_STATE_SUCCEEDED);
  CHECK(watched->tasks(1).state() == v1::TASK_STATE_SUCCEEDED);
  const std::string release = watched->tasks(1).release();
  REQUIRE_FALSE(release.empty());

  const auto context = story.farm.client().Context();
  v1::ListReleasesResponse releases;
  v1::ListReleasesRequest list;
  list.set_application("shop");
  REQUIRE(story.farm.client().releases().ListReleases(context.get(), list, &releases).ok());
  REQUIRE(releases.releases_size() == 1);
  CHECK(releases.releases(0).id() == release);
  CHECK(releases.releases(0).link() == "https://platform.example/42");

  const auto code = qr::ParseReleaseCode(releases.releases(0).qr_text());
  REQUIRE_OK(code);
  CHECK(code->release.value() == release);
  CHECK(code->digest == story.manifest);
  CHECK(code->version == "1.2.3");

  // By release, by task, by what the QR code says.
  int n = 0;
  for (const std::string& name :
       {release, story.build_task, publish.key.task.value(), releases.releases(0).qr_text()}) {
    const auto archived = story.farm.client().GetArchived(name);
    REQUIRE_OK(archived);
    CHECK(archived->manifest() == story.manifest.Bytes());
    CHECK(archived->publish_state() == "released");
    const std::string copy = story.farm.data_dir() + "/copy" + std::to_string(++n);
    REQUIRE_OK(story.farm.client().Download(name, story.manifest, copy));
    CHECK(ReadFile(copy + "/app.json") == "{\"pages\":[]}");
    CHECK(ReadFile(copy + "/pages/index.js") == std::string(300'000, 'x'));
  }
}

TEST_CASE("Controller: a preview brings a code, and no release", "[integration]") {
  Story story;
  v1::SubmitRunRequest submit = SubmitOf("shop", false);
  submit.set_preview(true);
  const auto submitted = story.farm.client().Submit(submit);
  REQUIRE_OK(submitted);
  const auto build = story.agent->WaitStart();
  REQUIRE(build);
  CHECK(build->spec.build().publish_follows());
  const Sha256Digest manifest =
      DoBuild(*story.agent, build->key, story.product, kLog, story.Seal("shop"));
  const auto preview = story.agent->WaitStart();
  REQUIRE(preview);
  CHECK(preview->spec.publish().mode() == "preview");
  const auto permit = story.agent->AskPermit(preview->key, manifest);
  REQUIRE(permit);
  REQUIRE(std::holds_alternative<v1::Permit>(*permit));
  CHECK(std::get<v1::Permit>(*permit).secret() == kSecret);
  // Repeatable: leave is given anew each time.
  const auto again = story.agent->AskPermit(preview->key, manifest);
  REQUIRE(again);
  CHECK(std::get<v1::Permit>(*again).nonce() != std::get<v1::Permit>(*permit).nonce());
  REQUIRE_OK(story.agent->AppendLog(preview->key, "previewing\n"));
  protocol::AttemptResult result = PublishResult("previewing\n");
  result.publish->code = {.text = "https://platform.example/preview/7",
                          .image_type = "image/jpeg",
                          .image = "\xff\xd8\xff\xe0"};
  REQUIRE(story.agent->Report(preview->key, result));

  const auto watched = story.farm.client().Watch(submitted->run());
  REQUIRE_OK(watched);
  REQUIRE(watched->finished());
  const v1::Task& ended = watched->tasks(1);
  CHECK(ended.kind() == v1::TASK_KIND_PREVIEW);
  CHECK(ended.state() == v1::TASK_STATE_SUCCEEDED);
  CHECK(ended.result().publish().code().text() == "https://platform.example/preview/7");
  CHECK(ended.result().publish().code().image_type() == "image/jpeg");
  CHECK(ended.result().publish().code().image().empty());
  v1::GetPlatformImageRequest of;
  of.set_task(preview->key.task.value());
  v1::PlatformImage image;
  const auto asked = story.farm.client().Context();
  REQUIRE(story.farm.client().tasks().GetPlatformImage(asked.get(), of, &image).ok());
  CHECK(image.media_type() == "image/jpeg");
  CHECK(image.image() == result.publish->code.image);
  CHECK(ended.release().empty());
  v1::ListReleasesResponse releases;
  v1::ListReleasesRequest list;
  list.set_application("shop");
  const auto context = story.farm.client().Context();
  REQUIRE(story.farm.client().releases().ListReleases(context.get(), list, &releases).ok());
  CHECK(releases.releases_size() == 0);

  // The product can be had, by either task, and was not published.
  for (const std::string& name : {build->key.task.value(), preview->key.task.value()}) {
    const auto archived = story.farm.client().GetArchived(name);
    REQUIRE_OK(archived);
    CHECK(archived->publish_state() == "not asked for");
    CHECK_OK(story.farm.client().Download(name, manifest, story.farm.data_dir() + "/" + name));
  }
}

TEST_CASE("Controller: no permit for bytes that the build did not archive", "[integration]") {
  Story story;
  const FakeAgent::Work publish = story.ToPublish(story.Seal("shop"));
  const auto other = Sha256Digest::Parse(std::string(64, 'a'));
  const v1::PermitDenied denied = story.Denied(publish.key, *other);
  CHECK(denied.failure().failure_class() == v1::FAILURE_CLASS_POLICY);
  CHECK(denied.failure().reason() == "WRONG_PRODUCT");
}

TEST_CASE("Controller: a credential sealed for another application is a credential failure",
          "[integration]") {
  Story story;
  REQUIRE_OK(story.farm.client().CreateApplication("other"));
  const FakeAgent::Work publish = story.ToPublish(story.Seal("other"));
  const v1::PermitDenied denied = story.Denied(publish.key, story.manifest);
  CHECK(denied.failure().failure_class() == v1::FAILURE_CLASS_CREDENTIAL);
  CHECK(denied.failure().reason() == "CREDENTIAL_FOREIGN");
  CHECK(denied.failure().message().find("plain") == std::string::npos);
  CHECK(denied.failure().remedy().find("slipway credentials seal --app shop") != std::string::npos);

  REQUIRE_OK(story.agent->AppendLog(publish.key, ""));
  REQUIRE(story.agent->Report(publish.key, FailedResult("", protocol::FailureClass::kCredential)));
  const auto archived = story.farm.client().GetArchived(story.build_task);
  REQUIRE_OK(archived);
  CHECK(archived->publish_state().find("credential") != std::string::npos);
  CHECK_FALSE(archived->has_release());
}

TEST_CASE("Controller: a credential for another app id of the platform is a credential failure",
          "[integration]") {
  Story story;
  const FakeAgent::Work publish = story.ToPublish(story.Seal("shop", "wxffffffffffffffff"));
  const v1::PermitDenied denied = story.Denied(publish.key, story.manifest);
  CHECK(denied.failure().failure_class() == v1::FAILURE_CLASS_CREDENTIAL);
  CHECK(denied.failure().reason() == "CREDENTIAL_FOREIGN");
}

TEST_CASE("Controller: an agent that is not the task's own gets no permit, product or log in",
          "[integration]") {
  Story story;
  const FakeAgent::Work publish = story.ToPublish(story.Seal("shop"));
  FakeAgent thief(story.farm.Join("thief"));
  REQUIRE(thief.Reconnect());
  CHECK_FALSE(thief.AskPermit(publish.key, story.manifest, seconds(1)));
  CHECK_THAT(thief.AppendLog(publish.key, "x"),
             StatusIs(absl::StatusCode::kFailedPrecondition, "STALE_ATTEMPT"));
  CHECK_THAT(thief.Upload(publish.key, story.product).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "STALE_ATTEMPT"));

  grpc::ClientContext context;
  v1::FetchArtifactRequest request;
  *request.mutable_ref() = rpc::ToProto(publish.key);
  request.set_manifest(story.manifest.Bytes());
  const auto stream = thief.stub().FetchArtifact(&context, request);
  v1::FetchArtifactResponse response;
  CHECK_FALSE(stream->Read(&response));
  CHECK_THAT(rpc::FromGrpc(context, stream->Finish()),
             StatusIs(absl::StatusCode::kFailedPrecondition, "STALE_ATTEMPT"));

  // Nor can it end somebody else's log by reporting a result for it.
  thief.SendResult(publish.key, PublishResult("something else"));
  thief.SendResult({TaskId(".."), Attempt(1)}, PublishResult("something else"));
  CHECK_FALSE(thief.AskPermit(publish.key, story.manifest, seconds(1)));
  struct stat escaped {};
  CHECK(stat((story.farm.data_dir() + "/1").c_str(), &escaped) != 0);
  REQUIRE_OK(story.agent->AppendLog(publish.key, "mine\n"));
  REQUIRE(story.agent->Report(publish.key, PublishResult("mine\n")));
  const auto task = story.farm.client().GetTask(publish.key.task.value());
  REQUIRE_OK(task);
  CHECK(task->state() == v1::TASK_STATE_SUCCEEDED);
}

v1::ResolvePublishRequest WordOf(const AttemptKey& publish, bool published,
                                 const std::string& reason = "looked at the console") {
  v1::ResolvePublishRequest request;
  request.set_task(publish.task.value());
  request.set_reason(reason);
  if (published) {
    request.mutable_published()->set_link("https://platform.example/seen");
  } else {
    request.mutable_not_published();
  }
  return request;
}

protocol::AttemptResult UnknownResult(std::string_view log) {
  protocol::AttemptResult result = FailedResult(log, protocol::FailureClass::kPublishUnknown);
  result.client_ended = true;
  return result;
}

TEST_CASE("Controller: a person resolves an unknown publish, once, with a reason",
          "[integration]") {
  Story story;
  const FakeAgent::Work publish = story.ToPublish(story.Seal("shop"));
  FarmClient& client = story.farm.client();
  CHECK_THAT(client.Resolve(WordOf(publish.key, true)).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "NOT_UNKNOWN"));
  REQUIRE(story.agent->AskPermit(publish.key, story.manifest));
  REQUIRE_OK(story.agent->AppendLog(publish.key, "x"));
  REQUIRE(story.agent->Report(publish.key, UnknownResult("x")));
  REQUIRE(client.GetTask(publish.key.task.value())->state() == v1::TASK_STATE_UNKNOWN);

  CHECK_THAT(client.Resolve(WordOf(publish.key, true, " ")).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD"));
  CHECK_THAT(client.Resolve(WordOf({TaskId("task-none"), Attempt(1)}, true)).status(),
             StatusIs(absl::StatusCode::kNotFound));
  const absl::Status early = client.Resolve(WordOf(publish.key, false)).status();
  CHECK_THAT(early, StatusIs(absl::StatusCode::kFailedPrecondition, "RESOLVE_TOO_EARLY"));
  CHECK(early.message().find("until 20") != std::string::npos);

  const auto said = client.Resolve(WordOf(publish.key, true));
  REQUIRE_OK(said);
  CHECK(said->task().state() == v1::TASK_STATE_SUCCEEDED);
  CHECK(said->task().result().publish().link() == "https://platform.example/seen");
  CHECK(said->task().result().log().size() == 1);
  CHECK(said->task().resolution().resolved_by() == "admin");
  CHECK(said->task().resolution().reason() == "looked at the console");
  const auto archived = client.GetArchived(said->task().release());
  REQUIRE_OK(archived);
  CHECK(archived->manifest() == story.manifest.Bytes());
  // Again is nothing new, and the opposite is refused.
  CHECK(client.Resolve(WordOf(publish.key, true))->task().release() == said->task().release());
  CHECK_THAT(client.Resolve(WordOf(publish.key, false)).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "ALREADY_RESOLVED"));
}

TEST_CASE("Controller: after the margin it may be said that nothing was published",
          "[integration]") {
  Story story;
  story.farm.Stop();
  story.farm.options().publish_margin = std::chrono::seconds(1);
  story.farm.Start();
  REQUIRE(story.agent->Reconnect());
  const FakeAgent::Work publish = story.ToPublish(story.Seal("shop"));
  FarmClient& client = story.farm.client();
  REQUIRE(story.agent->AskPermit(publish.key, story.manifest));
  REQUIRE_OK(story.agent->AppendLog(publish.key, "x"));
  REQUIRE(story.agent->Report(publish.key, UnknownResult("x")));
  absl::StatusOr<v1::ResolvePublishResponse> said;
  REQUIRE(WaitUntil([&] {
    said = client.Resolve(WordOf(publish.key, false));
    return said.ok();
  }));
  CHECK(said->task().state() == v1::TASK_STATE_FAILED);
  CHECK(said->task().result().failure().reason() == "PUBLISH_NOT_DONE");
  CHECK(said->task().release().empty());
  const auto watched = client.Watch(story.run);
  REQUIRE_OK(watched);
  CHECK(watched->tasks(1).state() == v1::TASK_STATE_FAILED);
}

TEST_CASE("Controller: a probe of an unknown publish resolves it like a person", "[integration]") {
  Story story;
  const FakeAgent::Work publish = story.ToPublish(story.Seal("shop"));
  FarmClient& client = story.farm.client();
  REQUIRE(story.agent->AskPermit(publish.key, story.manifest));
  REQUIRE_OK(story.agent->AppendLog(publish.key, "x"));
  REQUIRE(story.agent->Report(publish.key, UnknownResult("x")));

  v1::ResolvePublishRequest request = WordOf(publish.key, true);
  request.mutable_probe();
  request.set_request_id("probe-1");
  const auto begun = client.Resolve(request);
  REQUIRE_OK(begun);
  CHECK(begun->task().state() == v1::TASK_STATE_UNKNOWN);
  CHECK(client.Resolve(request)->probe_run() == begun->probe_run());
  const auto probe = story.agent->WaitStart();
  REQUIRE(probe);
  REQUIRE(probe->spec.has_probe());
  CHECK(probe->spec.probe().app_id() == kAppId);
  CHECK(probe->spec.version() == "1.2.3");
  const auto permit = story.agent->AskPermit(probe->key, story.manifest);
  REQUIRE(permit);
  REQUIRE(std::holds_alternative<v1::Permit>(*permit));
  CHECK(std::get<v1::Permit>(*permit).secret() == kSecret);

  protocol::AttemptResult answer = FailedResult("", protocol::FailureClass::kBuild);
  answer.failure.reset();
  answer.probe = {.verdict = protocol::ProbeVerdict::kCannotTell, .words = "it does not say"};
  SECTION("that cannot tell: as unknown as before") {
    REQUIRE_OK(story.agent->AppendLog(probe->key, ""));
    REQUIRE(story.agent->Report(probe->key, answer));
    const auto asked = client.GetTask(probe->key.task.value());
    REQUIRE_OK(asked);
    CHECK(asked->state() == v1::TASK_STATE_SUCCEEDED);
    CHECK(asked->result().probe().words() == "it does not say");
    CHECK(client.GetTask(publish.key.task.value())->state() == v1::TASK_STATE_UNKNOWN);
  }
  SECTION("that finds it: one release, by the probe") {
    answer.probe->verdict = protocol::ProbeVerdict::kPublished;
    answer.probe->words = "listed as 1.2.3";
    REQUIRE_OK(story.agent->AppendLog(probe->key, ""));
    REQUIRE(story.agent->Report(probe->key, answer));
    const auto found = client.GetTask(publish.key.task.value());
    REQUIRE_OK(found);
    CHECK(found->state() == v1::TASK_STATE_SUCCEEDED);
    CHECK_FALSE(found->release().empty());
    CHECK(found->resolution().probe_task() == probe->key.task.value());
    CHECK(found->resolution().reason() == "listed as 1.2.3");
  }
}

TEST_CASE("Controller: the publish attempt fetches exactly its product", "[integration]") {
  Story story;
  const FakeAgent::Work publish = story.ToPublish(story.Seal("shop"));
  grpc::ClientContext context;
  v1::FetchArtifactRequest request;
  *request.mutable_ref() = rpc::ToProto(publish.key);
  request.set_manifest(std::string(32, 'm'));
  const auto stream = story.agent->stub().FetchArtifact(&context, request);
  v1::FetchArtifactResponse response;
  CHECK_FALSE(stream->Read(&response));
  CHECK_THAT(rpc::FromGrpc(context, stream->Finish()),
             StatusIs(absl::StatusCode::kPermissionDenied, "WRONG_PRODUCT"));
}

TEST_CASE("Controller: a build whose product is not in the archive has not succeeded",
          "[integration]") {
  Story story;
  REQUIRE_OK(story.farm.client().Submit(SubmitOf("shop", true)));
  const auto build = story.agent->WaitStart();
  REQUIRE(build);
  REQUIRE_OK(story.agent->AppendLog(build->key, kLog));
  REQUIRE(story.agent->Report(build->key,
                              BuildResult(kLog, *Sha256Digest::Parse(std::string(64, 'b')))));
  const auto task = story.farm.client().GetTask(build->key.task.value());
  REQUIRE_OK(task);
  // Tried again, elsewhere or with better luck.
  CHECK(task->state() == v1::TASK_STATE_QUEUED);
}

TEST_CASE("Controller: a publish that ended well is a release even if the agent says no more",
          "[integration]") {
  Story story;
  const FakeAgent::Work publish = story.ToPublish(story.Seal("shop"));
  REQUIRE(story.agent->AskPermit(publish.key, story.manifest));
  REQUIRE_OK(story.agent->AppendLog(publish.key, "x"));
  auto result = PublishResult("x");
  result.publish.reset();
  REQUIRE(story.agent->Report(publish.key, result));
  const auto task = story.farm.client().GetTask(publish.key.task.value());
  REQUIRE_OK(task);
  CHECK_FALSE(task->release().empty());
}

}  // namespace
}  // namespace slipway::testing
