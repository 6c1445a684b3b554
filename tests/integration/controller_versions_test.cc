#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "common/status/remedies.h"
#include "tests/integration/overview_world.h"
#include "tests/support/silent_server.h"
#include "tests/support/status_matchers.h"
#include "tests/support/wait_until.h"

namespace slipway::testing {
namespace {

std::vector<std::string> NamesOf(const v1::ListVersionsResponse& response) {
  std::vector<std::string> names;
  for (const v1::Version& version : response.versions()) names.push_back(version.name());
  return names;
}

TEST_CASE("Versions: versions of a repository, with what is built of them", "[integration]") {
  OverviewWorld f;
  f.git.Write("slipway.yaml", kProject);
  const std::string commit = f.git.Commit("first\n\nwith a body");
  f.git.Git({"tag", "v1"});
  f.AddApplication("shop", f.git.path());

  FakeAgent agent(f.farm.Join("builder"), 2);
  REQUIRE(agent.Reconnect());
  const auto submitted = f.farm.client().Submit(SubmitOf("shop", false));
  REQUIRE_OK(submitted);
  const auto start = agent.WaitStart();
  REQUIRE(start);
  REQUIRE_OK(agent.AppendLog(start->key, "a log\n"));
  WriteFile(f.temp.path() + "/product/index.html", "hello\n");
  const auto uploaded = agent.Upload(start->key, f.temp.path() + "/product");
  REQUIRE_OK(uploaded);
  protocol::AttemptResult result = BuildResult("a log\n", uploaded->manifest);
  result.build->commit = commit;
  REQUIRE(agent.Report(start->key, result));
  REQUIRE_OK(f.farm.client().Watch(submitted->run()));

  const auto listed = f.ListOf("shop");
  CHECK(NamesOf(listed) == std::vector<std::string>{"v1", "main"});
  CHECK(listed.total() == 2);
  CHECK(listed.repository().has_fetched_at());
  CHECK_FALSE(listed.repository().has_problem());
  const v1::Version& tag = listed.versions(0);
  CHECK(tag.kind() == v1::VERSION_KIND_TAG);
  CHECK(tag.commit() == commit);
  CHECK(tag.subject() == "first");
  CHECK(tag.message() == "first\n\nwith a body");
  CHECK(tag.author() == "A");
  CHECK_FALSE(tag.is_default());
  CHECK(listed.versions(1).is_default());
  REQUIRE(tag.built_size() == 1);
  CHECK(tag.built(0).platform() == "weixin");
  CHECK(tag.built(0).task() == submitted->tasks(0).id());
  CHECK(tag.built(0).run() == submitted->run());
  CHECK(tag.built(0).version() == "1.2.3");

  f.git.Commit("second");
  const auto overview = f.OverviewAs(f.farm.client().Context());
  REQUIRE(overview.applications_size() == 1);
  REQUIRE(overview.applications(0).versions_size() > 0);
  CHECK(overview.applications(0).versions(0).built(0).task() == submitted->tasks(0).id());
}

TEST_CASE("Versions: versions are filtered by kind and text, and come in pages", "[integration]") {
  OverviewWorld f;
  f.git.Commit("Fix the Cart");
  for (const char* tag : {"v1", "v2", "v3"}) f.git.Git({"tag", tag});
  f.git.Git({"branch", "feature/login"});
  f.AddApplication("shop", f.git.path());

  v1::ListVersionsRequest request;
  request.set_application("shop");
  request.set_kind(v1::VERSION_KIND_BRANCH);
  CHECK(NamesOf(*f.List(request)) == std::vector<std::string>{"feature/login", "main"});
  request.set_match("LOGIN");
  CHECK(NamesOf(*f.List(request)) == std::vector<std::string>{"feature/login"});
  request.set_match("the cart");
  CHECK(f.List(request)->total() == 2);

  request = {};
  request.set_application("shop");
  request.set_page_size(2);
  std::vector<std::string> seen;
  for (int page = 0; page < 3; ++page) {
    const auto listed = f.List(request);
    REQUIRE_OK(listed);
    CHECK(listed->total() == 5);
    for (const std::string& name : NamesOf(*listed)) seen.push_back(name);
    CHECK(listed->next_page_token().empty() == (page == 2));
    request.set_page_token(listed->next_page_token());
  }
  CHECK(seen == std::vector<std::string>{"v1", "v2", "v3", "feature/login", "main"});
  for (const char* token : {"x", "1.t", "1.x.00", "1.t.0", "1.t.zz", "99999999999999999999.t.00",
                            "9223372036854775807.t.00"}) {
    request.set_page_token(token);
    CHECK_THAT(f.List(request).status(),
               StatusIs(absl::StatusCode::kInvalidArgument, "BAD_PAGE_TOKEN"));
  }
  request = {};
  request.set_application("nope");
  CHECK_THAT(f.List(request).status(),
             StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_APPLICATION"));
  request.set_application("shop");
  request.set_page_size(1001);
  CHECK_THAT(f.List(request).status(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD"));
}

TEST_CASE("Versions: hostile names and messages come as text that does nothing", "[integration]") {
  OverviewWorld f;
  f.git.Commit("pay\xE2\x80\xAEload \x1b[2J \xE2\x80\x8B done");
  f.git.Git({"branch",
             "good\xE2\x80\xAE"
             "gpj.exe"});
  f.git.Git({"branch", "latin-\xff"});
  f.AddApplication("shop", f.git.path());
  const auto listed = f.ListOf("shop");
  CHECK(NamesOf(listed) == std::vector<std::string>{"good?gpj.exe", "latin-?", "main"});
  CHECK(listed.versions(0).subject() == "pay?load ?[2J ? done");
}

TEST_CASE("Versions: a repository that cannot be reached is told, with what is known of it",
          "[integration]") {
  OverviewWorld f;
  const std::string commit = f.git.Commit("first");
  f.AddApplication("shop", f.git.path());
  f.AddApplication("lost", f.temp.path() + "/nowhere");
  const auto lost = f.ListOf("lost");
  CHECK(lost.versions().empty());
  CHECK_FALSE(lost.repository().has_fetched_at());
  const absl::Status problem = rpc::FromCallError(lost.repository().problem());
  CHECK_THAT(problem, StatusIs(absl::StatusCode::kUnavailable, "REPOSITORY_UNREACHABLE"));
  CHECK_FALSE(GetRemedyZh(problem).empty());

  REQUIRE(f.ListOf("shop").versions_size() == 1);
  std::filesystem::rename(f.git.path(), f.git.path() + ".away");
  f.farm.Stop();
  f.farm.Start();
  f.overviews = v1::OverviewService::NewStub(f.farm.client().channel());
  const auto stale = f.ListOf("shop");
  REQUIRE(stale.versions_size() == 1);
  CHECK(stale.versions(0).commit() == commit);
  CHECK(stale.repository().has_fetched_at());
  CHECK(stale.repository().has_problem());
}

TEST_CASE("Versions: many calls for one repository are all answered", "[integration]") {
  OverviewWorld f;
  f.git.Commit("first");
  f.AddApplication("shop", f.git.path());
  constexpr int kCalls = 200;
  struct Call {
    std::unique_ptr<grpc::ClientContext> context;
    v1::ListVersionsRequest request;
    v1::ListVersionsResponse response;
  };
  std::vector<Call> calls(kCalls);
  std::atomic<int> good = 0;
  std::atomic<int> answered = 0;
  for (Call& call : calls) {
    call.context = f.farm.client().Context();
    call.request.set_application("shop");
    f.overviews->async()->ListVersions(call.context.get(), &call.request, &call.response,
                                       [&](const grpc::Status& status) {
                                         if (status.ok() && call.response.versions_size() == 1)
                                           ++good;
                                         ++answered;
                                       });
  }
  REQUIRE(WaitUntil([&] { return answered == kCalls; }));
  CHECK(good == kCalls);
}

TEST_CASE("Versions: who leaves while a repository is read leaves nothing behind",
          "[integration]") {
  SilentServer silent;
  OverviewWorld f([](controller::Options& options) {
    options.repositories.mirrors.allowed_schemes.insert("http");
  });
  f.AddApplication("slow", silent.url());
  auto context = f.farm.client().Context();
  v1::ListVersionsRequest request;
  request.set_application("slow");
  v1::ListVersionsResponse response;
  std::atomic<bool> ended = false;
  f.overviews->async()->ListVersions(context.get(), &request, &response,
                                     [&](const grpc::Status&) { ended = true; });
  REQUIRE(WaitUntil([&] {
    const auto overview = f.OverviewAs(f.farm.client().Context());
    return overview.applications(0).repository().fetching();
  }));
  context->TryCancel();
  REQUIRE(WaitUntil([&] { return ended.load(); }));
  f.farm.Stop();
}

}  // namespace
}  // namespace slipway::testing
