#include <sys/mount.h>

#include <filesystem>
#include <memory>

#include "tests/integration/agent_program.h"
#include "tests/support/engine_proxy.h"

// What an agent does when its machine is not well: a full disk, an Engine that hangs or is
// restarted, a clock that is off.
namespace slipway::testing {
namespace {

using Catch::Matchers::Contains;
using namespace std::chrono_literals;

constexpr char kQuick[] = "health: {interval: 100ms, engine_patience: 500ms}\n";
constexpr char kWaitingScript[] =
    "echo started\n"
    "while [ ! -e $HOME/go ]; do sleep 0.1; done\n"
    "mkdir -p $SLIPWAY_OUTPUT; echo hello > $SLIPWAY_OUTPUT/app.js\n";

// A small file system of its own.
class SmallDisk {
 public:
  explicit SmallDisk(std::string path) : path_(std::move(path)) {
    std::filesystem::create_directories(path_);
    REQUIRE(mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=64m") == 0);
  }
  ~SmallDisk() { umount2(path_.c_str(), MNT_DETACH); }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  void Fill(const std::string& name, int mebibytes) const {
    WriteFile(path_ + "/" + name, std::string(static_cast<std::size_t>(mebibytes) << 20, 'x'));
  }

 private:
  const std::string path_;
};

v1::DiskHealth DiskOf(const v1::Inventory& inventory, const std::string& path) {
  for (const v1::DiskHealth& disk : inventory.health().disks()) {
    if (disk.path() == path) return disk;
  }
  return {};
}

TEST_CASE("slipway-agent: a full disk stops new work, is told with figures, and ends by itself",
          "[integration]") {
  AgentFarm farm;
  const SmallDisk disk(farm.path("small"));
  farm.Configure("work_dir: " + disk.path() +
                 "\ndisk_floor: {bytes: 16MiB, percent: 90}\n"
                 "disk_pressure: {bytes: 24MiB, percent: 90}\n" +
                 kQuick);
  farm.CommitScript("echo hello\n");
  farm.StartAndConnect();
  const auto becomes = [&](v1::DiskState state) {
    return farm.controller().WaitForInventory([&](const v1::Inventory& inventory) {
      return DiskOf(inventory, disk.path()).state() == state;
    });
  };
  REQUIRE(becomes(v1::DISK_STATE_OK));
  disk.Fill("foreign", 50);
  REQUIRE(becomes(v1::DISK_STATE_FULL));
  const v1::DiskHealth told = DiskOf(farm.controller().LastInventory(), disk.path());
  CHECK(told.total_bytes() == std::uint64_t{64} << 20);
  CHECK(told.free_bytes() < std::uint64_t{16} << 20);
  const AttemptKey key = farm.Key();
  farm.controller().Queue(key, farm.BuildSpec());
  CHECK_FALSE(farm.controller().WaitForResult(key, 3s));
  // What is not the agent's own stays, whatever the need.
  CHECK(std::filesystem::exists(disk.path() + "/foreign"));
  std::filesystem::remove(disk.path() + "/foreign");
  CHECK(becomes(v1::DISK_STATE_OK));
}

TEST_CASE("slipway-agent: under pressure it deletes what attempts have left behind",
          "[integration]") {
  AgentFarm farm;
  const SmallDisk disk(farm.path("small"));
  farm.Configure("work_dir: " + disk.path() +
                 "\ndisk_floor: {bytes: 4MiB, percent: 90}\n"
                 "disk_pressure: {bytes: 24MiB, percent: 90}\n" +
                 kQuick);
  farm.StartAndConnect();
  disk.Fill("run/task-gone-1/big", 45);
  CHECK(WaitUntil([&] { return !std::filesystem::exists(disk.path() + "/run/task-gone-1"); }, 30s));
  CHECK(farm.controller().WaitForInventory([&](const v1::Inventory& inventory) {
    return DiskOf(inventory, disk.path()).state() == v1::DISK_STATE_OK;
  }));
  CHECK_THAT(farm.Output(), Contains("cache_deleted") && Contains("task-gone-1"));
}

// A farm whose agent reaches the Engine through a proxy.
struct ProxiedFarm {
  ProxiedFarm() : proxy(farm.path("engine.sock"), TestDockerSocket()) {
    std::string config = ReadFile(farm.path("config.yaml"));
    const std::string socket = "socket: " + TestDockerSocket();
    config.replace(config.find(socket), socket.size(), "socket: " + farm.path("engine.sock"));
    WriteFile(farm.path("config.yaml"), config + kQuick);
  }
  bool EngineBecomes(v1::EngineState state) {
    return farm.controller().WaitForInventory([&](const v1::Inventory& inventory) {
      return inventory.health().engine().state() == state;
    });
  }
  // Lets the waiting script of the attempt go on.
  void Go(const AttemptKey& key) {
    const std::string home = farm.data_dir() + "/attempts/" + key.task.value() + "-1/home";
    WriteFile(home + "/go", "");
  }

  AgentFarm farm;
  EngineProxy proxy;
};

TEST_CASE(
    "slipway-agent: with a hung Engine it takes no new work, and a build goes on and ends well",
    "[integration]") {
  ProxiedFarm world;
  AgentFarm& farm = world.farm;
  farm.CommitScript(kWaitingScript);
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  farm.controller().Queue(key, farm.BuildSpec());
  REQUIRE(farm.controller().WaitForLog(key, "started\n"));
  world.proxy.Hang(true);
  REQUIRE(world.EngineBecomes(v1::ENGINE_STATE_HUNG));
  CHECK_THAT(farm.controller().LastInventory().health().engine().words(),
             Contains("did not answer"));
  const AttemptKey other = farm.Key();
  farm.controller().Queue(other, farm.BuildSpec());
  CHECK_FALSE(farm.controller().WaitForLog(other, "slipway", 2s));
  world.Go(key);
  world.proxy.Hang(false);
  REQUIRE(world.EngineBecomes(v1::ENGINE_STATE_OK));
  const auto result = farm.controller().WaitForResult(key);
  INFO(farm.Output());
  REQUIRE(result);
  CHECK_FALSE(result->has_failure());
  REQUIRE(farm.controller().WaitForLog(other, "started\n"));
  world.Go(other);
  CHECK(farm.controller().WaitForResult(other));
}

TEST_CASE("slipway-agent: a build does not wait for an Engine to remove its container",
          "[integration]") {
  ProxiedFarm world;
  AgentFarm& farm = world.farm;
  farm.CommitScript(kWaitingScript);
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  farm.controller().Queue(key, farm.BuildSpec());
  REQUIRE(farm.controller().WaitForLog(key, "started\n"));
  world.proxy.Cut(true);
  REQUIRE(world.EngineBecomes(v1::ENGINE_STATE_DOWN));
  world.Go(key);
  const auto result = farm.controller().WaitForResult(key, 20s);
  INFO(farm.Output());
  REQUIRE(result);
  CHECK_FALSE(result->has_failure());
  farm.CheckLog(key, *result);
  CHECK(farm.Containers() == 1);
  world.proxy.Cut(false);
  CHECK(WaitUntil([&] { return farm.Containers() == 0; }, 30s));
}

TEST_CASE("slipway-agent: a build whose container went with a restarted Engine says so",
          "[integration]") {
  ProxiedFarm world;
  AgentFarm& farm = world.farm;
  farm.CommitScript(kWaitingScript);
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  farm.controller().Queue(key, farm.BuildSpec());
  REQUIRE(farm.controller().WaitForLog(key, "started\n"));
  world.proxy.Cut(true);
  REQUIRE(world.EngineBecomes(v1::ENGINE_STATE_DOWN));
  REQUIRE_OK(Shell("docker kill " + farm.ContainerIds()));
  world.proxy.Cut(false);
  REQUIRE(world.EngineBecomes(v1::ENGINE_STATE_OK));
  const auto result = farm.controller().WaitForResult(key);
  INFO(farm.Output());
  REQUIRE(result);
  CHECK(result->failure().failure_class() == v1::FAILURE_CLASS_AGENT_LOST);
  CHECK(result->failure().reason() == "ENGINE_RESTARTED");
  CHECK_FALSE(result->failure().remedy_zh().empty());
  farm.CheckLog(key, *result);
}

TEST_CASE(
    "slipway-agent: it starts without the Engine when a build of its lives on, and takes it up",
    "[integration]") {
  ProxiedFarm world;
  AgentFarm& farm = world.farm;
  farm.CommitScript(kWaitingScript);
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  farm.controller().Queue(key, farm.BuildSpec());
  REQUIRE(farm.controller().WaitForLog(key, "started\n"));
  CHECK(farm.Kill(SIGKILL) == 128 + SIGKILL);
  world.proxy.Cut(true);
  farm.StartAndConnect();
  REQUIRE(world.EngineBecomes(v1::ENGINE_STATE_DOWN));
  world.proxy.Cut(false);
  REQUIRE(world.EngineBecomes(v1::ENGINE_STATE_OK));
  world.Go(key);
  const auto result = farm.controller().WaitForResult(key);
  INFO(farm.Output());
  REQUIRE(result);
  CHECK_FALSE(result->has_failure());
}

TEST_CASE("slipway-agent: it tells how far its clock is off", "[integration]") {
  AgentFarm farm;
  farm.controller().SetClockAhead(60s);
  farm.StartAndConnect();
  CHECK(farm.controller().WaitForInventory([](const v1::Inventory& inventory) {
    const auto seconds = inventory.health().clock_skew().seconds();
    return seconds <= -55 && seconds >= -60;
  }));
}

// A Docker registry on a port of its own, without TLS, which the Engine allows on 127.0.0.1.
class Registry {
 public:
  Registry() {
    REQUIRE(std::filesystem::exists("/usr/bin/docker-registry"));
    const auto port = Shell(
        "python3 -c \"import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); "
        "print(s.getsockname()[1])\"");
    REQUIRE_OK(port);
    host_ = "127.0.0.1:" + std::to_string(std::stoi(*port));
    WriteFile(dir_ / "config.yml",
              "version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: " +
                  (dir_ / "data") + "}}\nhttp: {addr: " + host_ + "}\n");
    REQUIRE(RunProgram({"/usr/bin/docker-registry", "serve", dir_ / "config.yml"}, dir_ / "log",
                       &pid_) == 0);
    REQUIRE(WaitUntil([&] { return Shell("curl -sf http://" + host_ + "/v2/").ok(); }, 20s));
  }
  ~Registry() {
    (void)Shell("docker rmi " + Reference("min:1"));
    kill(pid_, SIGKILL);
    (void)Await(pid_);
  }
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  [[nodiscard]] std::string Reference(const std::string& name) const { return host_ + "/" + name; }
  // Has the test image there, and not on this machine.
  void PushTestImage() const {
    const std::string name = Reference("min:1");
    REQUIRE_OK(Shell("docker tag " + std::string(kTestImage) + " " + name + " && docker push -q " +
                     name + " && docker rmi " + name));
  }

 private:
  TempDir dir_;
  std::string host_;
  pid_t pid_ = 0;
};

v1::ImageOrder Order(const std::string& image, std::uint64_t number) {
  v1::ImageOrder order;
  order.set_image(image);
  order.set_number(number);
  return order;
}

TEST_CASE("slipway-agent: images are prepared ahead of time, and each is reported ready or why not",
          "[integration]") {
  const Registry registry;
  registry.PushTestImage();
  AgentFarm farm;
  const std::string there = registry.Reference("min:1");
  const std::string missing = registry.Reference("min:2");
  farm.controller().SetImages(
      {Order(there, 1), Order(missing, 2), Order(kTestImage, 3), Order("nobody/has-this:7", 4)});
  farm.StartAndConnect();
  const auto report = [&](const std::string& image, v1::ImageState state) {
    v1::ImageReport found;
    const bool came = farm.controller().WaitForInventory([&](const v1::Inventory& inventory) {
      for (const v1::ImageReport& one : inventory.images()) {
        if (one.order().image() == image && one.state() == state) {
          found = one;
          return true;
        }
      }
      return false;
    });
    INFO(image << "\n" << farm.controller().LastInventory().DebugString());
    CHECK(came);
    return found;
  };
  CHECK_THAT(report(there, v1::IMAGE_STATE_READY).id(), Catch::StartsWith("sha256:"));
  CHECK_OK(Shell("docker image inspect " + there));
  CHECK(report(kTestImage, v1::IMAGE_STATE_READY).order().number() == 3);
  const v1::Failure why = report(missing, v1::IMAGE_STATE_FAILED).failure();
  CHECK(why.reason() == "IMAGE_MISSING");
  CHECK_THAT(why.message(), Contains("manifest"));
  CHECK_FALSE(why.remedy_zh().empty());
  CHECK(report("nobody/has-this:7", v1::IMAGE_STATE_FAILED).failure().reason() == "IMAGE_MISSING");
}

TEST_CASE("slipway-agent: the first task that needs an image of a registry pulls it by itself",
          "[integration]") {
  const Registry registry;
  registry.PushTestImage();
  AgentFarm farm;
  farm.CommitScript("mkdir -p $SLIPWAY_OUTPUT; echo hello > $SLIPWAY_OUTPUT/app.js\n");
  std::string yaml = ReadFile(farm.repository() + "/slipway.yaml");
  const std::string local = kTestImage;
  yaml.replace(yaml.find(local), local.size(), registry.Reference("min:1"));
  farm.Commit({{"slipway.yaml", yaml}});
  farm.StartAndConnect();
  const AttemptKey key = farm.Key();
  const v1::AttemptResult result = farm.Build(farm.BuildSpec(), key);
  INFO(result.failure().DebugString());
  CHECK_FALSE(result.has_failure());
  CHECK_THAT(farm.controller().Log(key),
             Contains("pulling the image " + registry.Reference("min:1")));
}

}  // namespace
}  // namespace slipway::testing
