#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "controller/cli/catalog/catalog_file.h"
#include "controller/cli/catalog/catalog_text.h"
#include "controller/cli/catalog/plan.h"
#include "controller/cli/catalog/unified_diff.h"
#include "tests/support/status_matchers.h"

namespace slipway::cli::catalog {
namespace {

using Catch::Contains;
using testing::StatusIs;

constexpr char kPem[] = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

constexpr char kAll[] = R"(kind: environment
name: production
description: What users get
order: 9
---
kind: target
platform: weixin
environment: production
image: publisher:1
proxy: http://proxy:3128
ca_file: ca.pem
network: host
deadline: 5m
require: {net: dmz}
---
kind: application
name: shop
repository: https://git.example/shop.git
require: {zone: north}
queue_timeout: 30m
)";

// Files that documents may name.
absl::StatusOr<std::string> ReadFile(const std::string& path) {
  if (path == "etc/ca.pem" || path == "/etc/ca.pem") return std::string(kPem);
  if (path == "etc/empty.pem") return std::string("nothing");
  return absl::NotFoundError(path + " cannot be read");
}

Catalog Read(const std::string& text) {
  CatalogReader reader(ReadFile);
  REQUIRE_OK(reader.Add(text, "farm.yaml", "etc"));
  return reader.catalog();
}

std::string MistakesIn(const std::string& text) {
  CatalogReader reader(ReadFile);
  const absl::Status status = reader.Add(text, "farm.yaml", "etc");
  CHECK_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, "CONFIG_INVALID"));
  return std::string(status.message());
}

// "create environment production, …".
std::string Told(const std::vector<Change>& plan) {
  std::string text;
  for (const Change& change : plan) {
    text += change.action == Change::Action::kCreate   ? "create "
            : change.action == Change::Action::kUpdate ? "update "
                                                       : "delete ";
    text += change.kind + " " + change.name + "\n";
  }
  return text;
}

std::string PlanOf(const Catalog& wanted, const Catalog& stored, bool prune = false) {
  const auto plan = MakePlan(wanted, stored, prune);
  REQUIRE_OK(plan);
  return Told(*plan);
}

}  // namespace

TEST_CASE("Catalog file: documents of each kind are read, with their defaults", "[unit][cli]") {
  const Catalog all = Read(kAll);
  REQUIRE(all.environments.size() == 1);
  CHECK(all.environments[0].order() == 9);
  REQUIRE(all.targets.size() == 1);
  const v1::Target& target = all.targets[0];
  CHECK(target.name() == "weixin");
  CHECK(target.environment() == "production");
  CHECK(target.ca_pem() == kPem);
  CHECK(target.network() == "host");
  CHECK(target.deadline().seconds() == 300);
  CHECK(target.requirements().at("net") == "dmz");
  REQUIRE(all.applications.size() == 1);
  CHECK(all.applications[0].queue_timeout().seconds() == 1800);

  const Catalog small = Read("---\nkind: target\nplatform: weixin\nname: trial\nimage: i\n---\n");
  CHECK(small.targets.at(0).deadline().seconds() == 600);
  CHECK(small.targets[0].network() == "bridge");
  CHECK(small.targets[0].ca_pem().empty());
  CHECK(Read("kind: application\nname: a\nrepository: r\n")
            .applications.at(0)
            .queue_timeout()
            .seconds() == 0);
  CHECK(Read("kind: target\nplatform: p\nimage: i\nca_file: /etc/ca.pem\n").targets[0].ca_pem() ==
        kPem);
}

TEST_CASE("Catalog file: every mistake of every document is told with its line and column",
          "[unit][cli]") {
  const std::string mistakes = MistakesIn(
      "kind: environment\nname: Production\norder: much\n---\nkind: target\nplatform: weixin\n"
      "imag: publisher:1\nnetwork: lan\nca_file: nowhere.pem\ndeadline: 1s\n---\n"
      "kind: aplication\nname: shop\n---\nname: shop\n");
  CHECK_THAT(mistakes, Contains("farm.yaml:2:7: name: use 1 to 63"));
  CHECK_THAT(mistakes, Contains("farm.yaml:3:8: order: 'much' is not allowed"));
  CHECK_THAT(mistakes, Contains("image: required, but missing"));
  CHECK_THAT(mistakes, Contains("farm.yaml:7:1: imag: unknown key; did you mean 'image'?"));
  CHECK_THAT(mistakes, Contains("farm.yaml:8:10: network: 'lan' is not allowed"));
  CHECK_THAT(mistakes, Contains("farm.yaml:9:10: ca_file: etc/nowhere.pem cannot be read"));
  CHECK_THAT(mistakes, Contains("farm.yaml:10:11: deadline"));
  CHECK_THAT(mistakes, Contains("farm.yaml:12:7: kind: 'aplication' is not allowed"));
  CHECK_THAT(mistakes, Contains("farm.yaml:15:1: kind: required, but missing"));
  CHECK_THAT(mistakes, !Contains("name: unknown key"));

  CHECK_THAT(MistakesIn("kind: environment\nname: a\nname: b\n"),
             Contains("farm.yaml:3:1: 'name'"));
  CHECK_THAT(MistakesIn("kind: environment\nname: a\n---\nkind: environment\nname: a\n"),
             Contains("farm.yaml:5:7: name: environment 'a' is described more than once"));
  CHECK_THAT(MistakesIn("kind: target\nplatform: p\nimage: i\nca_file: empty.pem\n"),
             Contains("farm.yaml:4:10: ca_file: holds no PEM certificate"));
  CHECK_THAT(MistakesIn("kind: target\nplatform: p\nimage: i\nca: '-----BEGIN CERTIFICATE----- "
                        "-----BEGIN RSA PRIVATE KEY-----'\n"),
             Contains("farm.yaml:4:5: ca: holds a private key"));
  CHECK_THAT(MistakesIn("- a\n"), Contains("expected a map"));
  CHECK_THAT(MistakesIn("---\n---\n"), Contains("the file is empty"));
}

TEST_CASE("Catalog text: what is written out is read back as it was", "[unit][cli]") {
  const Catalog all = Read(kAll);
  const std::string text = TextOf(all);
  CHECK(TextOf(Read(text)) == text);
  CHECK(Read(text).targets.at(0).ca_pem() == kPem);
  v1::Environment odd;
  odd.set_name("odd");
  odd.set_description("no: \"yes\"\n第二行 ~ 'x' \t-");
  CHECK(Read(TextOf(odd)).environments.at(0).description() == odd.description());
  CHECK_THAT(TextOf(all.targets[0], Certificates::kDigest), !Contains("CERTIFICATE"));
}

TEST_CASE("Plan: what is missing is made in the order of what needs what; what is so stays",
          "[unit][cli]") {
  const Catalog all = Read(kAll);
  CHECK(PlanOf(all, {}) ==
        "create environment production\ncreate target weixin/weixin\ncreate application shop\n");
  Catalog stored = all;
  stored.targets[0].set_etag("7");
  stored.applications[0].set_id("made by the farm");
  CHECK(PlanOf(all, stored).empty());
  // What no file names stays.
  CHECK(PlanOf({}, stored).empty());
  CHECK(PlanOf({}, stored, true) == "delete target weixin/weixin\ndelete environment production\n");
}

TEST_CASE("Plan: a change names its fields, has the etag that was read, and shows both sides",
          "[unit][cli]") {
  const Catalog stored = [] {
    Catalog catalog = Read(kAll);
    catalog.targets[0].set_etag("7");
    catalog.applications[0].set_etag("8");
    return catalog;
  }();
  Catalog wanted = Read(kAll);
  wanted.targets[0].set_image("publisher:2");
  wanted.applications[0].clear_queue_timeout();
  (*wanted.applications[0].mutable_requirements())["zone"] = "south";
  const auto plan = MakePlan(wanted, stored, false);
  REQUIRE_OK(plan);
  CHECK(Told(*plan) == "update target weixin/weixin\nupdate application shop\n");
  CHECK(std::get<v1::Target>(plan->at(0).object).etag() == "7");
  CHECK_THAT(plan->at(0).before, Contains("publisher:1"));
  CHECK_THAT(plan->at(0).after, Contains("publisher:2"));
  CHECK(std::get<v1::Application>(plan->at(1).object).etag() == "8");
  CHECK(plan->at(1).fields == std::vector<std::string>{"requirements", "queue_timeout"});
  // Another certificate is a change, too, although only digests are shown.
  wanted = Read(kAll);
  wanted.targets[0].set_ca_pem(std::string(kPem) + kPem);
  CHECK(PlanOf(wanted, stored) == "update target weixin/weixin\n");
}

TEST_CASE("Plan: a target in an environment that will not be there is refused before anything",
          "[unit][cli]") {
  Catalog wanted = Read(kAll);
  Catalog stored;
  std::swap(stored.environments, wanted.environments);
  CHECK(PlanOf(wanted, stored) == "create target weixin/weixin\ncreate application shop\n");
  CHECK_THAT(MakePlan(wanted, {}, false).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "NO_SUCH_ENVIRONMENT"));
  CHECK_THAT(MakePlan(wanted, stored, true).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "NO_SUCH_ENVIRONMENT"));
}

TEST_CASE("Unified diff: lines that stay are kept, the others are taken away and added",
          "[unit][cli]") {
  using Lines = std::vector<DiffLine>;
  CHECK(UnifiedDiff("a\nb\nc\n", "a\nx\nc\nd\n") ==
        Lines{{' ', "a"}, {'-', "b"}, {'+', "x"}, {' ', "c"}, {'+', "d"}});
  CHECK(UnifiedDiff("", "a\n") == Lines{{'+', "a"}});
  CHECK(UnifiedDiff("a\n", "") == Lines{{'-', "a"}});
  CHECK(UnifiedDiff("a\nb\n", "a\nb\n") == Lines{{' ', "a"}, {' ', "b"}});
  CHECK(UnifiedDiff("", "").empty());
}

}  // namespace slipway::cli::catalog
