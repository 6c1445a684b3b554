// Products of versions that are packaged again and again come back without a build.
#include <catch2/catch.hpp>
#include <string>

#include "tests/integration/channel_shop.h"
#include "tests/support/postgres_fixture.h"

namespace slipway::testing {
namespace {

using Catch::Contains;

const std::string kCommit(40, 'c');

v1::SubmitRunRequest Wanted() {
  v1::SubmitRunRequest request = SubmitOf("shop", false);
  static int number = 0;
  request.set_request_id("hot-" + std::to_string(++number));
  request.set_ref(kCommit);
  return request;
}

class HotShop : public Shop {
 public:
  // Submits it and builds it if anybody has to; the build as it was answered.
  v1::Task Package(const v1::SubmitRunRequest& request, const std::string& credential = "",
                   const std::string& image = "", const std::string& prepared_of = "") {
    const auto submitted = farm().client().Submit(request);
    REQUIRE_OK(submitted);
    if (submitted->tasks(0).state() == v1::TASK_STATE_SUCCEEDED) return submitted->tasks(0);
    const auto start = agent().WaitStart();
    REQUIRE(start);
    REQUIRE_OK(agent().AppendLog(start->key, "a log\n"));
    const auto uploaded = agent().Upload(start->key, product());
    REQUIRE_OK(uploaded);
    protocol::AttemptResult result = BuildResult("a log\n", uploaded->manifest, credential);
    if (!image.empty()) result.build->image_digest = image;
    if (!prepared_of.empty()) {
      result.build->base_image = result.build->image;
      result.build->base_image_digest = prepared_of;
      result.build->image = "slipway-prepared/app:0123";
    }
    for (const auto& [name, value] : request.parameters()) {
      result.build->parameters[name] = value;
    }
    REQUIRE(agent().Report(start->key, result));
    REQUIRE(agent().WaitForgotten(start->key));
    const auto task = farm().client().GetTask(submitted->tasks(0).id());
    REQUIRE_OK(task);
    REQUIRE(task->state() == v1::TASK_STATE_SUCCEEDED);
    return *task;
  }
  // Packaged so often that the next time is one of many.
  v1::Task MakeHot(const std::string& credential = "") {
    v1::Task last;
    for (int i = 0; i < 4; ++i) {
      last = Package(Wanted(), credential);
      CHECK(last.result().build().same_as().empty());
    }
    return last;
  }
};

bool IsHot(const v1::Task& task) { return !task.result().build().same_as().empty(); }

TEST_CASE("Hot cache: a version that was packaged more often than the threshold needs no build",
          "[integration]") {
  HotShop shop;
  const v1::Task last = shop.MakeHot();
  const auto submitted = shop.farm().client().Submit(Wanted());
  REQUIRE_OK(submitted);
  REQUIRE(submitted->tasks_size() == 1);
  const v1::Task& hot = submitted->tasks(0);
  REQUIRE(hot.state() == v1::TASK_STATE_SUCCEEDED);
  CHECK(hot.result().build().same_as() == last.id());
  CHECK(hot.result().build().manifest() == last.result().build().manifest());
  CHECK(hot.result().build().commit() == kCommit);

  // It is a build like any other: listed, watched, archived, taken by the next.
  const auto watched = shop.farm().client().Watch(submitted->run());
  REQUIRE_OK(watched);
  REQUIRE(watched->tasks_size() == 1);
  CHECK(watched->tasks(0).state() == v1::TASK_STATE_SUCCEEDED);
  CHECK(shop.farm().client().GetTask(hot.id())->result().build().same_as() == last.id());
  const auto archived = shop.farm().client().GetArchived(hot.id());
  REQUIRE_OK(archived);
  CHECK(archived->manifest() == last.result().build().manifest());
  CHECK(shop.Package(Wanted()).result().build().same_as() == last.id());
  CHECK_THAT(shop.Get("/metrics").body,
             Contains("slipway_hot_cache_lookups_total{found=\"hit\"} 2") &&
                 Contains("slipway_hot_cache_lookups_total{found=\"cold\"} 4"));
  const auto audit =
      RunSql(shop.farm().options().database_url, "SELECT entry FROM audit ORDER BY sequence DESC");
  REQUIRE_OK(audit);
  CHECK_THAT(audit->front().front(), Contains("at hand weixin"));
}

TEST_CASE("Hot cache: the same request is the same run, hot or not", "[integration]") {
  HotShop shop;
  const v1::SubmitRunRequest first = Wanted();
  const v1::Task built = shop.Package(first);
  for (int i = 0; i < 3; ++i) CHECK_FALSE(IsHot(shop.Package(Wanted())));
  const auto again = shop.farm().client().Submit(first);
  REQUIRE_OK(again);
  CHECK(again->tasks(0).id() == built.id());
  const v1::SubmitRunRequest hot = Wanted();
  const auto once = shop.farm().client().Submit(hot);
  const auto twice = shop.farm().client().Submit(hot);
  REQUIRE_OK(once);
  REQUIRE_OK(twice);
  CHECK(once->run() == twice->run());
  CHECK(once->tasks(0).id() == twice->tasks(0).id());
}

TEST_CASE("Hot cache: whatever the product depends on must be the same", "[integration]") {
  HotShop shop;
  (void)shop.MakeHot();
  v1::SubmitRunRequest other = Wanted();
  SECTION("another version") { other.set_version("9.9.9"); }
  SECTION("another description") { other.set_description("which the script may read"); }
  SECTION("another parameter") { (*other.mutable_parameters())["entry"] = "src/b.js"; }
  SECTION("other agents") { (*other.mutable_requirements())["executor"] = "docker"; }
  SECTION("a branch, which may be anything by now") { other.set_ref("main"); }
  SECTION("somebody wants it built") { other.set_no_cache(true); }
  if (other.requirements().empty()) {
    CHECK_FALSE(IsHot(shop.Package(other)));
  } else {
    // What is the default when nothing is said.
    CHECK(IsHot(shop.Package(other)));
  }
  CHECK(IsHot(shop.Package(Wanted())));
}

TEST_CASE("Hot cache: a product with other parameters is at hand once it was built",
          "[integration]") {
  HotShop shop;
  (void)shop.MakeHot();
  v1::SubmitRunRequest blue = Wanted();
  (*blue.mutable_parameters())["entry"] = "src/blue.js";
  const v1::Task built = shop.Package(blue);
  CHECK_FALSE(IsHot(built));
  v1::SubmitRunRequest again = Wanted();
  *again.mutable_parameters() = blue.parameters();
  const v1::Task hot = shop.Package(again);
  CHECK(hot.result().build().same_as() == built.id());
  CHECK(hot.result().build().parameters().at("entry") == "src/blue.js");
}

TEST_CASE("Hot cache: what was built in another image than its name stands for is built anew",
          "[integration]") {
  HotShop shop;
  (void)shop.MakeHot();
  v1::SubmitRunRequest main = Wanted();
  main.set_ref("main");
  (void)shop.Package(main, "", "sha256:" + std::string(64, '2'));
  // The branch led to the same commit, so that a product of the new image is there, but for the
  // one that is asked for.
  v1::SubmitRunRequest versioned = Wanted();
  versioned.set_version("1.0.0");
  CHECK_FALSE(IsHot(shop.Package(versioned, "", "sha256:" + std::string(64, '3'))));
  CHECK_FALSE(IsHot(shop.Package(Wanted(), "", "sha256:" + std::string(64, '3'))));
  CHECK(IsHot(shop.Package(Wanted())));
}

TEST_CASE("Hot cache: images that agents prepared of the same builder image are the same",
          "[integration]") {
  HotShop shop;
  for (int i = 0; i < 4; ++i) {
    // Each agent has made its own.
    CHECK_FALSE(IsHot(shop.Package(Wanted(), "", "sha256:" + std::to_string(i), "sha256:old")));
  }
  CHECK(IsHot(shop.Package(Wanted())));
  // Another one is behind that name now.
  v1::SubmitRunRequest versioned = Wanted();
  versioned.set_version("1.0.0");
  CHECK_FALSE(IsHot(shop.Package(versioned, "", "sha256:9", "sha256:new")));
  CHECK_FALSE(IsHot(shop.Package(Wanted(), "", "sha256:9", "sha256:new")));
  CHECK(IsHot(shop.Package(Wanted())));
}

TEST_CASE("Hot cache: a version cools down when its packagings leave the window", "[integration]") {
  HotShop shop;
  (void)shop.MakeHot();
  CHECK(IsHot(shop.Package(Wanted())));
  const std::string database = shop.farm().options().database_url;
  REQUIRE_OK(RunSql(database,
                    "UPDATE packagings SET packaged_at = packaged_at - interval '25 hours' "
                    "WHERE task_id IN (SELECT task_id FROM packagings LIMIT 2)"));
  CHECK_FALSE(IsHot(shop.Package(Wanted())));
  // Four again.
  CHECK(IsHot(shop.Package(Wanted())));
}

TEST_CASE("Hot cache: a product that is not archived any more is built", "[integration]") {
  HotShop shop;
  (void)shop.MakeHot();
  const std::string database = shop.farm().options().database_url;
  REQUIRE_OK(RunSql(database, "DELETE FROM artifacts"));
  CHECK_FALSE(IsHot(shop.Package(Wanted())));
}

TEST_CASE("Hot cache: channels get what is at hand at once, and a platform what has a credential",
          "[integration]") {
  HotShop shop;
  shop.AddPage();
  const v1::Task last = shop.MakeHot();
  v1::SubmitRunRequest request = Wanted();
  request.add_channels()->set_channel("page");
  const auto submitted = shop.farm().client().Submit(request);
  REQUIRE_OK(submitted);
  const auto watched = shop.farm().client().Watch(submitted->run());
  REQUIRE_OK(watched);
  REQUIRE(watched->tasks_size() == 2);
  CHECK(IsHot(watched->tasks(0)));
  CHECK(watched->tasks(1).state() == v1::TASK_STATE_SUCCEEDED);
  CHECK_FALSE(watched->tasks(1).release().empty());

  // None of the builds had one.
  v1::SubmitRunRequest publish = Wanted();
  publish.set_publish(true);
  CHECK_FALSE(IsHot(shop.Package(publish, "sealed")));
  const auto first_publish = shop.agent().WaitStart();
  REQUIRE(first_publish);
  REQUIRE(shop.agent().Report(first_publish->key, PublishResult("")));
  publish.set_request_id("hot-publish");
  const auto again = shop.farm().client().Submit(publish);
  REQUIRE_OK(again);
  CHECK(IsHot(again->tasks(0)));
  const auto second_publish = shop.agent().WaitStart();
  REQUIRE(second_publish);
  CHECK(second_publish->spec.has_publish());
  CHECK(second_publish->spec.publish().manifest() == last.result().build().manifest());
}

TEST_CASE("Hot cache: other people's rights are their own", "[integration]") {
  HotShop shop;
  (void)shop.MakeHot();
  REQUIRE_OK(shop.farm().client().CreateApplication("other"));
  v1::SubmitRunRequest other = Wanted();
  other.set_application("other");
  // The same commit of another application is another version.
  CHECK_FALSE(IsHot(shop.Package(other)));
}

TEST_CASE("Hot cache: it is as hot after a restart, unless it was switched off", "[integration]") {
  HotShop shop;
  const v1::Task last = shop.MakeHot();
  shop.farm().Stop();
  shop.farm().options().hot.on = GENERATE(true, false);
  shop.farm().Start();
  REQUIRE(shop.agent().Reconnect());
  const v1::Task next = shop.Package(Wanted());
  CHECK(IsHot(next) == shop.farm().options().hot.on);
}

TEST_CASE("Hot cache: a threshold of none makes the second packaging hot", "[integration]") {
  HotShop shop;
  shop.farm().Stop();
  shop.farm().options().hot.more_than = 0;
  shop.farm().Start();
  REQUIRE(shop.agent().Reconnect());
  CHECK_FALSE(IsHot(shop.Package(Wanted())));
  CHECK(IsHot(shop.Package(Wanted())));
}

TEST_CASE("Hot cache: who submits a run again wants a build", "[integration]") {
  HotShop shop;
  (void)shop.MakeHot();
  const v1::Task hot = shop.Package(Wanted());
  REQUIRE(IsHot(hot));
  v1::SubmitAgainRequest request;
  request.set_request_id("again");
  request.set_run(hot.run());
  v1::SubmitAgainResponse again;
  const auto context = shop.farm().client().Context();
  REQUIRE(shop.farm().client().tasks().SubmitAgain(context.get(), request, &again).ok());
  REQUIRE(again.runs_size() == 1);
  CHECK_FALSE(IsHot(again.runs(0).run().tasks(0)));
}

}  // namespace
}  // namespace slipway::testing
