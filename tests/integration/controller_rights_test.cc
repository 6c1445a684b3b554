// Whether each RPC of the protocol refuses whom its rule (rule.proto) shuts out: made from the
// descriptors, so that a new RPC is in it by itself.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <grpcpp/generic/generic_stub.h>

#include <catch2/catch.hpp>
#include <future>
#include <map>
#include <string>
#include <vector>

#include "common/rpc/grpc_status.h"
#include "slipway/v1/access.grpc.pb.h"
#include "slipway/v1/agent.pb.h"
#include "slipway/v1/audit.grpc.pb.h"
#include "slipway/v1/enrollment.pb.h"
#include "slipway/v1/release.grpc.pb.h"
#include "slipway/v1/rule.pb.h"
#include "slipway/v1/session.grpc.pb.h"
#include "tests/support/farm_fixture.h"
#include "tests/support/postgres_fixture.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace slipway::testing {
namespace {

namespace pb = google::protobuf;
using grpc::StatusCode;

constexpr char kPassword[] = "correct horse battery";

// Sends one message, reads whatever comes, and keeps the status.
class OneCall final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  OneCall(grpc::GenericStub& stub, grpc::ClientContext& context, const std::string& method,
          const std::string& message) {
    const grpc::Slice slice(message);
    request_ = grpc::ByteBuffer(&slice, 1);
    stub.PrepareBidiStreamingCall(&context, method, {}, this);
    StartWriteLast(&request_, {});
    StartRead(&response_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (ok) StartRead(&response_);
  }
  void OnDone(const grpc::Status& status) override { done_.set_value(status); }
  grpc::Status Wait() { return done_.get_future().get(); }

 private:
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  std::promise<grpc::Status> done_;
};

struct Somebody {
  std::shared_ptr<grpc::Channel> channel;
  std::string token;  // "": none
};

// A farm whose application "shop" has a product and a platform's image, and people who may do
// different things.
struct People {
  People() {
    REQUIRE_OK(farm.client().CreateApplication("shop"));
    agent = std::make_unique<FakeAgent>(farm.Join("builder"), 2);
    REQUIRE(agent->Reconnect());
    const auto submitted = farm.client().Submit(SubmitOf("shop", false));
    REQUIRE_OK(submitted);
    run = submitted->run();
    task = submitted->tasks(0).id();
    const auto start = agent->WaitStart();
    REQUIRE(start);
    WriteFile(product / "index.html", "hello\n");
    DoBuild(*agent, start->key, product.path(), "a log\n", "sealed");
    REQUIRE_OK(farm.client().Watch(run));
    // As if a preview had brought one.
    REQUIRE_OK(RunSql(farm.options().database_url,
                      "INSERT INTO platform_images VALUES ('" + task + "', 'image/png', 'png')"));
    // As if somebody had brought a script for it.
    REQUIRE_OK(RunSql(farm.options().database_url,
                      "INSERT INTO run_scripts VALUES ('" + run + "', 'exit 0')"));
    Add("outsider", v1::ACCOUNT_KIND_DEVELOPER);
    Add("member", v1::ACCOUNT_KIND_MEMBER);
    v1::ChangeGrantsRequest grants;
    v1::Grant& grant = *grants.add_add();
    grant.set_account("member");
    grant.set_application("shop");
    grant.add_operations(v1::OPERATION_PREVIEW);
    v1::ChangeGrantsResponse done;
    const auto context = farm.client().Context();
    REQUIRE(accounts->ChangeGrants(context.get(), grants, &done).ok());
  }

  void Add(const std::string& name, v1::AccountKind kind) {
    v1::CreateAccountRequest request;
    request.set_name(name);
    request.set_kind(kind);
    request.set_password(kPassword);
    v1::CreateAccountResponse response;
    const auto context = farm.client().Context();
    REQUIRE(accounts->CreateAccount(context.get(), request, &response).ok());
  }
  // A fresh login, because some calls end it.
  std::string LogIn(const std::string& name) {
    v1::LoginRequest request;
    request.set_account(name);
    request.set_password(kPassword);
    v1::LoginResponse response;
    grpc::ClientContext context;
    REQUIRE(sessions->Login(&context, request, &response).ok());
    return response.access_token();
  }
  // An admin's, but for one application only.
  std::string NarrowToken() {
    v1::CreateApiTokenRequest request;
    request.set_name("narrow");
    request.add_applications("shop");
    v1::CreateApiTokenResponse response;
    const auto context = farm.client().Context();
    REQUIRE(sessions->CreateApiToken(context.get(), request, &response).ok());
    return response.secret();
  }

  // A request that names what there is: application, run, task.
  std::string RequestOf(const pb::MethodDescriptor& method) {
    pb::Message* message =
        pb::MessageFactory::generated_factory()->GetPrototype(method.input_type())->New();
    const std::unique_ptr<pb::Message> owned(message);
    const bool application = method.service()->name() == "ApplicationService";
    const std::map<std::string, std::string> known{
        {"application", "shop"},
        {"name", application ? "shop" : task},
        {"task", task},
        {"id", task},
        {"run", run},
        {"request_id", "request-" + std::to_string(++requests)},
        {"platforms", "weixin"},
        {"product", task},
        {"script", "exit 0\n"}};
    for (int i = 0; i < method.input_type()->field_count(); ++i) {
      const pb::FieldDescriptor* field = method.input_type()->field(i);
      const auto it = known.find(field->name());
      if (it == known.end() || field->cpp_type() != pb::FieldDescriptor::CPPTYPE_STRING) continue;
      if (field->is_repeated()) {
        message->GetReflection()->AddString(message, field, it->second);
      } else {
        message->GetReflection()->SetString(message, field, it->second);
      }
    }
    if (auto* publish = dynamic_cast<v1::PublishProductRequest*>(message)) {
      publish->set_publish(true);
    }
    return message->SerializeAsString();
  }

  StatusCode Call(const pb::MethodDescriptor& method, const Somebody& who) {
    grpc::GenericStub stub(who.channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    if (!who.token.empty()) context.AddMetadata("authorization", "Bearer " + who.token);
    OneCall call(stub, context, "/" + method.service()->full_name() + "/" + method.name(),
                 RequestOf(method));
    return call.Wait().error_code();
  }

  TempDir product;
  FarmFixture farm;
  std::unique_ptr<FakeAgent> agent;
  std::string run;
  std::string task;
  int requests = 0;
  std::shared_ptr<grpc::Channel> channel = [this] {
    farm.Start();
    return farm.client().channel();
  }();
  std::unique_ptr<v1::AccountService::Stub> accounts = v1::AccountService::NewStub(channel);
  std::unique_ptr<v1::SessionService::Stub> sessions = v1::SessionService::NewStub(channel);
};

// Every RPC of the protocol.
std::vector<const pb::MethodDescriptor*> AllMethods() {
  // What no code refers to would not be linked in.
  (void)v1::AgentMessage::descriptor();
  (void)v1::JoinRequest::descriptor();
  std::vector<const pb::MethodDescriptor*> methods;
  for (const char* file : {"access", "agent", "agent_admin", "agent_images", "application", "audit",
                           "catalog", "enrollment", "overview", "release", "session", "task"}) {
    const pb::FileDescriptor* found = pb::DescriptorPool::generated_pool()->FindFileByName(
        std::string("slipway/v1/") + file + ".proto");
    REQUIRE(found != nullptr);
    for (int i = 0; i < found->service_count(); ++i) {
      for (int j = 0; j < found->service(i)->method_count(); ++j) {
        methods.push_back(found->service(i)->method(j));
      }
    }
  }
  return methods;
}

v1::CallerRule RuleOf(const pb::MethodDescriptor& method) {
  return method.options().GetExtension(v1::rule);
}

bool IsRefusal(StatusCode code) {
  return code == StatusCode::UNAUTHENTICATED || code == StatusCode::PERMISSION_DENIED;
}

TEST_CASE("Rights: each RPC of each service says who may call it", "[integration]") {
  const auto methods = AllMethods();
  CHECK(methods.size() > 40);
  for (const pb::MethodDescriptor* method : methods) {
    INFO(method->full_name());
    CHECK(RuleOf(*method) != v1::CALLER_RULE_UNSPECIFIED);
  }
}

TEST_CASE("Rights: each RPC refuses those whom its rule shuts out", "[integration]") {
  People people;
  const std::string narrow = people.NarrowToken();
  for (const pb::MethodDescriptor* method : AllMethods()) {
    INFO(method->full_name());
    const v1::CallerRule rule = RuleOf(*method);
    if (rule == v1::CALLER_RULE_PUBLIC) continue;

    CHECK(IsRefusal(people.Call(*method, {people.channel, ""})));
    CHECK(people.Call(*method, {people.channel, "slt_nobody"}) != StatusCode::OK);
    const StatusCode stranger = people.Call(*method, {people.channel, people.LogIn("outsider")});
    const StatusCode member = people.Call(*method, {people.channel, people.LogIn("member")});
    const StatusCode narrowed = people.Call(*method, {people.channel, narrow});
    if (rule == v1::CALLER_RULE_AGENT) {
      CHECK(IsRefusal(stranger));
      CHECK(IsRefusal(narrowed));
      continue;
    }
    // Its certificate says which agent it is, and nothing of an account.
    CHECK(people.Call(*method, {people.agent->channel(), ""}) == StatusCode::UNAUTHENTICATED);
    switch (rule) {
      case v1::CALLER_RULE_ACCOUNT: CHECK_FALSE(IsRefusal(stranger)); break;
      case v1::CALLER_RULE_VIEWER:
        CHECK(stranger == StatusCode::NOT_FOUND);
        CHECK(member == StatusCode::OK);
        break;
      case v1::CALLER_RULE_HOLDER:
        CHECK(stranger == StatusCode::NOT_FOUND);
        CHECK(member == StatusCode::PERMISSION_DENIED);
        break;
      case v1::CALLER_RULE_OPERATOR:
      case v1::CALLER_RULE_ADMIN:
        CHECK(stranger == StatusCode::PERMISSION_DENIED);
        CHECK(member == StatusCode::PERMISSION_DENIED);
        CHECK(narrowed == StatusCode::PERMISSION_DENIED);
        break;
      default: break;
    }
  }
}

TEST_CASE("Rights: lists show a stranger nothing and a member its application", "[integration]") {
  People people;
  const auto counts = [&](const std::string& name) {
    const std::string bearer = "Bearer " + people.LogIn(name);
    const auto tasks = v1::TaskService::NewStub(people.channel);
    const auto applications = v1::ApplicationService::NewStub(people.channel);
    grpc::ClientContext first;
    first.AddMetadata("authorization", bearer);
    v1::ListTasksResponse listed;
    REQUIRE(tasks->ListTasks(&first, {}, &listed).ok());
    grpc::ClientContext second;
    second.AddMetadata("authorization", bearer);
    v1::ListApplicationsResponse seen;
    REQUIRE(applications->ListApplications(&second, {}, &seen).ok());
    CHECK(seen.total() == seen.applications_size());
    if (seen.applications_size() == 1) {
      CHECK(seen.applications(0).allowed_operations_size() == 2);  // view and preview
    }
    return std::pair(listed.tasks_size(), seen.applications_size());
  };
  CHECK(counts("outsider") == std::pair(0, 0));
  CHECK(counts("member") == std::pair(1, 1));
}

TEST_CASE("Rights: why a task waits does not say what other applications build", "[integration]") {
  People people;
  REQUIRE_OK(people.farm.client().CreateApplication("secret"));
  // The agent has two slots.
  for (const char* id : {"request-a", "request-b", "request-c"}) {
    v1::SubmitRunRequest hidden = SubmitOf("secret", false, id);
    hidden.set_priority(100);
    REQUIRE_OK(people.farm.client().Submit(hidden));
  }
  const auto run = people.farm.client().Submit(SubmitOf("shop", false, "request-seen"));
  REQUIRE_OK(run);
  const auto tasks = v1::TaskService::NewStub(people.channel);
  v1::ExplainTaskRequest request;
  request.set_id(run->tasks(0).id());
  const auto ask = [&](std::unique_ptr<grpc::ClientContext> context) {
    v1::ExplainTaskResponse why;
    REQUIRE(tasks->ExplainTask(context.get(), request, &why).ok());
    CHECK(why.ahead() == 1);
    return why.first_ahead_size();
  };
  CHECK(ask(people.farm.client().Context()) == 1);
  auto member = std::make_unique<grpc::ClientContext>();
  member->AddMetadata("authorization", "Bearer " + people.LogIn("member"));
  CHECK(ask(std::move(member)) == 0);
}

TEST_CASE("Rights: a stream ends when the right to it does", "[integration]") {
  People people;
  const auto submitted = people.farm.client().Submit(SubmitOf("shop", false, "request-live"));
  REQUIRE_OK(submitted);
  const auto tasks = v1::TaskService::NewStub(people.channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  context.AddMetadata("authorization", "Bearer " + people.LogIn("member"));
  v1::WatchRunRequest watch;
  watch.set_run(submitted->run());
  const auto stream = tasks->WatchRun(&context, watch);
  v1::WatchRunResponse message;
  REQUIRE(stream->Read(&message));
  StatusCode expected = StatusCode::NOT_FOUND;
  const auto admin = people.farm.client().Context();
  SECTION("the grant is taken") {
    v1::ChangeGrantsRequest change;
    v1::Grant& grant = *change.add_remove();
    grant.set_account("member");
    grant.set_application("shop");
    v1::ChangeGrantsResponse done;
    REQUIRE(people.accounts->ChangeGrants(admin.get(), change, &done).ok());
  }
  SECTION("the account is deleted") {
    v1::DeleteAccountRequest gone;
    gone.set_name("member");
    v1::DeleteAccountResponse done;
    REQUIRE(people.accounts->DeleteAccount(admin.get(), gone, &done).ok());
    expected = StatusCode::UNAUTHENTICATED;
  }
  while (stream->Read(&message)) {
  }
  CHECK(stream->Finish().error_code() == expected);
}

TEST_CASE("Rights: a download and an export end when the right to them does", "[integration]") {
  People people;
  const auto admin = people.farm.client().Context();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  SECTION("a download whose grant is taken") {
    const auto submitted = people.farm.client().Submit(SubmitOf("shop", false, "request-large"));
    REQUIRE_OK(submitted);
    const auto start = people.agent->WaitStart();
    REQUIRE(start);
    // More than any window between the two holds.
    std::string noise(std::size_t{48} << 20, '\0');
    std::uint64_t state = 1;
    for (char& byte : noise) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      byte = static_cast<char>(state >> 56);
    }
    WriteFile(people.product / "large.bin", noise);
    DoBuild(*people.agent, start->key, people.product.path(), "a log\n");
    REQUIRE_OK(people.farm.client().Watch(submitted->run()));
    context.AddMetadata("authorization", "Bearer " + people.LogIn("member"));
    v1::DownloadRequest request;
    request.set_name(submitted->tasks(0).id());
    const auto releases = v1::ReleaseService::NewStub(people.channel);
    const auto stream = releases->Download(&context, request);
    v1::DownloadResponse message;
    REQUIRE(stream->Read(&message));
    v1::ChangeGrantsRequest change;
    v1::Grant& grant = *change.add_remove();
    grant.set_account("member");
    grant.set_application("shop");
    v1::ChangeGrantsResponse done;
    REQUIRE(people.accounts->ChangeGrants(admin.get(), change, &done).ok());
    std::size_t bytes = 0;
    while (stream->Read(&message)) bytes += message.ByteSizeLong();
    CHECK(stream->Finish().error_code() == StatusCode::NOT_FOUND);
    CHECK(bytes < noise.size());
  }
  SECTION("an export whose admin is one no more") {
    REQUIRE_OK(RunSql(people.farm.options().database_url, R"(
WITH long_rows AS (
  INSERT INTO audit (sequence, entry, hash, at, actor, action, object, subject, reason)
  SELECT h.sequence + n, '{"v":1,"x":"' || repeat('x', 40000) || '"}', repeat('0', 64), now(), '',
         'x', '', '', ''
    FROM audit_head h, generate_series(1, 1200) AS n
  RETURNING sequence)
UPDATE audit_head SET sequence = sequence + 1200)"));
    people.Add("second", v1::ACCOUNT_KIND_ADMIN);
    context.AddMetadata("authorization", "Bearer " + people.LogIn("second"));
    const auto audit = v1::AuditService::NewStub(people.channel);
    const auto stream = audit->ExportAudit(&context, {});
    v1::ExportAuditResponse message;
    REQUIRE(stream->Read(&message));
    v1::UpdateAccountRequest less;
    less.set_name("second");
    less.mutable_update_mask()->add_paths("kind");
    less.mutable_account()->set_kind(v1::ACCOUNT_KIND_MEMBER);
    v1::Account changed;
    REQUIRE(people.accounts->UpdateAccount(admin.get(), less, &changed).ok());
    std::size_t lines = 0;
    while (stream->Read(&message)) {
      // 4 MB are the most that gRPC takes.
      CHECK(message.ByteSizeLong() < (std::size_t{2} << 20));
      lines += static_cast<std::size_t>(message.lines_size());
    }
    CHECK(stream->Finish().error_code() == StatusCode::PERMISSION_DENIED);
    CHECK(lines < 1200);
  }
}

TEST_CASE("Rights: a stream ends when the API token that it came with expires", "[integration]") {
  People people;
  const auto submitted = people.farm.client().Submit(SubmitOf("shop", false, "request-live"));
  REQUIRE_OK(submitted);
  const std::string token = people.NarrowToken();
  REQUIRE_OK(RunSql(people.farm.options().database_url,
                    "UPDATE api_tokens SET expires_at = now() + interval '2 seconds' "
                    "WHERE name = 'narrow'"));
  const auto tasks = v1::TaskService::NewStub(people.channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  context.AddMetadata("authorization", "Bearer " + token);
  v1::WatchRunRequest watch;
  watch.set_run(submitted->run());
  const auto stream = tasks->WatchRun(&context, watch);
  v1::WatchRunResponse message;
  REQUIRE(stream->Read(&message));
  while (stream->Read(&message)) {
  }
  CHECK(stream->Finish().error_code() == StatusCode::UNAUTHENTICATED);
}

TEST_CASE(
    "Rights: a wrong old password, a false refresh token and asking for another's are audited",
    "[integration]") {
  People people;
  const std::string bearer = "Bearer " + people.LogIn("member");
  const auto context = [&] {
    auto made = std::make_unique<grpc::ClientContext>();
    made->AddMetadata("authorization", bearer);
    return made;
  };
  v1::ChangePasswordRequest change;
  change.set_old_password("not the password");
  change.set_new_password("another good password");
  v1::ChangePasswordResponse changed;
  CHECK(people.sessions->ChangePassword(context().get(), change, &changed).error_code() ==
        StatusCode::PERMISSION_DENIED);
  v1::RefreshRequest refresh;
  refresh.set_refresh_token("slr_nothing");
  v1::LoginResponse tokens;
  CHECK(people.sessions->Refresh(context().get(), refresh, &tokens).error_code() ==
        StatusCode::UNAUTHENTICATED);
  v1::ListLoginsRequest list;
  list.set_account("outsider");
  v1::ListLoginsResponse logins;
  CHECK(people.sessions->ListLogins(context().get(), list, &logins).error_code() ==
        StatusCode::PERMISSION_DENIED);
  const auto entered = [&] {
    const auto rows = RunSql(people.farm.options().database_url,
                             "SELECT actor || ' ' || action || ' ' || reason FROM audit WHERE "
                             "reason <> '' ORDER BY 1");
    REQUIRE_OK(rows);
    return *rows;
  };
  REQUIRE(WaitUntil([&] { return entered().size() == 3; }));
  CHECK(entered() == TextRows{{"member administer ADMIN_ONLY"},
                              {"member set_password WRONG_PASSWORD"},
                              {"stranger refresh BAD_REFRESH"}});
}

TEST_CASE("Rights: 10,000 wrong logins are answered fast and keep nobody else out",
          "[integration]") {
  People people;
  std::map<StatusCode, int> answers;
  for (int i = 0; i < 10'000; ++i) {
    v1::LoginRequest request;
    request.set_account("nobody-" + std::to_string(i % 50));
    request.set_password("a wild guess");
    v1::LoginResponse response;
    grpc::ClientContext context;
    ++answers[people.sessions->Login(&context, request, &response).error_code()];
  }
  CHECK(answers[StatusCode::UNAUTHENTICATED] > 0);
  CHECK(answers[StatusCode::RESOURCE_EXHAUSTED] > 9'000);
  CHECK(answers.size() == 2);
  CHECK_OK(people.farm.client().GetFarm());
}

}  // namespace
}  // namespace slipway::testing
