#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "common/rpc/grpc_status.h"
#include "tests/support/farm_fixture.h"
#include "tests/support/status_matchers.h"
#include "tests/support/wait_until.h"

// What the controller makes of agents' health and images, over the real wire.
namespace slipway::testing {
namespace {

using namespace std::chrono_literals;

struct Farm {
  Farm() {
    farm.Start();
    REQUIRE_OK(farm.client().CreateApplication("shop"));
  }
  FarmClient& client() { return farm.client(); }

  absl::StatusOr<v1::PrepareImagesResponse> Prepare(std::vector<std::string> images,
                                                    std::vector<std::string> agents = {}) {
    v1::PrepareImagesRequest request;
    for (std::string& image : images) request.add_images(std::move(image));
    for (std::string& agent : agents) request.add_agents(std::move(agent));
    v1::PrepareImagesResponse response;
    const auto context = client().Context();
    const absl::Status status = rpc::FromGrpc(
        *context, client().agent_images().PrepareImages(context.get(), request, &response));
    if (!status.ok()) return status;
    return response;
  }
  std::vector<v1::AgentImage> List() {
    v1::ListImagesResponse response;
    const auto context = client().Context();
    REQUIRE(client().agent_images().ListImages(context.get(), {}, &response).ok());
    return {response.images().begin(), response.images().end()};
  }
  absl::Status Forget(const std::string& image, const std::string& agent = "") {
    v1::ForgetImageRequest request;
    request.set_image(image);
    request.set_agent(agent);
    v1::ForgetImageResponse response;
    const auto context = client().Context();
    return rpc::FromGrpc(*context,
                         client().agent_images().ForgetImage(context.get(), request, &response));
  }
  v1::Agent AgentNamed(const std::string& name) {
    v1::ListAgentsResponse response;
    const auto context = client().Context();
    REQUIRE(client().agents().ListAgents(context.get(), {}, &response).ok());
    for (const v1::Agent& agent : response.agents()) {
      if (agent.name() == name) return agent;
    }
    return {};
  }
  FarmFixture farm;
};

v1::ImageReport Report(const std::string& image, std::uint64_t number, v1::ImageState state) {
  v1::ImageReport report;
  report.mutable_order()->set_image(image);
  report.mutable_order()->set_number(number);
  report.set_state(state);
  if (state == v1::IMAGE_STATE_READY) report.set_id("sha256:1");
  return report;
}

v1::AgentHealth WellHealth() {
  v1::AgentHealth health;
  health.mutable_engine()->set_state(v1::ENGINE_STATE_OK);
  return health;
}

TEST_CASE("Controller: an agent that is not well is listed so and gets no task until it is well",
          "[integration]") {
  Farm f;
  FakeAgent agent(f.farm.Join("mill-1"));
  agent.Connect();
  v1::AgentHealth full = WellHealth();
  v1::DiskHealth& disk = *full.add_disks();
  disk.set_path("/data");
  disk.set_state(v1::DISK_STATE_FULL);
  disk.set_free_bytes(7);
  agent.SetHealth(full);
  REQUIRE(WaitUntil([&] { return f.AgentNamed("mill-1").health().disks_size() == 1; }));
  CHECK(f.AgentNamed("mill-1").health().disks(0).free_bytes() == 7);
  REQUIRE_OK(f.client().Submit(SubmitOf("shop", false)));
  CHECK_FALSE(agent.WaitStart(2s));
  agent.SetHealth(WellHealth());
  CHECK(agent.WaitStart());
}

TEST_CASE("Controller: images are asked of agents at once, of others when they come, and listed",
          "[integration]") {
  Farm f;
  FakeAgent one(f.farm.Join("mill-1"));
  FakeAgent two(f.farm.Join("mill-2"));
  one.SetHealth(WellHealth());
  one.Connect();
  REQUIRE(one.WaitImages({}));
  const auto prepared = f.Prepare({"builder:1", "node:20"});
  REQUIRE_OK(prepared);
  CHECK(prepared->images_size() == 4);
  CHECK(one.WaitImages({"builder:1", "node:20"}));
  REQUIRE_OK(f.Prepare({"xcode:15"}, {"mill-2"}));
  two.SetHealth(WellHealth());
  two.Connect();
  CHECK(two.WaitImages({"builder:1", "node:20", "xcode:15"}));
  CHECK(one.WaitImages({"builder:1", "node:20"}));
  // An order outlives the controller.
  f.farm.Stop();
  f.farm.Start();
  REQUIRE(two.Reconnect());
  CHECK(two.WaitImages({"builder:1", "node:20", "xcode:15"}));
  CHECK_OK(f.Forget("node:20"));
  CHECK(two.WaitImages({"builder:1", "xcode:15"}));
}

TEST_CASE("Controller: a report about an earlier order counts for nothing", "[integration]") {
  Farm f;
  FakeAgent agent(f.farm.Join("mill-1"));
  agent.SetHealth(WellHealth());
  agent.Connect();
  REQUIRE_OK(f.Prepare({"builder:1"}));
  REQUIRE(agent.WaitImages({"builder:1"}));
  const std::uint64_t first = agent.ImageNumber("builder:1");
  agent.SetImages({Report("builder:1", first, v1::IMAGE_STATE_READY)});
  REQUIRE(WaitUntil([&] { return f.List().at(0).state() == v1::IMAGE_STATE_READY; }));
  CHECK(f.List().at(0).agent_name() == "mill-1");
  CHECK(f.List().at(0).id() == "sha256:1");
  CHECK(f.List().at(0).requested_by() == "admin");
  const auto again = f.Prepare({"builder:1"});
  REQUIRE_OK(again);
  CHECK(again->images(0).state() == v1::IMAGE_STATE_PREPARING);
  REQUIRE(WaitUntil([&] { return agent.ImageNumber("builder:1") > first; }));
  agent.SetImages({Report("builder:1", agent.ImageNumber("builder:1"), v1::IMAGE_STATE_READY)});
  CHECK(WaitUntil([&] { return f.List().at(0).state() == v1::IMAGE_STATE_READY; }));
}

TEST_CASE("Controller: orders that make no sense are refused by name", "[integration]") {
  Farm f;
  (void)f.farm.Join("mill-1");
  CHECK_THAT(f.Prepare({}).status(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD"));
  CHECK_THAT(f.Prepare({"no image"}).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "no image"));
  CHECK_THAT(f.Prepare({"a:1"}, {"mill-9"}).status(),
             StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_AGENT"));
  CHECK_THAT(f.Forget("a:1"), StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_IMAGE"));
  std::vector<std::string> many;
  for (int i = 0; i < 201; ++i) many.push_back("image:" + std::to_string(i));
  CHECK_THAT(f.Prepare(many).status(),
             StatusIs(absl::StatusCode::kResourceExhausted, "TOO_MANY_IMAGES"));
  CHECK(f.List().empty());
}

}  // namespace
}  // namespace slipway::testing
