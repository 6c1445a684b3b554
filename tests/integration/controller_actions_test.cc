// Whether what answers say that a caller may do is what the calls then let it do: over generated
// accounts, and tasks in all states.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/crypto/credential.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "slipway/v1/access.grpc.pb.h"
#include "slipway/v1/session.grpc.pb.h"
#include "tests/support/farm_fixture.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::testing {
namespace {

constexpr char kPassword[] = "correct horse battery";
constexpr char kAppId[] = "wx0123456789abcdef";
constexpr v1::Action kActions[] = {
    v1::ACTION_CANCEL,   v1::ACTION_READ_LOG,          v1::ACTION_SUBMIT_AGAIN,
    v1::ACTION_DOWNLOAD, v1::ACTION_RESOLVE_PUBLISHED, v1::ACTION_RESOLVE_NOT_PUBLISHED,
    v1::ACTION_PROBE};

std::string ReasonOf(const absl::Status& status) {
  const std::string reason = GetErrorInfo(status).reason;
  return absl::StatusCodeToString(status.code()) + " " + reason;
}

// "absent", "OK ", or code and reason of what blocks it.
std::string Told(const v1::Task& task, v1::Action action) {
  for (const v1::ObjectAction& one : task.allowed_actions()) {
    if (one.action() != action) continue;
    return one.has_blocked() ? ReasonOf(rpc::FromCallError(one.blocked())) : "OK ";
  }
  return "absent";
}

std::string AllTold(const v1::Task& task) {
  std::string all = task.id() + ":";
  for (const v1::Action action : kActions) all += " " + Told(task, action);
  return all;
}

// Whether such a task can have it done at all.
bool Applies(const v1::Task& task, v1::Action action) {
  switch (action) {
    case v1::ACTION_DOWNLOAD: return task.kind() == v1::TASK_KIND_BUILD;
    case v1::ACTION_SUBMIT_AGAIN: return task.kind() != v1::TASK_KIND_PROBE;
    case v1::ACTION_RESOLVE_PUBLISHED:
    case v1::ACTION_RESOLVE_NOT_PUBLISHED:
    case v1::ACTION_PROBE: return task.kind() == v1::TASK_KIND_PUBLISH;
    default: return true;
  }
}

// A farm with tasks in all states, and people who may do different things with them.
class World {
 public:
  explicit World(unsigned seed) : random_(seed), agent_((Start(), farm_.Join("builder")), 200) {
    REQUIRE(agent_.Reconnect());
    REQUIRE_OK(farm_.client().CreateApplication("shop"));
    REQUIRE_OK(farm_.client().CreateApplication("bakery"));
    for (const char* name : {"production", "test"}) {
      v1::CreateEnvironmentRequest request;
      request.mutable_environment()->set_name(name);
      v1::Environment made;
      const auto context = farm_.client().Context();
      REQUIRE(farm_.client().catalog().CreateEnvironment(context.get(), request, &made).ok());
    }
    WriteFile(product_ / "app.json", "{}");
    credential_ = Seal();
    for (int outcome = 0; outcome < kOutcomes; ++outcome) MakeRun(outcome, "test");
    for (const int outcome : {1, 6, 7}) MakeRun(outcome, "");
    for (const int outcome : {0, 2, 3, 4, 5, 8}) MakeRun(outcome, "test", true);
    AddPeople();
  }

  // What the call for the action answers somebody.
  absl::Status Do(const std::string& token, const v1::Task& task, v1::Action action) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    context.AddMetadata("authorization", "Bearer " + token);
    FarmClient& client = farm_.client();
    switch (action) {
      case v1::ACTION_CANCEL: {
        v1::CancelTaskRequest request;
        request.set_id(task.id());
        v1::CancelTaskResponse response;
        return rpc::FromGrpc(context, client.tasks().CancelTask(&context, request, &response));
      }
      case v1::ACTION_READ_LOG: {
        v1::ReadLogRequest request;
        request.set_task(task.id());
        const auto stream = client.tasks().ReadLog(&context, request);
        v1::ReadLogResponse response;
        while (stream->Read(&response)) {
        }
        return rpc::FromGrpc(context, stream->Finish());
      }
      case v1::ACTION_DOWNLOAD: {
        v1::DownloadRequest request;
        request.set_name(task.id());
        const auto stream = client.releases().Download(&context, request);
        v1::DownloadResponse response;
        while (stream->Read(&response)) {
        }
        return rpc::FromGrpc(context, stream->Finish());
      }
      case v1::ACTION_SUBMIT_AGAIN: {
        const bool publish = task.kind() == v1::TASK_KIND_PUBLISH;
        v1::SubmitRunRequest request =
            SubmitOf("shop", publish, "again-" + std::to_string(++requests_));
        request.set_preview(task.kind() == v1::TASK_KIND_PREVIEW);
        request.set_target(task.target());
        v1::SubmitRunResponse response;
        return rpc::FromGrpc(context, client.tasks().SubmitRun(&context, request, &response));
      }
      default: break;
    }
    v1::ResolvePublishRequest request;
    request.set_task(task.id());
    request.set_reason("looked at the console");
    if (action == v1::ACTION_RESOLVE_PUBLISHED) request.mutable_published();
    if (action == v1::ACTION_RESOLVE_NOT_PUBLISHED) request.mutable_not_published();
    if (action == v1::ACTION_PROBE) request.mutable_probe();
    v1::ResolvePublishResponse response;
    return rpc::FromGrpc(context, client.releases().ResolvePublish(&context, request, &response));
  }

  absl::StatusOr<v1::Task> Get(const std::string& token, const std::string& id) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token);
    v1::GetTaskRequest request;
    request.set_id(id);
    v1::Task task;
    const absl::Status status =
        rpc::FromGrpc(context, farm_.client().tasks().GetTask(&context, request, &task));
    if (!status.ok()) return status;
    return task;
  }

  std::vector<v1::Task> List(const std::string& token) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token);
    v1::ListTasksRequest request;
    request.set_page_size(1000);
    v1::ListTasksResponse response;
    REQUIRE(farm_.client().tasks().ListTasks(&context, request, &response).ok());
    return {response.tasks().begin(), response.tasks().end()};
  }

  // Of the application "shop", in a list and alone.
  std::set<std::string> OfApplication(const std::string& token) {
    grpc::ClientContext first;
    first.AddMetadata("authorization", "Bearer " + token);
    v1::ListApplicationsResponse listed;
    REQUIRE(farm_.client().applications().ListApplications(&first, {}, &listed).ok());
    grpc::ClientContext second;
    second.AddMetadata("authorization", "Bearer " + token);
    v1::GetApplicationRequest request;
    request.set_name("shop");
    v1::Application single;
    REQUIRE(farm_.client().applications().GetApplication(&second, request, &single).ok());
    const auto names = [](const v1::Application& application) {
      std::set<std::string> actions;
      for (const v1::ObjectAction& one : application.allowed_actions()) {
        actions.insert(v1::Action_Name(one.action()));
      }
      return actions;
    };
    for (const v1::Application& application : listed.applications()) {
      if (application.name() == "shop") CHECK(names(application) == names(single));
    }
    return names(single);
  }

  v1::ListReleasesResponse Releases() {
    const auto context = farm_.client().Context();
    v1::ListReleasesResponse response;
    REQUIRE(farm_.client().releases().ListReleases(context.get(), {}, &response).ok());
    return response;
  }

  std::map<std::string, std::string> tokens;  // of people, by name
  std::vector<std::string> tasks;

  unsigned Any(unsigned below) { return static_cast<unsigned>(random_() % below); }

 private:
  // How a run goes: where its build and its publish or preview end up.
  static constexpr int kOutcomes = 9;

  void Start() {
    // Of a client that was seen dead it may be said at once that it published nothing.
    farm_.options().publish_margin = Duration::zero();
    farm_.Start();
  }

  std::string Seal() {
    const auto about = farm_.client().GetFarm();
    REQUIRE_OK(about);
    const auto shop = farm_.client().GetApplication("shop");
    REQUIRE_OK(shop);
    const auto sealed =
        crypto::SealCredential({FarmId(about->id()), ApplicationId(shop->id()), "weixin"},
                               {"weixin-upload-key", kAppId, crypto::SecretBytes::CopyOf("key")},
                               about->sealing_certificate());
    REQUIRE_OK(sealed);
    return *sealed;
  }

  void MakeRun(int outcome, const std::string& environment, bool preview = false) {
    const std::string n = std::to_string(++requests_);
    v1::Target target;
    target.set_platform("weixin");
    target.set_name("target-" + n);
    target.set_image("slipway/publisher:1");
    target.set_environment(environment);
    REQUIRE_OK(farm_.client().CreateTarget(target));
    v1::SubmitRunRequest request = SubmitOf("shop", !preview, "request-" + n);
    request.set_preview(preview);
    request.set_target(target.name());
    // Nobody has it: the build stays in the queue.
    if (outcome == 0) (*request.mutable_requirements())["color"] = "green";
    const auto run = farm_.client().Submit(request);
    REQUIRE_OK(run);
    for (const v1::Task& task : run->tasks()) tasks.push_back(task.id());
    if (outcome == 0) return;
    const auto build = agent_.WaitStart();
    REQUIRE(build);
    if (outcome == 1) return;
    if (outcome == 2) {
      REQUIRE_OK(agent_.AppendLog(build->key, "x"));
      REQUIRE(agent_.Report(build->key, FailedResult("x", protocol::FailureClass::kBuild)));
      return;
    }
    const Sha256Digest manifest =
        DoBuild(agent_, build->key, product_.path(), "a log\n", credential_);
    const auto publish = agent_.WaitStart();
    REQUIRE(publish);
    if (outcome == 3) return;
    REQUIRE(agent_.AskPermit(publish->key, manifest));
    if (outcome == 4) return;
    REQUIRE_OK(agent_.AppendLog(publish->key, "x"));
    protocol::AttemptResult result = PublishResult("x");
    if (outcome == 5) result = FailedResult("x", protocol::FailureClass::kPlatformRefused);
    // Whose client may still be at work, and whose is dead.
    if (outcome >= 6) result = FailedResult("x", protocol::FailureClass::kPublishUnknown);
    result.client_ended = outcome == 7;
    if (outcome == 8) result = PublishResult("x");
    if (preview && result.publish) result.publish->code.text = "https://platform.example/7";
    REQUIRE(agent_.Report(publish->key, result));
    if (outcome != 8 || environment.empty()) return;
    v1::DeleteTargetRequest gone;
    gone.set_platform("weixin");
    gone.set_name(target.name());
    v1::DeleteTargetResponse response;
    const auto context = farm_.client().Context();
    REQUIRE(farm_.client().catalog().DeleteTarget(context.get(), gone, &response).ok());
  }

  void AddPeople() {
    using Held = std::vector<std::pair<v1::Operation, std::string>>;
    const auto& channel = farm_.client().channel();
    const auto accounts = v1::AccountService::NewStub(channel);
    const auto sessions = v1::SessionService::NewStub(channel);
    std::vector<Held> people{{},
                             {{v1::OPERATION_VIEW, ""}},
                             {{v1::OPERATION_MANAGE, ""}},
                             {{v1::OPERATION_PACKAGE, ""}, {v1::OPERATION_PUBLISH, "test"}},
                             {{v1::OPERATION_PACKAGE, ""}, {v1::OPERATION_PREVIEW, "test"}}};
    for (int i = 0; i < 3; ++i) {
      Held some{{v1::OPERATION_VIEW, ""}};
      if (Any(2) == 0) some.emplace_back(v1::OPERATION_PACKAGE, "");
      if (Any(2) == 0) some.emplace_back(v1::OPERATION_MANAGE, "");
      if (Any(2) == 0) some.emplace_back(v1::OPERATION_PUBLISH, Any(2) == 0 ? "" : "production");
      if (Any(2) == 0) some.emplace_back(v1::OPERATION_PREVIEW, Any(2) == 0 ? "" : "production");
      people.push_back(some);
    }
    for (const Held& held : people) {
      const std::string name = "person-" + std::to_string(tokens.size());
      v1::CreateAccountRequest create;
      create.set_name(name);
      create.set_kind(v1::ACCOUNT_KIND_DEVELOPER);
      create.set_password(kPassword);
      v1::CreateAccountResponse created;
      const auto first = farm_.client().Context();
      REQUIRE(accounts->CreateAccount(first.get(), create, &created).ok());
      v1::ChangeGrantsRequest grants;
      for (const auto& [operation, environment] : held) {
        v1::Grant& grant = *grants.add_add();
        grant.set_account(name);
        grant.set_application("shop");
        grant.add_operations(operation);
        grant.set_environment(environment);
      }
      v1::ChangeGrantsResponse changed;
      const auto second = farm_.client().Context();
      REQUIRE(accounts->ChangeGrants(second.get(), grants, &changed).ok());
      v1::LoginRequest login;
      login.set_account(name);
      login.set_password(kPassword);
      v1::LoginResponse response;
      grpc::ClientContext context;
      REQUIRE(sessions->Login(&context, login, &response).ok());
      tokens[name] = response.access_token();
    }
    for (const bool narrow : {false, true}) {
      v1::CreateApiTokenRequest request;
      request.set_name(narrow ? "narrow" : "wide");
      if (narrow) request.add_operations(v1::OPERATION_PACKAGE);
      v1::CreateApiTokenResponse made;
      const auto context = farm_.client().Context();
      REQUIRE(sessions->CreateApiToken(context.get(), request, &made).ok());
      tokens[narrow ? "admin, narrowed" : "admin"] = made.secret();
    }
  }

  std::mt19937 random_;
  int requests_ = 0;
  TempDir product_;
  FarmFixture farm_;
  FakeAgent agent_;
  std::string credential_;
};

TEST_CASE("Actions: lists say what single answers say", "[integration]") {
  World world(1);
  for (const auto& [name, token] : world.tokens) {
    INFO(name);
    const auto listed = world.List(token);
    CHECK(listed.empty() == (name == "person-0"));
    for (const v1::Task& task : listed) {
      const auto single = world.Get(token, task.id());
      REQUIRE_OK(single);
      CHECK(AllTold(task) == AllTold(*single));
    }
  }
  using Names = std::set<std::string>;
  CHECK(world.OfApplication(world.tokens.at("person-1")).empty());
  CHECK(world.OfApplication(world.tokens.at("person-2")) ==
        Names{"ACTION_EDIT", "ACTION_SET_REPOSITORY_CREDENTIAL"});
  CHECK(world.OfApplication(world.tokens.at("person-3")) == Names{"ACTION_SUBMIT"});
  CHECK(world.OfApplication(world.tokens.at("admin, narrowed")) == Names{"ACTION_SUBMIT"});
  CHECK(world.OfApplication(world.tokens.at("admin")) ==
        Names{"ACTION_EDIT", "ACTION_EDIT_REPOSITORY", "ACTION_SET_REPOSITORY_CREDENTIAL",
              "ACTION_SUBMIT"});
  const auto releases = world.Releases();
  REQUIRE(releases.releases_size() == 1);
  REQUIRE(releases.releases(0).allowed_actions_size() == 1);
  CHECK(releases.releases(0).allowed_actions(0).action() == v1::ACTION_DOWNLOAD);
}

TEST_CASE("Actions: what an answer offers is what the call does, and what it leaves out is refused",
          "[integration]") {
  World world(7);
  struct Try {
    std::string who;
    std::string task;
    v1::Action action;
  };
  std::vector<Try> first;
  std::vector<Try> tries;
  for (const auto& [name, token] : world.tokens) {
    for (const std::string& task : world.tasks) {
      for (const v1::Action action : kActions) tries.push_back({name, task, action});
    }
  }
  // Before somebody resolves them.
  for (const std::string& task : world.tasks) {
    if (world.Get(world.tokens.at("admin"), task)->state() != v1::TASK_STATE_UNKNOWN) continue;
    for (const v1::Action action :
         {v1::ACTION_CANCEL, v1::ACTION_PROBE, v1::ACTION_RESOLVE_NOT_PUBLISHED}) {
      first.push_back({"admin", task, action});
    }
  }
  CHECK(first.size() == 12);
  // Cancels and resolutions change what the later ones find.
  for (std::size_t i = tries.size(); i > 1; --i) {
    std::swap(tries[i - 1], tries[world.Any(static_cast<unsigned>(i))]);
  }
  tries.insert(tries.begin(), first.begin(), first.end());
  std::set<std::string> seen;
  for (const Try& one : tries) {
    const std::string& token = world.tokens.at(one.who);
    INFO(one.who << ", " << one.task << ", " << v1::Action_Name(one.action));
    const auto before = world.Get(token, one.task);
    if (!before.ok()) {
      REQUIRE_THAT(before.status(), StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_TASK"));
      v1::Task unseen;
      unseen.set_id(one.task);
      CHECK(absl::IsNotFound(world.Do(token, unseen, one.action)));
      continue;
    }
    const std::string told = Told(*before, one.action);
    if (!Applies(*before, one.action)) {
      CHECK(told == "absent");
      continue;
    }
    const absl::Status done = world.Do(token, *before, one.action);
    INFO("told: " << told << "; done: " << done << "; state: " << before->state());
    seen.insert(v1::Action_Name(one.action) + " " + told);
    if (told == "absent") {
      // That the target is gone is found before the right is asked for.
      CHECK((absl::IsPermissionDenied(done) || GetErrorInfo(done).reason == "NO_TARGET"));
    } else if (done.ok() && told == "FAILED_PRECONDITION ALREADY_RESOLVED") {
      // Saying the same again is no error and changes nothing.
      const auto after = world.Get(token, one.task);
      REQUIRE_OK(after);
      CHECK(after->state() == before->state());
      CHECK(after->resolution().SerializeAsString() == before->resolution().SerializeAsString());
    } else {
      CHECK(told == ReasonOf(done));
    }
  }
  // All of it came up.
  for (const char* expected :
       {"ACTION_CANCEL OK ", "ACTION_CANCEL absent",
        "ACTION_CANCEL FAILED_PRECONDITION ALREADY_FINISHED",
        "ACTION_CANCEL FAILED_PRECONDITION PUBLISH_UNKNOWN", "ACTION_READ_LOG OK ",
        "ACTION_SUBMIT_AGAIN OK ", "ACTION_SUBMIT_AGAIN absent",
        "ACTION_SUBMIT_AGAIN FAILED_PRECONDITION NO_TARGET", "ACTION_DOWNLOAD OK ",
        "ACTION_DOWNLOAD NOT_FOUND NO_SUCH_PRODUCT", "ACTION_RESOLVE_PUBLISHED OK ",
        "ACTION_RESOLVE_PUBLISHED absent",
        "ACTION_RESOLVE_PUBLISHED FAILED_PRECONDITION NOT_UNKNOWN",
        "ACTION_RESOLVE_PUBLISHED FAILED_PRECONDITION ALREADY_FINISHED",
        "ACTION_RESOLVE_PUBLISHED FAILED_PRECONDITION ALREADY_RESOLVED",
        "ACTION_RESOLVE_NOT_PUBLISHED OK ",
        "ACTION_RESOLVE_NOT_PUBLISHED FAILED_PRECONDITION RESOLVE_TOO_EARLY", "ACTION_PROBE OK ",
        "ACTION_PROBE absent"}) {
    INFO(expected);
    CHECK(seen.count(expected) == 1);
  }
}

}  // namespace
}  // namespace slipway::testing
