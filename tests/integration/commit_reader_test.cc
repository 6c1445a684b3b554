#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/integration/mirror_world.h"

namespace slipway::git {
namespace {

using testing::GitFixture;
using testing::StatusIs;
using World = testing::MirrorWorld;

// A branch whose commit has these bytes, which git itself would not write.
void WriteRaw(const GitFixture& git, const std::string& branch, const std::string& commit) {
  git.Write("../raw", commit);
  const std::string id =
      git.Git({"hash-object", "-t", "commit", "-w", "--literally", git.path() + "/../raw"});
  git.Git({"update-ref", "refs/heads/" + branch, id});
}

TEST_CASE("CommitReader: reads files of a commit with a cap and follows nothing", "[integration]") {
  World world;
  world.git.Write("slipway.yaml", "version: 1\n");
  world.git.Write("dir/key", "k");
  std::filesystem::create_symlink("/etc/passwd", world.git.path() + "/link");
  const std::string commit = world.git.Commit("Ünïcode subject\n\nbody");
  REQUIRE_OK(world.mirrors->Resolve(world.url(), "main"));
  auto reader = world.mirrors->Reader(world.url());
  REQUIRE_OK(reader);
  CHECK(*reader->ReadFile(commit, "slipway.yaml", 100) == "version: 1\n");
  CHECK(*reader->ReadFile(commit, "dir/key", 1) == "k");
  CHECK_THAT(reader->ReadFile(commit, "slipway.yaml", 5).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "FILE_TOO_LARGE"));
  for (const char* path : {"none", "dir", "link", "dir/none", "../x", "/slipway.yaml"}) {
    INFO(path);
    CHECK_FALSE(reader->ReadFile(commit, path, 100).ok());
  }
  CHECK_THAT(reader->ReadFile(std::string(40, 'b'), "x", 1).status(),
             StatusIs(absl::StatusCode::kNotFound, "REF_UNKNOWN"));
  CHECK(reader->Describe(commit)->subject == "Ünïcode subject");
}

TEST_CASE("CommitReader: tells regular files of a folder, up to a limit", "[integration]") {
  World world;
  for (const char* path :
       {"themes/blue.json", "themes/a/red.json", "themes/\xe2\x80\xae.json", "x"}) {
    world.git.Write(path, "{}");
  }
  std::filesystem::create_symlink("/etc/passwd", world.git.path() + "/themes/link");
  std::filesystem::create_directory_symlink("/etc", world.git.path() + "/etc");
  const std::string commit = world.git.Commit("one");
  REQUIRE_OK(world.mirrors->Resolve(world.url(), "main"));
  auto reader = world.mirrors->Reader(world.url());
  REQUIRE_OK(reader);
  using Paths = std::vector<std::string>;
  CHECK(*reader->ListFiles(commit, "themes", 10) == Paths{"themes/a/red.json", "themes/blue.json"});
  CHECK(*reader->ListFiles(commit, "themes", 1) == Paths{"themes/a/red.json"});
  CHECK(*reader->ListFiles(commit, ".", 10) == Paths{"themes/a/red.json", "themes/blue.json", "x"});
  CHECK(reader->ListFiles(commit, "none", 10)->empty());
  CHECK(reader->ListFiles(commit, "x", 10)->empty());
  CHECK(*reader->HasFile(commit, "themes/a/red.json"));
  for (const char* path : {"none", "themes", "themes/link", "etc/passwd", "themes/../x"}) {
    INFO(path);
    const auto there = reader->HasFile(commit, path);
    CHECK((!there.ok() || !*there));
  }
  CHECK_THAT(reader->HasFile(std::string(40, 'b'), "x").status(),
             StatusIs(absl::StatusCode::kNotFound, "REF_UNKNOWN"));
}

TEST_CASE("CommitReader: lists branches and tags, newest commit first", "[integration]") {
  World world;
  world.git.Commit("old");
  world.git.Git({"tag", "v1"});
  world.git.Git({"commit", "-q", "--amend", "--allow-empty", "-m", "new"});
  REQUIRE_OK(world.mirrors->Resolve(world.url(), "main"));
  const auto versions = world.mirrors->Reader(world.url())->ListVersions();
  REQUIRE_OK(versions);
  REQUIRE(versions->versions.size() == 2);
  CHECK_FALSE(versions->cut);
  CHECK(versions->versions[0].commit.time >= versions->versions[1].commit.time);
  std::set<std::string> names;
  for (const Version& version : versions->versions) {
    names.insert(version.name + (version.is_tag ? "/tag:" : "/branch:") + version.commit.subject);
  }
  CHECK(names == std::set<std::string>{"v1/tag:old", "main/branch:new"});
  const auto newest = world.mirrors->Reader(world.url())->ListVersions({.max_versions = 1});
  REQUIRE_OK(newest);
  CHECK(newest->versions.size() == 1);
  CHECK(newest->cut);
  const auto looked_at = world.mirrors->Reader(world.url())->ListVersions({.max_refs = 1});
  REQUIRE_OK(looked_at);
  CHECK(looked_at->versions.size() == 1);
  CHECK(looked_at->cut);
}

TEST_CASE("CommitReader: what a message hides or reorders is shown as what it is not",
          "[integration]") {
  World world;
  world.git.Commit(
      "fix \xE2\x80\xAEtxt.exe\x1b[31m \xE0\xA4\x95 \xF0\x9F\x9A\xA2\n\nbody\u200b "
      "line\nmore");
  REQUIRE_OK(world.mirrors->Refresh(world.url()));
  const auto versions = world.mirrors->Reader(world.url())->ListVersions();
  REQUIRE_OK(versions);
  REQUIRE(versions->versions.size() == 1);
  const CommitInfo& commit = versions->versions[0].commit;
  CHECK(commit.subject == "fix ?txt.exe?[31m \xE0\xA4\x95 \xF0\x9F\x9A\xA2");
  CHECK(commit.message == commit.subject + "\n\nbody? line\nmore");
}

TEST_CASE("CommitReader: a commit that claims to be of another age is listed", "[integration]") {
  World world;
  const std::string tree = world.git.Git({"write-tree"});
  WriteRaw(world.git, "late",
           "tree " + tree +
               "\nauthor A <a@x> 9223372036854775 +0000\n"
               "committer A <a@x> 9223372036854775 +0000\n\nfar away\n");
  world.git.Commit("now");
  REQUIRE_OK(world.mirrors->Refresh(world.url()));
  const auto versions = world.mirrors->Reader(world.url())->ListVersions();
  REQUIRE_OK(versions);
  REQUIRE(versions->versions.size() == 2);
  CHECK(versions->versions[0].name == "late");
  CHECK(versions->versions[0].commit.time == FromUnixMicros(9'000'000'000'000'000));
}

}  // namespace
}  // namespace slipway::git
