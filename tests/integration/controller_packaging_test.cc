// Packages as the submit says, webhooks, robots, pages with a password, and where codes lead.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <string>

#include "common/crypto/hash.h"
#include "tests/integration/channel_shop.h"
#include "tests/support/hook_server.h"

namespace slipway::testing {
namespace {

using Catch::Contains;

v1::Target Hook(const std::string& platform, const std::string& url) {
  v1::Target target;
  target.set_platform(platform);
  target.set_name("qa");
  target.mutable_channel()->set_url(url);
  target.mutable_channel()->set_plain(true);
  return target;
}

void SetSecret(Shop& shop, const std::string& platform, const std::string& secret) {
  v1::SetTargetSecretRequest request;
  request.set_platform(platform);
  request.set_name("qa");
  request.set_secret(secret);
  v1::Target changed;
  auto context = shop.farm().client().Context();
  const grpc::Status status =
      shop.farm().client().catalog().SetTargetSecret(context.get(), request, &changed);
  INFO(status.error_message());
  REQUIRE(status.ok());
}

// The exit code of a shell's command.
int Shell(const std::string& command) {
  INFO(command);
  return std::system(command.c_str());
}

TEST_CASE("Packaging: a webhook gets a signed post, and the run a release", "[integration]") {
  Shop shop;
  HookServer server;
  REQUIRE_OK(shop.farm().client().CreateTarget(Hook("webhook", server.url() + "/in")));
  // Whoever takes posts has to be able to tell whose they are.
  const auto without = shop.Run(Shop::Request({"webhook/qa"}));
  CHECK(without[1].result().failure().reason() == "CHANNEL_SECRET_MISSING");
  CHECK(server.Posts().empty());

  SetSecret(shop, "webhook", "a key of sixteen bytes");
  v1::SubmitRunRequest again = Shop::Request({"webhook/qa"});
  again.set_request_id("again");
  const auto tasks = shop.Run(again);
  INFO(tasks[1].ShortDebugString() << shop.Log(tasks[1].id()));
  REQUIRE(tasks[1].state() == v1::TASK_STATE_SUCCEEDED);
  REQUIRE(server.Posts().size() == 1);
  const TakenPost post = server.Posts()[0];
  CHECK(post.path == "/in");
  CHECK(post.Header("webhook-id") == tasks[1].id());
  CHECK(post.Json().at("build_task").as_string() == tasks[0].id().c_str());
  CHECK(shop.Get(Shop::PathOf(std::string(post.Json().at("link").as_string()))).status == 200);
  CHECK_FALSE(tasks[1].release().empty());
  // One after the other, as many as are submitted.
  again.set_request_id("and again");
  CHECK(shop.Run(again)[1].state() == v1::TASK_STATE_SUCCEEDED);
  CHECK(server.Posts().size() == 2);
}

TEST_CASE("Packaging: a robot that answers 200 with an error has refused", "[integration]") {
  Shop shop;
  HookServer server;
  REQUIRE_OK(shop.farm().client().CreateTarget(Hook("wecom", server.url())));
  SetSecret(shop, "wecom", "the-key");
  server.Answer("200 {\"errcode\":93000,\"errmsg\":\"invalid webhook url the-key\"}\n");
  const auto tasks = shop.Run(Shop::Request({"wecom"}));
  CHECK(tasks[1].state() == v1::TASK_STATE_FAILED);
  const auto& failure = tasks[1].result().failure();
  CHECK(failure.failure_class() == v1::FAILURE_CLASS_PLATFORM_REFUSED);
  CHECK(failure.reason() == "POST_REFUSED");
  CHECK_THAT(failure.tool_words(), Contains("invalid webhook url") && !Contains("the-key"));
  CHECK_FALSE(failure.remedy_zh().empty());
  CHECK(server.Posts().at(0).path == "/?key=the-key");
}

TEST_CASE("Packaging: a post whose fate nobody knows is unknown, and keeps no other back",
          "[integration]") {
  Shop shop;
  HookServer server;
  REQUIRE_OK(shop.farm().client().CreateTarget(Hook("feishu", server.url() + "/hook")));
  SetSecret(shop, "feishu", "k:signing");
  server.Answer("drop\n200 {\"code\":0}\n");
  const auto tasks = shop.Run(Shop::Request({"feishu/qa"}));
  CHECK(tasks[1].state() == v1::TASK_STATE_UNKNOWN);
  CHECK(tasks[1].result().failure().reason() == "POST_IN_DOUBT");
  v1::SubmitRunRequest again = Shop::Request({"feishu/qa"});
  again.set_request_id("again");
  CHECK(shop.Run(again)[1].state() == v1::TASK_STATE_SUCCEEDED);
}

TEST_CASE("Packaging: a package is made in the form and for whom the submit says",
          "[integration]") {
  Shop shop;
  shop.AddPage();
  v1::SubmitRunRequest request = Shop::Request({"page"});
  v1::Packaging& packaging = *request.mutable_packaging();
  packaging.set_form(v1::PACKAGE_FORM_TAR_GZ);
  packaging.mutable_encryption()->set_cipher(v1::PACKAGE_CIPHER_AES_256_GCM);
  packaging.mutable_encryption()->set_password("a long secret word");
  const auto tasks = shop.Run(request);
  INFO(tasks[1].ShortDebugString());
  REQUIRE(tasks[1].state() == v1::TASK_STATE_SUCCEEDED);
  const std::string path = Shop::PathOf(tasks[1].result().publish().link());
  CHECK_THAT(shop.Get(path).body, Contains("aes-256-gcm") && Contains("openssl cms -decrypt"));
  const HttpAnswer file = shop.Get(path + "/file");
  CHECK(file.Get("content-disposition") == "attachment; filename=\"shop-weixin-1.2.3.tar.gz.cms\"");
  const TempDir dir;
  WriteFile(dir / "package", file.body);
  CHECK(Shell("openssl cms -decrypt -inform DER -in " + (dir / "package") +
              " -pwri_password 'a long secret word' -out " + (dir / "open") + " && tar -xzf " +
              (dir / "open") + " -C " + dir.path() + " && grep -q xxx " +
              (dir / "pages/index.js")) == 0);
  // One byte is changed in the middle of the content.
  std::string changed = file.body;
  changed[changed.size() / 2] ^= 1;
  WriteFile(dir / "changed", changed);
  CHECK(Shell("openssl cms -decrypt -inform DER -in " + (dir / "changed") +
              " -pwri_password 'a long secret word' -out /dev/null 2>/dev/null") != 0);
  // The password is in the database, but nobody reads it there.
  for (const char* table : {"runs", "audit", "release_pages"}) {
    const auto rows =
        RunSql(shop.farm().options().database_url, fmt::format("SELECT t::text FROM {} t", table));
    REQUIRE_OK(rows);
    for (const auto& row : *rows) CHECK_THAT(row.at(0), !Contains("secret word"));
  }
}

TEST_CASE("Packaging: what cannot be packed so is refused with the submit", "[integration]") {
  Shop shop;
  shop.AddPage();
  const auto refusal = [&](const v1::SubmitRunRequest& request) {
    return std::string(shop.farm().client().Submit(request).status().message());
  };
  v1::SubmitRunRequest request = Shop::Request({"page"});
  request.mutable_packaging()->mutable_encryption()->set_password("short");
  CHECK_THAT(refusal(request), Contains("password"));
  request.mutable_packaging()->mutable_encryption()->set_password("long enough a word");
  request.mutable_packaging()->mutable_encryption()->add_recipients("no certificate");
  CHECK_FALSE(refusal(request).empty());
  request = Shop::Request({"page"});
  request.mutable_packaging()->set_page_password("12345");
  CHECK_THAT(refusal(request), Contains("page_password"));
  request = Shop::Request({});
  request.mutable_packaging()->set_form(v1::PACKAGE_FORM_ZIP);
  CHECK_THAT(refusal(request), Contains("packaging"));
}

TEST_CASE("Packaging: several channels of the same product share one file", "[integration]") {
  Shop shop;
  shop.AddPage();
  v1::Target second;
  second.set_platform("page");
  second.set_name("second");
  second.mutable_channel();
  REQUIRE_OK(shop.farm().client().CreateTarget(second));
  const auto tasks = shop.Run(Shop::Request({"page", "page/second"}));
  REQUIRE(tasks[1].state() == v1::TASK_STATE_SUCCEEDED);
  REQUIRE(tasks[2].state() == v1::TASK_STATE_SUCCEEDED);
  const auto files = RunSql(shop.farm().options().database_url,
                            "SELECT count(*), count(DISTINCT file) FROM release_pages");
  REQUIRE_OK(files);
  CHECK(files->at(0) == std::vector<std::string>{"2", "1"});
  CHECK(shop.Get(Shop::PathOf(tasks[1].result().publish().link()) + "/file").body ==
        shop.Get(Shop::PathOf(tasks[2].result().publish().link()) + "/file").body);
}

TEST_CASE("Packaging: a page with a password shows nothing before it", "[integration]") {
  Shop shop;
  shop.AddPage();
  v1::SubmitRunRequest request = Shop::Request({"page"});
  request.mutable_packaging()->set_page_password("open 你好 &+%");
  const auto tasks = shop.Run(request);
  REQUIRE(tasks[1].state() == v1::TASK_STATE_SUCCEEDED);
  const std::string path = Shop::PathOf(tasks[1].result().publish().link());
  for (const char* below : {"", "/file"}) {
    const HttpAnswer closed = shop.Get(path + below);
    CHECK(closed.status == 401);
    CHECK_THAT(closed.body, Contains("type=\"password\"") && !Contains("1.2.3"));
  }
  CHECK(shop.Get(path, "POST", {}, "password=wrong").status == 403);
  CHECK(shop.Get(path, "POST", {}, "").status == 403);
  const HttpAnswer open =
      shop.Get(path, "POST", {}, "password=open+%E4%BD%A0%E5%A5%BD+%26%2B%25&x=y");
  CHECK(open.status == 303);
  CHECK(open.Get("location") == "https://farm.example.org" + path);
  const std::string cookie = open.Get("set-cookie");
  CHECK_THAT(cookie, Contains("HttpOnly") && Contains("SameSite=Strict") && Contains("Secure") &&
                         Contains("Path=" + path));
  const HttpHeaders visitor{{"Cookie", "a=b; " + cookie.substr(0, cookie.find(';'))}};
  CHECK_THAT(shop.Get(path, "GET", visitor).body, Contains("1.2.3"));
  CHECK(shop.Get(path + "/file", "GET", visitor).status == 200);
  CHECK(shop.Get(path, "GET", {{"Cookie", "slipway_page=" + std::string(64, '0')}}).status == 401);

  // Guessing gets slow.
  int waits = 0;
  for (int i = 0; i < 8; ++i) {
    const HttpAnswer guess = shop.Get(path, "POST", {}, "password=guess" + std::to_string(i));
    if (guess.status != 429) continue;
    ++waits;
    CHECK_FALSE(guess.Get("retry-after").empty());
  }
  CHECK(waits >= 3);
}

TEST_CASE("Packaging: a release's code leads to a page that says no more than the code",
          "[integration]") {
  Shop shop;
  shop.AddPage();
  const auto tasks = shop.Run(Shop::Request({"page"}));
  const auto archived = shop.farm().client().GetArchived(tasks[1].release());
  REQUIRE_OK(archived);
  const std::string code = archived->release().qr_text();
  const std::string base = "https://farm.example.org";
  REQUIRE(code.rfind(base + "/r/", 0) == 0);
  const HttpAnswer page = shop.Get(code.substr(base.size()));
  CHECK(page.status == 200);
  CHECK_THAT(page.body, Contains("1.2.3") && Contains("has made this release") &&
                            !Contains("/p/") && !Contains("为测试人员准备"));
  std::string forged = code.substr(base.size());
  const auto version = forged.find("1.2.3");
  REQUIRE(version != std::string::npos);
  forged.replace(version, 5, "6.6.6");
  CHECK(shop.Get(forged).status == 404);
  CHECK_THAT(shop.Get(forged).body, Contains("knows no such release"));
  CHECK(shop.Get("/r/rel-nothing").status == 404);
  CHECK(shop.Get("/r/", "POST").status == 405);
}

}  // namespace
}  // namespace slipway::testing
