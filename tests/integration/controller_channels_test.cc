// Products handed to people by the controller itself: pages and mails, from the submit to what
// somebody sees.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <string>

#include "common/crypto/hash.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "tests/integration/channel_shop.h"
#include "tests/support/mail_server.h"

namespace slipway::testing {
namespace {

using Catch::Contains;

TEST_CASE("Channels: a page offers the product to who has its address", "[integration]") {
  Shop shop;
  shop.AddPage();
  const auto tasks = shop.Run(Shop::Request({"page"}));
  REQUIRE(tasks.size() == 2);
  CHECK(tasks[1].kind() == v1::TASK_KIND_PUBLISH);
  CHECK(tasks[1].platform() == "page");
  INFO(tasks[1].ShortDebugString());
  REQUIRE(tasks[1].state() == v1::TASK_STATE_SUCCEEDED);
  const std::string path = Shop::PathOf(tasks[1].result().publish().link());

  const HttpAnswer page = shop.Get(path);
  CHECK(page.status == 200);
  CHECK(page.Get("content-type") == "text/html; charset=utf-8");
  CHECK(page.Get("referrer-policy") == "no-referrer");
  CHECK(page.Get("cache-control") == "no-store");
  CHECK_THAT(page.Get("content-security-policy"), Contains("default-src 'none'"));
  for (const char* words : {"shop", "1.2.3", "为测试人员准备", "lang=\"zh-CN\"", "下载", "<svg",
                            "pointer:coarse", "shop-weixin-1.2.3.zip"}) {
    CHECK_THAT(page.body, Contains(words));
  }
  const HttpAnswer file = shop.Get(path + "/file");
  CHECK(file.status == 200);
  CHECK(file.Get("content-disposition") == "attachment; filename=\"shop-weixin-1.2.3.zip\"");
  CHECK(file.Get("content-length") == std::to_string(file.body.size()));
  CHECK_THAT(page.body, Contains(crypto::Sha256Of(file.body).Hex()));
  CHECK(file.body.substr(0, 2) == "PK");
  CHECK(shop.Get(path + "/file", "HEAD").Get("content-length") == std::to_string(file.body.size()));

  // It is a release, of the product's platform.
  const auto archived = shop.farm().client().GetArchived(tasks[1].release());
  REQUIRE_OK(archived);
  CHECK(archived->release().platform() == "weixin");
  CHECK(archived->release().target() == "page/page");
}

TEST_CASE("Channels: nobody finds a page without its address, or after its time", "[integration]") {
  Shop shop;
  shop.AddPage();
  const auto tasks = shop.Run(Shop::Request({"page"}));
  const std::string path = Shop::PathOf(tasks[1].result().publish().link());
  std::string other = path;
  other.back() = other.back() == 'a' ? 'b' : 'a';
  for (const std::string& wrong : {other, std::string("/p/"), std::string("/p"), path + "/other",
                                   path + "/file/", path + "/../file", "/p/" + tasks[1].id()}) {
    CAPTURE(wrong);
    const HttpAnswer answer = shop.Get(wrong);
    CHECK(answer.status == 404);
    CHECK_THAT(answer.body, !Contains("1.2.3"));
  }
  CHECK(shop.Get(path, "PUT").status == 405);
  REQUIRE_OK(
      RunSql(shop.farm().options().database_url, "UPDATE release_pages SET expires_at = now()"));
  CHECK(shop.Get(path).status == 404);
  CHECK(shop.Get(path + "/file").status == 404);
}

TEST_CASE("Channels: who may publish closes a page before its time", "[integration]") {
  Shop shop;
  shop.AddPage();
  const auto tasks = shop.Run(Shop::Request({"page"}));
  const std::string path = Shop::PathOf(tasks[1].result().publish().link());
  auto& client = shop.farm().client();
  for (const std::string& wrong :
       {tasks[0].id(), std::string("task-other"), std::string("rel-x")}) {
    CAPTURE(wrong);
    CHECK(absl::IsNotFound(client.ClosePage(wrong).status()));
  }
  CHECK(shop.Get(path).status == 200);
  const auto closed = client.ClosePage(tasks[1].release());
  REQUIRE_OK(closed);
  CHECK(shop.Get(path).status == 404);
  CHECK(shop.Get(path + "/file").status == 404);
  const auto again = client.ClosePage(tasks[1].id());
  REQUIRE_OK(again);
  CHECK(again->closed_at().seconds() == closed->closed_at().seconds());
  CHECK(again->closed_at().nanos() == closed->closed_at().nanos());
}

TEST_CASE("Channels: a mail brings the package, its code and its page to everybody named",
          "[integration]") {
  Shop shop;
  MailServer server;
  shop.AddMail(server.address());
  v1::SubmitRunRequest request = Shop::Request({"email/qa"});
  request.mutable_channels(0)->add_recipients("mei@example.com");
  const auto tasks = shop.Run(request);
  REQUIRE(tasks.size() == 2);
  INFO(tasks[1].ShortDebugString() << shop.Log(tasks[1].id()));
  REQUIRE(tasks[1].state() == v1::TASK_STATE_SUCCEEDED);
  REQUIRE(server.Mails().size() == 1);
  const std::string mail = server.Mails()[0];
  CHECK_THAT(mail, Contains("X-Recipients: qa@example.com, mei@example.com") &&
                       Contains("Subject: shop 1.2.3 (weixin)") && Contains("Content-ID: <code>") &&
                       Contains("filename=\"shop-weixin-1.2.3.zip\""));
  CHECK(shop.Get(Shop::PathOf(tasks[1].result().publish().link())).status == 200);
  // The steps and the conversation, but not the address of the page.
  const std::string log = shop.Log(tasks[1].id());
  CHECK_THAT(log, Contains("== package") && Contains("== send") &&
                      Contains("> RCPT TO:<mei@example.com>") && !Contains("/p/"));
  CHECK(tasks[1].result().log().size() == log.size());
}

TEST_CASE("Channels: a package that is too large for a mail is behind its link alone",
          "[integration]") {
  Shop shop;
  MailServer server;
  v1::Target target = shop.MailTarget(server.address());
  target.mutable_channel()->set_attach_up_to(100);
  REQUIRE_OK(shop.farm().client().CreateTarget(target));
  REQUIRE(shop.Run(Shop::Request({"email"}))[1].state() == v1::TASK_STATE_SUCCEEDED);
  CHECK_THAT(server.Mails().at(0), !Contains("filename=\"shop-weixin-1.2.3.zip\""));
}

TEST_CASE("Channels: several at once, each with a state of its own", "[integration]") {
  Shop shop;
  MailServer server;
  server.SetFault("refuse-rcpt");
  shop.AddMail(server.address());
  shop.AddPage();
  const auto tasks = shop.Run(Shop::Request({"email/qa", "page"}));
  REQUIRE(tasks.size() == 3);
  CHECK(tasks[1].state() == v1::TASK_STATE_FAILED);
  CHECK(tasks[1].result().failure().failure_class() == v1::FAILURE_CLASS_PLATFORM_REFUSED);
  CHECK(tasks[1].result().failure().reason() == "MAIL_REFUSED");
  CHECK(tasks[1].result().failure().tool_words() == "550 5.1.1 qa@example.com is unknown here");
  CHECK(tasks[1].release().empty());
  CHECK(tasks[2].state() == v1::TASK_STATE_SUCCEEDED);
}

TEST_CASE("Channels: what a mail server says is text, whatever it says", "[integration]") {
  Shop shop;
  MailServer server;
  server.SetFault("refuse-odd");
  shop.AddMail(server.address());
  const auto tasks = shop.Run(Shop::Request({"email/qa"}));
  CHECK(tasks[1].state() == v1::TASK_STATE_FAILED);
  CHECK(tasks[1].result().failure().reason() == "MAIL_REFUSED");
  CHECK_THAT(tasks[1].result().failure().tool_words(), Contains("550"));
}

TEST_CASE("Channels: a mail whose answer is lost is unknown until somebody says what became of it",
          "[integration]") {
  Shop shop;
  MailServer server;
  server.SetFault("drop-data");
  shop.AddMail(server.address());
  const auto tasks = shop.Run(Shop::Request({"email/qa"}));
  CHECK(tasks[1].state() == v1::TASK_STATE_UNKNOWN);
  CHECK(tasks[1].result().failure().reason() == "MAIL_IN_DOUBT");
  CHECK(server.Mails().size() == 1);
  // The next mail does not wait for that.
  server.SetFault("");
  v1::SubmitRunRequest again = Shop::Request({"email/qa"});
  again.set_request_id("again");
  CHECK(shop.Run(again)[1].state() == v1::TASK_STATE_SUCCEEDED);
  v1::ResolvePublishRequest resolve;
  resolve.set_task(tasks[1].id());
  resolve.mutable_published();
  resolve.set_reason("qa has it");
  CHECK_OK(shop.farm().client().Resolve(resolve));
}

TEST_CASE("Channels: of a build that fails nobody hears", "[integration]") {
  Shop shop;
  MailServer server;
  shop.AddMail(server.address());
  shop.AddPage();
  const auto tasks = shop.Run(Shop::Request({"email/qa", "page"}), false);
  CHECK(tasks[1].state() == v1::TASK_STATE_SKIPPED);
  CHECK(tasks[2].state() == v1::TASK_STATE_SKIPPED);
  CHECK(server.Mails().empty());
}

TEST_CASE("Channels: the server's password is set once, shown to nobody and bound to its server",
          "[integration]") {
  Shop shop;
  const TlsAuthority authority("mail");
  MailServer server({"--login", "farm", "a secret word"}, authority.server);
  v1::Target target = shop.MailTarget(server.address());
  target.mutable_channel()->set_plain(false);
  target.mutable_channel()->set_user("farm");
  target.set_ca_pem(authority.authority);
  REQUIRE_OK(shop.farm().client().CreateTarget(target));
  const auto without = shop.Run(Shop::Request({"email/qa"}));
  CHECK(without[1].result().failure().failure_class() == v1::FAILURE_CLASS_CREDENTIAL);
  CHECK(without[1].result().failure().reason() == "CHANNEL_SECRET_MISSING");

  v1::SetTargetSecretRequest secret;
  secret.set_platform("email");
  secret.set_name("qa");
  secret.set_secret("a secret word");
  v1::Target changed;
  auto context = shop.farm().client().Context();
  REQUIRE(shop.farm().client().catalog().SetTargetSecret(context.get(), secret, &changed).ok());
  CHECK(changed.channel().has_secret());
  CHECK_THAT(changed.ShortDebugString(), !Contains("secret word"));
  const auto rows = RunSql(shop.farm().options().database_url, "SELECT t::text FROM targets t");
  REQUIRE_OK(rows);
  for (const auto& row : *rows) CHECK_THAT(row.at(0), !Contains("secret word"));
  v1::SubmitRunRequest again = Shop::Request({"email/qa"});
  again.set_request_id("again");
  const auto with = shop.Run(again);
  INFO(with[1].ShortDebugString());
  CHECK(with[1].state() == v1::TASK_STATE_SUCCEEDED);
  CHECK(server.Mails().size() == 1);

  // Another server does not get it.
  MailServer other({}, authority.server);
  changed.mutable_channel()->set_url("smtp://" + other.address());
  v1::UpdateTargetRequest update;
  *update.mutable_target() = changed;
  update.mutable_target()->clear_etag();
  context = shop.farm().client().Context();
  REQUIRE(shop.farm().client().catalog().UpdateTarget(context.get(), update, &changed).ok());
  again.set_request_id("elsewhere");
  const auto elsewhere = shop.Run(again);
  CHECK(elsewhere[1].result().failure().reason() == "CREDENTIAL_FOREIGN");
  CHECK(other.Mails().empty());
}

TEST_CASE("Channels: what a submit may not ask for is refused before anything is built",
          "[integration]") {
  Shop shop;
  shop.AddPage();
  shop.AddMail("127.0.0.1:25");
  const auto refusal = [&](const v1::SubmitRunRequest& request) {
    return std::string(shop.farm().client().Submit(request).status().message());
  };
  v1::SubmitRunRequest stranger = Shop::Request({"email/qa"});
  stranger.mutable_channels(0)->add_recipients("mei@elsewhere.example");
  CHECK_THAT(refusal(stranger), Contains("does not let submits name 'mei@elsewhere.example'"));
  v1::SubmitRunRequest injected = Shop::Request({"email/qa"});
  injected.mutable_channels(0)->add_recipients("mei@example.com\r\nBcc: x@example.com");
  CHECK_THAT(refusal(injected), Contains("no e-mail address"));
  v1::SubmitRunRequest page = Shop::Request({"page"});
  page.mutable_channels(0)->add_recipients("mei@example.com");
  CHECK_THAT(refusal(page), Contains("sends nothing to anybody"));
  CHECK_THAT(refusal(Shop::Request({"page", "page"})), Contains("named twice"));
  CHECK_THAT(refusal(Shop::Request({"weixin"})), Contains("is no channel"));
  CHECK_THAT(refusal(Shop::Request({"email/other"})), Contains("no publish target 'other'"));
  v1::SubmitRunRequest preview = Shop::Request({"page"});
  preview.set_preview(true);
  CHECK_THAT(refusal(preview), Contains("preview"));
  v1::SubmitRunRequest built = SubmitOf("shop", false);
  built.add_platforms("email");
  CHECK_THAT(refusal(built), Contains("is a channel"));
}

}  // namespace
}  // namespace slipway::testing
