#include "agent/executor/docker/docker_json.h"

#include <catch2/catch.hpp>

#include "agent/executor/labels.h"
#include "tests/support/status_matchers.h"

// The bodies are what Docker Engine 20.10.24 sent, shortened by what nobody reads.
namespace slipway::docker {
namespace {

using executor::ContainerId;
using executor::ContainerSpec;
using executor::ContainerStatus;
using executor::kLabelAgent;
using executor::kLabelFarm;
using executor::Labels;
using executor::NetworkKind;
using testing::StatusIs;

TEST_CASE("Docker JSON: a specification becomes the body of a create request", "[unit][docker]") {
  ContainerSpec spec;
  spec.name = "build-1";
  spec.image = "builder:1";
  spec.labels = {{kLabelFarm, "f"}, {kLabelAgent, "a"}};
  spec.argv = {"/init", "--flag"};
  spec.env = {"A=b"};
  spec.user = "1000:1000";
  spec.working_dir = "/build";
  spec.binds = {{.host_path = "/var/lib/slipway/w/1", .container_path = "/build"},
                {.host_path = "/etc/ssl/ca", .container_path = "/ca", .read_only = true}};
  spec.tmpfs = {
      {.container_path = "/secrets", .size_bytes = 4096, .mode = 0750, .uid = 7, .gid = 8}};
  spec.network = {.kind = NetworkKind::kBridge, .name = "slipway"};
  spec.extra_hosts = {{"farm.test", "10.0.0.1"}};
  spec.cpus = 1.5;
  spec.memory_bytes = 1 << 30;
  spec.pids_limit = 100;
  spec.shm_bytes = 1 << 20;
  spec.cap_add = {"SETUID", "SETGID"};
  CHECK(CreateContainerBody(spec, {{.agent_path = "/var/lib/slipway", .engine_path = "/srv"}}) ==
        R"({"Image":"builder:1","Labels":{"io.slipway.agent":"a","io.slipway.farm":"f"},)"
        R"("Entrypoint":["/init","--flag"],"Cmd":[],"Env":["A=b"],"User":"1000:1000",)"
        R"("WorkingDir":"/build","Hostname":"","StopSignal":"SIGTERM","StopTimeout":10,)"
        R"("Healthcheck":{"Test":["NONE"]},"HostConfig":{"NetworkMode":"slipway",)"
        R"("ExtraHosts":["farm.test:10.0.0.1"],"Mounts":[{"Type":"bind","Source":"/srv/w/1",)"
        R"("Target":"/build","ReadOnly":false,"BindOptions":{"Propagation":"rprivate"}},)"
        R"({"Type":"bind","Source":"/etc/ssl/ca","Target":"/ca","ReadOnly":true,)"
        R"("BindOptions":{"Propagation":"rprivate"}}],"Tmpfs":{"/secrets":)"
        R"("rw,nosuid,nodev,noexec,mode=750,uid=7,gid=8,size=4096"},"ReadonlyRootfs":false,)"
        R"("CapDrop":["ALL"],"CapAdd":["SETUID","SETGID"],)"
        R"("SecurityOpt":["no-new-privileges:true"],"Privileged":false,"IpcMode":"private",)"
        R"("Ulimits":[{"Name":"core","Soft":0,"Hard":0},)"
        R"({"Name":"nofile","Soft":16384,"Hard":16384}],"OomScoreAdj":500,)"
        R"("RestartPolicy":{"Name":"no"},"AutoRemove":false,"LogConfig":{"Type":"json-file",)"
        R"("Config":{"max-size":"64k","max-file":"1"}},"NanoCpus":1500000000,)"
        R"("Memory":1073741824,"MemorySwap":1073741824,"PidsLimit":100,"ShmSize":1048576}})");
}

TEST_CASE("Docker JSON: a limit that is not set is not mentioned", "[unit][docker]") {
  ContainerSpec spec;
  spec.argv = {"/init"};
  spec.nofile = 0;
  const std::string body = CreateContainerBody(spec, {});
  for (const char* field : {"NanoCpus", "Memory", "Pids", "Shm", "nofile", "Swappiness", "Kernel"})
    CHECK_THAT(body, !Catch::Contains(field));
  CHECK_THAT(body, Catch::Contains(R"("NetworkMode":"none")"));
}

TEST_CASE("Docker JSON: a network request turns traffic between containers off", "[unit][docker]") {
  CHECK(CreateNetworkBody({.name = "slipway", .farm = "f", .subnet = "10.90.0.0/16"}) ==
        R"({"Name":"slipway","CheckDuplicate":true,"Driver":"bridge",)"
        R"("Labels":{"io.slipway.farm":"f"},)"
        R"("Options":{"com.docker.network.bridge.enable_icc":"false"},)"
        R"("IPAM":{"Driver":"default","Config":[{"Subnet":"10.90.0.0/16"}]}})");
}

TEST_CASE("Docker JSON: label values need no quoting of their own", "[unit][docker]") {
  CHECK(LabelFilter({{"a", "x\"y"}, {"b", "1=2"}}) == R"({"label":["a=x\"y","b=1=2"]})");
}

TEST_CASE("Docker JSON: the Engine's description is read", "[unit][docker]") {
  const auto info = ParseEngineInfo(
      R"({"Driver":"overlay2","CgroupDriver":"cgroupfs","CgroupVersion":"1","NCPU":2,)"
      R"("MemTotal":25274793984,"ServerVersion":"20.10.24+dfsg1","Warnings":null})");
  REQUIRE_OK(info);
  CHECK(info->version == "20.10.24+dfsg1");
  CHECK(info->cgroup_version == 1);
  CHECK(info->storage_driver == "overlay2");
  CHECK(info->cpus == 2);
  CHECK(info->memory_bytes == 25274793984);
  const auto v2 = ParseEngineInfo(R"({"CgroupVersion":"2","ServerVersion":"28.2.2"})");
  REQUIRE_OK(v2);
  CHECK(v2->cgroup_version == 2);
}

TEST_CASE("Docker JSON: a container's state is read", "[unit][docker]") {
  const auto running = ParseContainerState(
      R"({"Id":"4f","Created":"2026-11-21T00:14:21.346538078Z","State":{"Status":"running",)"
      R"("Running":true,"Paused":false,"Restarting":false,"OOMKilled":false,"Dead":false,)"
      R"("Pid":27914,"ExitCode":0,"Error":"","StartedAt":"2026-11-21T00:14:21.5Z",)"
      R"("FinishedAt":"0001-01-01T00:00:00Z"},"Name":"/it-1"})");
  REQUIRE_OK(running);
  CHECK(running->status == ContainerStatus::kRunning);
  CHECK(running->pid == 27914);
  REQUIRE(running->started.has_value());
  CHECK(ToUnixMicros(*running->started) == 1795220061500000);
  CHECK_FALSE(running->finished.has_value());

  const auto killed = ParseContainerState(
      R"({"State":{"Status":"exited","OOMKilled":true,"Pid":0,"ExitCode":137,"Error":"",)"
      R"("StartedAt":"2026-11-21T00:17:12.1Z","FinishedAt":"2026-11-21T00:17:12.345678901Z"}})");
  REQUIRE_OK(killed);
  CHECK(killed->status == ContainerStatus::kExited);
  CHECK(killed->oom_killed);
  CHECK(killed->exit_code == 137);
  CHECK(killed->finished->time_since_epoch().count() % 1'000'000'000 == 345678901);
}

TEST_CASE("Docker JSON: no container ends before it starts", "[unit][docker]") {
  const auto quick =
      ParseContainerState(R"({"State":{"Status":"exited","StartedAt":"2026-11-21T00:17:12.2Z",)"
                          R"("FinishedAt":"2026-11-21T00:17:12.1Z"}})");
  REQUIRE_OK(quick);
  REQUIRE(quick->started.has_value());
  CHECK(quick->started == quick->finished);
}

TEST_CASE("Docker JSON: images, networks, listings and created containers are read",
          "[unit][docker]") {
  const auto image = ParseImage(
      R"({"Id":"sha256:56","RepoTags":["slipway-test-min:1"],"RepoDigests":[],"Size":1981768,)"
      R"("Config":{"Labels":{"io.slipway.test":"1"},"Env":["PATH=/bin"]}})");
  REQUIRE_OK(image);
  CHECK(image->id == "sha256:56");
  CHECK(image->labels == Labels{{"io.slipway.test", "1"}});
  CHECK(image->size_bytes == 1981768);

  const auto network = ParseNetwork(
      R"({"Name":"slipway","Id":"96","Driver":"bridge","IPAM":{"Driver":"default","Config":)"
      R"([{"Subnet":"172.18.0.0/16","Gateway":"172.18.0.1"}]},"Options":)"
      R"({"com.docker.network.bridge.enable_icc":"false"},"Labels":{"io.slipway.farm":"f"}})");
  REQUIRE_OK(network);
  CHECK(network->name == "slipway");
  CHECK(network->info.gateway == "172.18.0.1");
  CHECK_FALSE(network->containers_may_talk);
  CHECK(network->labels == Labels{{"io.slipway.farm", "f"}});
  const auto open = ParseNetwork(R"({"Name":"n","Id":"1","Driver":"bridge","Options":{}})");
  REQUIRE_OK(open);
  CHECK(open->containers_may_talk);

  const auto list = ParseContainerList(
      R"([{"Id":"4f","Names":["/it-1"],"Image":"i","Labels":{"a":"b"},"State":"exited"},)"
      R"({"Id":"50","Names":[],"Labels":null,"State":"created"}])");
  REQUIRE_OK(list);
  REQUIRE(list->size() == 2);
  CHECK(list->at(0).name == "it-1");
  CHECK(list->at(0).labels == Labels{{"a", "b"}});
  CHECK(list->at(0).status == ContainerStatus::kExited);
  CHECK(list->at(1).name.empty());

  const auto created = ParseCreated(R"({"Id":"4f","Warnings":["no swap limit"]})");
  REQUIRE_OK(created);
  CHECK(created->id == ContainerId("4f"));
  CHECK(created->warnings == std::vector<std::string>{"no swap limit"});
}

TEST_CASE("Docker JSON: an answer without what is indispensable is an error", "[unit][docker]") {
  const auto invalid = StatusIs(absl::StatusCode::kInternal, "ENGINE_ANSWER_INVALID");
  for (const char* body : {"", "{", "null", "[]", "{}", "{\"State\":\"running\",\"Id\":7}",
                           "{\"State\":{\"Status\":\"dancing\"}}"}) {
    CHECK_THAT(ParseEngineInfo(body).status(), invalid);
    CHECK_THAT(ParseImage(body).status(), invalid);
    CHECK_THAT(ParseNetwork(body).status(), invalid);
    CHECK_THAT(ParseCreated(body).status(), invalid);
    CHECK_THAT(ParseContainerState(body).status(), invalid);
  }
  for (const char* body : {"", "{}", "null", "[1]", "[{\"Id\":\"x\"}]"})
    CHECK_THAT(ParseContainerList(body).status(), invalid);
}

TEST_CASE("Docker JSON: error words come out of JSON or as they are, bounded", "[unit][docker]") {
  CHECK(ErrorWords("{\"message\":\"No such container: nope\"}\n") == "No such container: nope");
  CHECK(ErrorWords("page not found\n") == "page not found");
  CHECK(ErrorWords(std::string(1'000'000, 'x')).size() == 2000);
}

TEST_CASE("Docker JSON: a log is joined from its pieces and cut to its end", "[unit][docker]") {
  const auto piece = [](char stream, std::string_view text) {
    return std::string{stream, 0, 0, 0, 0, 0, 0, static_cast<char>(text.size())} +
           std::string(text);
  };
  const std::string log = piece(1, "one\n") + piece(2, "two\n");
  CHECK(DemultiplexLog(log, 100) == "one\ntwo\n");
  CHECK(DemultiplexLog(log, 5) == "\ntwo\n");
  CHECK(DemultiplexLog(log.substr(0, log.size() - 2), 100) == "one\ntw");
  CHECK(DemultiplexLog(log + "garbage that is no header", 100) == "one\ntwo\n");
  CHECK(DemultiplexLog("", 100).empty());
  CHECK(DemultiplexLog(std::string("\1\0\0\0\377\377\377\377abc", 11), 100) == "abc");
}

}  // namespace
}  // namespace slipway::docker
