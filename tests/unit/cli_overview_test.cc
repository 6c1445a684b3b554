#include <catch2/catch.hpp>
#include <string>

#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/cli/render_overview.h"

namespace slipway::cli {
namespace {

using Catch::Contains;

View PlainView(Language language = Language::kEnglish) {
  return {Text(language), Style(false), WallTime(std::chrono::seconds(1'700'000'100))};
}

v1::ListVersionsResponse TwoVersions() {
  v1::ListVersionsResponse response;
  response.mutable_repository()->mutable_fetched_at()->set_seconds(1'700'000'000);
  v1::Version& tag = *response.add_versions();
  tag.set_name("v1.4");
  tag.set_kind(v1::VERSION_KIND_TAG);
  tag.set_commit(std::string(40, 'c'));
  tag.set_subject("Fix the cart");
  tag.set_author("Wang Wei");
  v1::BuiltVersion& built = *tag.add_built();
  built.set_platform("weixin");
  built.set_version("1.4.0");
  v1::Version& branch = *response.add_versions();
  branch.set_name("main");
  branch.set_kind(v1::VERSION_KIND_BRANCH);
  branch.set_is_default(true);
  return response;
}

TEST_CASE("RenderVersions: a line says what a version is and what is built of it", "[unit][cli]") {
  v1::ListVersionsResponse response = TwoVersions();
  const std::string text = RenderVersions(response, PlainView());
  CHECK_THAT(text, Contains("v1.4") && Contains("tag") && Contains("cccccccccccc ") &&
                       Contains("Wang Wei") && Contains("weixin 1.4.0") &&
                       Contains("Fix the cart") && Contains("main *"));
  CHECK_THAT(text, !Contains("more"));
  response.set_next_page_token("x");
  CHECK_THAT(RenderVersions(response, PlainView()), Contains("--limit N"));
  CHECK_THAT(RenderVersions(TwoVersions(), PlainView(Language::kChinese)), Contains("标签"));
}

TEST_CASE("RenderVersions: no versions, or none that are known", "[unit][cli]") {
  v1::ListVersionsResponse response;
  CHECK_THAT(RenderVersions(response, PlainView()), Contains("being read"));
  response.mutable_repository()->mutable_fetched_at()->set_seconds(1);
  CHECK_THAT(RenderVersions(response, PlainView()), Contains("no versions"));
  // What is wrong is told beside it.
  response.mutable_repository()->mutable_problem()->set_message("gone");
  CHECK(RenderVersions(response, PlainView()).empty());
  *response.mutable_repository()->mutable_problem() = rpc::ToCallError(
      MakeError(absl::StatusCode::kUnavailable, "REPOSITORY_UNREACHABLE", "cannot fetch x"));
  CHECK_THAT(RenderRepositoryProblem(response.repository(), PlainView()),
             Contains("cannot fetch x"));
}

TEST_CASE("RenderOverview: what one may do, where, and what keeps one from it", "[unit][cli]") {
  v1::Overview overview;
  CHECK_THAT(RenderOverview(overview, PlainView()), Contains("no applications"));
  v1::ApplicationOverview& shop = *overview.add_applications();
  shop.set_name("shop");
  shop.add_platforms()->set_name("weixin");
  shop.mutable_repository()->set_fetching(true);
  shop.add_allowed_actions()->set_operation(v1::OPERATION_VIEW);
  v1::AllowedAction& package = *shop.add_allowed_actions();
  package.set_operation(v1::OPERATION_PACKAGE);
  *package.mutable_blocked() = rpc::ToCallError(
      MakeError(absl::StatusCode::kUnavailable, "NO_AGENT_READY", "no agent is there"));
  v1::AllowedAction& publish = *shop.add_allowed_actions();
  publish.set_operation(v1::OPERATION_PUBLISH);
  publish.set_environment("test");
  v1::PublishTarget& target = *publish.add_targets();
  target.set_name("weixin-test");
  target.set_platform("weixin");
  *shop.add_versions() = TwoVersions().versions(0);
  const std::string text = RenderOverview(overview, PlainView());
  CHECK_THAT(text, Contains("shop\n") && Contains("package (not now: no agent is there)") &&
                       Contains("publish [test] → weixin/weixin-test") &&
                       Contains("not read yet, being read") && Contains("v1.4"));
  CHECK_THAT(text, !Contains("view"));
}

}  // namespace
}  // namespace slipway::cli
