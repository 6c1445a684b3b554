#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "controller/cli/render_health.h"
#include "tests/support/wait_until.h"
#include "tests/unit/cli_fixture.h"

namespace slipway::cli {
namespace {

using Catch::Contains;
using testing::WaitUntil;

View PlainView(Language language = Language::kEnglish) {
  return {Text(language), Style(false), WallTime(std::chrono::seconds(1'700'000'100))};
}

v1::AgentImage Image(const std::string& agent, v1::ImageState state, bool online = true) {
  v1::AgentImage image;
  image.set_image("builder:1");
  image.set_agent("id-" + agent);
  image.set_agent_name(agent);
  image.set_online(online);
  image.set_state(state);
  image.set_requested_by("admin");
  if (state == v1::IMAGE_STATE_READY) image.set_id("sha256:0123456789abcdef0123");
  if (state == v1::IMAGE_STATE_FAILED) {
    image.mutable_failure()->set_failure_class(v1::FAILURE_CLASS_POLICY);
    image.mutable_failure()->set_reason("IMAGE_MISSING");
    image.mutable_failure()->set_message("mill-2 does not have it");
    image.mutable_failure()->set_remedy("Load it there.");
    image.mutable_failure()->set_remedy_zh("请在那里加载。");
  }
  return image;
}

TEST_CASE("slipway agents prepare: waits until every agent has said yes or no", "[unit][cli]") {
  Fixture f;
  f.farm.images = {Image("mill-1", v1::IMAGE_STATE_READY),
                   Image("mill-2", v1::IMAGE_STATE_PREPARING)};
  CliRun cli(f.controller, {"agents", "prepare", "--image", "builder:1,node:20", "--agent",
                            "mill-1", "--agent", "mill-2"});
  REQUIRE(WaitUntil([&] {
    const std::lock_guard lock(f.farm.mu);
    return f.farm.image_lists > 0;
  }));
  CHECK(cli.out.text().empty());
  f.farm.Update([](FakeFarm& farm) { farm.images[1] = Image("mill-2", v1::IMAGE_STATE_READY); });
  CHECK(cli.Wait() == 0);
  CHECK_THAT(cli.out.text(), Contains("mill-2") && Contains("ready") &&
                                 Contains("sha256:0123456789ab") && !Contains("preparing"));
  const auto& asked = f.farm.prepares.at(0);
  CHECK(asked.images_size() == 2);
  CHECK(asked.agents_size() == 2);
}

TEST_CASE("slipway agents prepare: a node that failed is exit 1, with why and what to do",
          "[unit][cli]") {
  Fixture f;
  f.farm.images = {Image("mill-1", v1::IMAGE_STATE_READY), Image("mill-2", v1::IMAGE_STATE_FAILED)};
  CliRun cli(f.controller, {"agents", "prepare", "--image", "builder:1"});
  CHECK(cli.Wait() == 1);
  CHECK_THAT(cli.out.text(), Contains("failed") && Contains("mill-2 does not have it") &&
                                 Contains("Load it there."));
}

TEST_CASE("slipway agents prepare: agents that are away are shown and not waited for",
          "[unit][cli]") {
  Fixture f;
  f.farm.images = {Image("mill-1", v1::IMAGE_STATE_READY),
                   Image("mill-2", v1::IMAGE_STATE_PREPARING, false)};
  CliRun cli(f.controller, {"agents", "prepare", "--image", "builder:1"});
  CHECK(cli.Wait() == 0);
  CHECK_THAT(cli.out.text(), Contains("offline"));
  f.farm.Update([](FakeFarm& farm) { farm.images.erase(farm.images.begin()); });
  CliRun nobody(f.controller, {"agents", "prepare", "--image", "builder:1"});
  CHECK(nobody.Wait() == 1);
}

TEST_CASE("slipway agents prepare: patience ends, Ctrl-C too, and --no-wait never begins",
          "[unit][cli]") {
  Fixture f;
  f.farm.images = {Image("mill-1", v1::IMAGE_STATE_PREPARING)};
  CliRun impatient(f.controller, {"agents", "prepare", "--image", "builder:1", "--patience", "1s"});
  CHECK(impatient.Wait() == 1);
  CHECK_THAT(impatient.out.text(), Contains("preparing"));
  CliRun no_wait(f.controller, {"agents", "prepare", "--image", "builder:1", "--no-wait"});
  CHECK(no_wait.Wait() == 0);
  CliRun stopped(f.controller, {"agents", "prepare", "--image", "builder:1"});
  stopped.Interrupt();
  CHECK(stopped.Wait() == 130);
  CliRun wrong(f.controller, {"agents", "prepare", "--image", "builder:1", "--patience", "soon"});
  CHECK(wrong.Wait() == 2);
  CliRun nothing(f.controller, {"agents", "prepare"});
  CHECK(nothing.Wait() == 2);
}

TEST_CASE("slipway agents images: lists, and forgets what nobody needs", "[unit][cli]") {
  Fixture f;
  f.farm.images = {Image("mill-1", v1::IMAGE_STATE_READY)};
  CliRun list(f.controller, {"agents", "images"});
  CHECK(list.Wait() == 0);
  CHECK_THAT(list.out.text(), Contains("builder:1") && Contains("admin"));
  CliRun forget(f.controller, {"agents", "images", "--forget", "builder:1"});
  CHECK(forget.Wait() == 0);
  CliRun again(f.controller, {"agents", "images", "--forget", "builder:1"});
  CHECK(again.Wait() == 3);
  CliRun empty(f.controller, {"agents", "images", "--lang", "zh"});
  CHECK(empty.Wait() == 0);
  CHECK_THAT(empty.out.text(), Contains("没有需要预备的镜像"));
}

TEST_CASE("Agents' health: one word in the table, figures and a remedy below it", "[unit][cli]") {
  v1::AgentHealth health;
  health.mutable_engine()->set_state(v1::ENGINE_STATE_OK);
  v1::DiskHealth& disk = *health.add_disks();
  disk.set_path("/var/lib/slipway-agent");
  disk.set_state(v1::DISK_STATE_OK);
  disk.set_free_bytes(std::uint64_t{3} << 30);
  disk.set_total_bytes(std::uint64_t{100} << 30);
  CHECK(HealthWord(health, PlainView()) == "ok");
  CHECK(RenderTroubles(health, "", PlainView()).empty());
  CHECK_THAT(RenderHealth(health, "", PlainView()), Contains("3.0 GiB of 100 GiB free"));
  CHECK_THAT(RenderHealth(health, "", PlainView()), !Contains("starts"));
  health.mutable_starts()->set_warm(7);
  health.mutable_starts()->set_cold(2);
  health.mutable_starts()->set_waiting(1);
  CHECK_THAT(RenderHealth(health, "", PlainView()),
             Contains("7 warm, 0 in a kept network, 2 cold; 1 waiting now"));

  disk.set_state(v1::DISK_STATE_FULL);
  health.mutable_engine()->set_state(v1::ENGINE_STATE_HUNG);
  health.mutable_engine()->mutable_since()->set_seconds(1'700'000'000);
  health.mutable_engine()->set_words("no answer in time");
  health.mutable_clock_skew()->set_seconds(-25);
  CHECK(HealthWord(health, PlainView()) == "engine hung, disk full, clock 25 s behind");
  const std::string troubles = RenderTroubles(health, "  ", PlainView());
  CHECK_THAT(troubles, Contains("no answer in time") && Contains("systemctl status docker") &&
                           Contains("disk_floor") && Contains("NTP"));
  CHECK_THAT(HealthWord(health, PlainView(Language::kChinese)),
             Contains("引擎无响应") && Contains("磁盘已满") && Contains("时钟慢 25 秒"));
  health.mutable_clock_skew()->set_seconds(10);
  CHECK_THAT(HealthWord(health, PlainView()), !Contains("clock"));
}

}  // namespace
}  // namespace slipway::cli
