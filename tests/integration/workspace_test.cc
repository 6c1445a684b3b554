#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "agent/workspace/failure.h"
#include "common/git/trash.h"
#include "tests/integration/work_tree_world.h"
#include "tests/support/wait_until.h"

namespace slipway::workspace {
namespace {

namespace fs = std::filesystem;
using testing::CheckPristine;
using testing::Item;
using testing::Populate;
using testing::ReadFile;
using testing::Snapshot;
using testing::StatusIs;
using testing::WriteFile;
using World = testing::WorkTreeWorld;

TEST_CASE("WorkTrees: a first checkout has the commit's files, modes and owner", "[integration]") {
  World world;
  const std::string commit = Populate(world.git);
  const WorkTree tree = world.Prepare(commit);
  CHECK(tree.path == world.at);
  CHECK_FALSE(tree.reused);
  CHECK(tree.files == 7);
  const auto items = Snapshot(world.at);
  const uid_t uid = geteuid() == 0 ? 1000 : geteuid();
  CHECK(items.at("a.txt") == Item{"aaaa", S_IFREG | 0644, uid});
  CHECK(items.at("src/run.sh") == Item{"#!/bin/sh\n", S_IFREG | 0755, uid});
  CHECK(items.at("link") == Item{"-> src/deep", S_IFLNK | 0777, uid});
  CHECK(items.at("src/deep/er") == Item{"dir", S_IFDIR | 0755, uid});
  CHECK(items.at("empty") == Item{"", S_IFREG | 0644, uid});
  CHECK(items.size() == 10);
  CHECK_FALSE(items.contains(".git"));
}

TEST_CASE("WorkTrees: the next commit reuses the tree and writes only what differs",
          "[integration]") {
  World world;
  const bool rest = GENERATE(false, true);
  CAPTURE(rest);
  const std::string first = Populate(world.git);
  world.Prepare(first);
  WriteFile(world.at + "/dist/out.js", "built");
  world.Return(rest);
  world.git.Write("a.txt", "changed");
  fs::remove_all(world.git.path() + "/src/deep");
  world.git.Write("src/deep", "now a file");
  fs::remove(world.git.path() + "/link");
  world.git.Write("link/x", "now a directory");
  fs::permissions(world.git.path() + "/b.txt", fs::perms(0755));
  const std::string second = world.git.Commit("second");
  const WorkTree tree = world.Prepare(second);
  CHECK(tree.reused);
  CHECK(tree.files == 7);
  CHECK(tree.written == 4);
  CHECK(tree.removed == 1);
  CheckPristine(world, second);
  world.Return(rest);
  const WorkTree back = world.Prepare(first);
  CHECK(back.reused);
  CheckPristine(world, first);
}

TEST_CASE("WorkTrees: whatever a build did to its tree is undone", "[integration]") {
  World world;
  const bool rest = GENERATE(false, true);
  CAPTURE(rest);
  const std::string commit = Populate(world.git);
  world.Prepare(commit);
  const std::string& at = world.at;

  SECTION("an edit of the same size with its mtime put back") {
    struct stat before {};
    REQUIRE(stat((at + "/a.txt").c_str(), &before) == 0);
    const int fd = open((at + "/a.txt").c_str(), O_WRONLY);
    REQUIRE(pwrite(fd, "evil", 4, 0) == 4);
    const timespec times[2] = {before.st_atim, before.st_mtim};
    REQUIRE(futimens(fd, times) == 0);
    close(fd);
    struct stat after {};
    REQUIRE(stat((at + "/a.txt").c_str(), &after) == 0);
    REQUIRE(after.st_mtim.tv_nsec == before.st_mtim.tv_nsec);
    REQUIRE(after.st_ino == before.st_ino);
  }
  SECTION("a file replaced by another of the same size and mtime") {
    struct stat before {};
    REQUIRE(stat((at + "/a.txt").c_str(), &before) == 0);
    WriteFile(at + "/new", "evil");
    const timespec times[2] = {before.st_atim, before.st_mtim};
    REQUIRE(utimensat(AT_FDCWD, (at + "/new").c_str(), times, 0) == 0);
    fs::rename(at + "/new", at + "/a.txt");
  }
  SECTION("changed modes and owners, of files and directories") {
    fs::permissions(at + "/a.txt", fs::perms(04777));
    fs::permissions(at + "/src", fs::perms(02000));
    if (geteuid() == 0) {
      REQUIRE(chown((at + "/b.txt").c_str(), 0, 0) == 0);
      REQUIRE(chown((at + "/src/deep").c_str(), 4242, 4242) == 0);
    }
  }
  SECTION("a hard link to a tracked file, written through") {
    fs::create_hard_link(at + "/a.txt", at + "/hard");
    WriteFile(at + "/hard", "evil");
  }
  SECTION("files where directories were, and the reverse") {
    fs::remove_all(at + "/src");
    WriteFile(at + "/src", "file");
    fs::remove(at + "/a.txt");
    fs::create_directories(at + "/a.txt/x/y");
    REQUIRE(mkfifo((at + "/pipe").c_str(), 0666) == 0);
    fs::remove(at + "/b.txt");
    REQUIRE(mkfifo((at + "/b.txt").c_str(), 0666) == 0);
  }
  SECTION("everything deleted") {
    for (const auto& entry : fs::directory_iterator(at)) fs::remove_all(entry);
  }
  SECTION("a .git of its own and ignored files") {
    WriteFile(at + "/.git/config", "[core]\n\tfsmonitor = touch /tmp/x\n");
    WriteFile(at + "/dist/a", "x");
    WriteFile(at + "/src/.gitattributes", "* text eol=crlf\n");
  }
  SECTION("the tree itself replaced by a symbolic link") {
    fs::create_directories(world.temp.path() + "/victim");
    WriteFile(world.temp.path() + "/victim/a.txt", "precious");
    fs::rename(at, world.temp.path() + "/box/moved");
    fs::create_directory_symlink(world.temp.path() + "/victim", at);
  }
  world.Return(rest);
  world.Prepare(commit);
  CheckPristine(world, commit);
  if (fs::exists(world.temp.path() + "/victim")) {
    CHECK(ReadFile(world.temp.path() + "/victim/a.txt") == "precious");
  }
}

TEST_CASE("WorkTrees: symbolic links left by a build lead no write out of the tree",
          "[integration]") {
  World world;
  Populate(world.git);
  const std::string first = world.git.Git({"rev-parse", "HEAD"});
  const std::string victim = world.temp.path() + "/victim";
  WriteFile(victim + "/deep/er/c.txt", "precious");
  WriteFile(victim + "/a.txt", "precious");
  const auto before = Snapshot(victim);
  world.Prepare(first);
  fs::remove_all(world.at + "/src");
  fs::create_directory_symlink(victim, world.at + "/src");
  fs::remove(world.at + "/a.txt");
  fs::create_symlink(victim + "/a.txt", world.at + "/a.txt");
  world.Return(GENERATE(false, true));
  world.git.Write("src/deep/er/c.txt", "changed");
  world.git.Write("a.txt", "changed");
  const std::string second = world.git.Commit("second");
  world.Prepare(second);
  CHECK(Snapshot(victim) == before);
  CHECK_FALSE(fs::is_symlink(world.at + "/src"));
  CheckPristine(world, second);
}

TEST_CASE("WorkTrees: a symbolic link of the commit leads no write out of the tree",
          "[integration]") {
  World world;
  const std::string victim = world.temp.path() + "/victim";
  fs::create_directories(victim);
  fs::create_directory_symlink(victim, world.git.path() + "/out");
  const std::string first = world.git.Commit("link");
  fs::remove(world.git.path() + "/out");
  world.git.Write("out/file", "x");
  const std::string second = world.git.Commit("directory");
  world.Prepare(first);
  REQUIRE_OK(world.trees->Return(world.at));
  world.Prepare(second);
  CHECK(fs::is_empty(victim));
  CHECK(ReadFile(world.at + "/out/file") == "x");
}

TEST_CASE("WorkTrees: a kept tree survives a restart, a lent one can be returned after it",
          "[integration]") {
  World world;
  const std::string commit = Populate(world.git);
  world.Prepare(commit);
  world.Restart();
  CHECK(fs::exists(world.at + "/a.txt"));
  REQUIRE_OK(world.trees->Return(world.at));
  CHECK_FALSE(fs::exists(world.at));
  world.Restart();
  const WorkTree tree = world.Prepare(commit);
  CHECK(tree.reused);
  CHECK(tree.written == 0);
}

TEST_CASE("WorkTrees: a damaged record trusts nothing", "[integration]") {
  World world;
  const std::string commit = Populate(world.git);
  world.Prepare(commit);
  WriteFile(world.at + "/a.txt", "evil");
  world.Return(GENERATE(false, true));
  // Now its record is all that is known of the tree.
  world.Restart();
  for (const auto& entry : fs::recursive_directory_iterator(world.temp.path() + "/work/trees")) {
    if (entry.path().filename() != "record") continue;
    std::string bytes = ReadFile(entry.path().string());
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    WriteFile(entry.path().string(), bytes);
  }
  const WorkTree tree = world.Prepare(commit);
  CHECK_FALSE(tree.reused);
  CheckPristine(world, commit);
}

TEST_CASE("WorkTrees: two attempts at once have trees of their own; surplus goes to the trash",
          "[integration]") {
  World world;
  const std::string commit = Populate(world.git);
  std::vector<std::string> places;
  for (int i = 0; i < 4; ++i) {
    places.push_back(world.temp.path() + "/box/" + std::to_string(i));
    REQUIRE_OK(world.trees->Prepare(world.git.path(), commit, places.back()));
  }
  WriteFile(places[0] + "/a.txt", "mine");
  CHECK(ReadFile(places[1] + "/a.txt") == "aaaa");
  for (const auto& place : places) REQUIRE_OK(world.trees->Return(place));
  // Some are dropped by the thread that puts trees right.
  CHECK(testing::WaitUntil([&] {
    std::size_t slots = 0;
    for (const auto& repository : fs::directory_iterator(world.temp.path() + "/work/trees")) {
      for (const auto& slot : fs::directory_iterator(repository)) slots += slot.is_directory();
    }
    return slots == 2;
  }));
  CHECK(world.trees->WaitUntilRestored(std::chrono::seconds(30)));
  CHECK(world.mirrors->trash().WaitUntilEmpty(std::chrono::seconds(30)));
  CHECK(fs::is_empty(world.temp.path() + "/work/trash"));
}

TEST_CASE("WorkTrees: what is kept can be dropped, what is lent cannot", "[integration]") {
  World world;
  const std::string commit = Populate(world.git);
  const std::string one = world.temp.path() + "/box/1";
  const std::string two = world.temp.path() + "/box/2";
  REQUIRE_OK(world.trees->Prepare(world.git.path(), commit, one));
  REQUIRE_OK(world.trees->Prepare(world.git.path(), commit, two));
  CHECK(world.trees->ListKept().empty());
  REQUIRE_OK(world.trees->Return(one));
  const auto kept = world.trees->ListKept();
  REQUIRE(kept.size() == 1);
  CHECK_OK(world.trees->DropKept(kept[0].path));
  CHECK_FALSE(fs::exists(kept[0].path));
  CHECK(world.trees->DropKept(kept[0].path).code() == absl::StatusCode::kAborted);
  CHECK(ReadFile(two + "/a.txt") == "aaaa");
  // The next build has nothing to reuse and gets a tree all the same.
  const auto next = world.trees->Prepare(world.git.path(), commit, one);
  REQUIRE_OK(next);
  CHECK_FALSE(next->reused);
}

TEST_CASE("WorkTrees: a destination that is in use or unreachable is refused", "[integration]") {
  World world;
  const std::string commit = Populate(world.git);
  fs::create_directories(world.at);
  CHECK_THAT(world.trees->Prepare(world.git.path(), commit, world.at).status(),
             StatusIs(absl::StatusCode::kAlreadyExists));
  CHECK_FALSE(world.trees->Prepare(world.git.path(), commit, "/nonexistent/x/y").ok());
  CHECK_OK(world.trees->Return("/never/lent"));
  fs::remove_all(world.at);
  world.Prepare(commit);
  CHECK_OK(world.trees->Discard(world.at));
  CHECK_FALSE(fs::exists(world.at));
}

TEST_CASE("WorkTrees: line ends follow .gitattributes of the commit", "[integration]") {
  World world;
  world.git.Write("run.bat", "one\ntwo\n");
  world.git.Write("plain.txt", "one\ntwo\n");
  const std::string first = world.git.Commit("without");
  world.git.Write(".gitattributes", "*.bat text eol=crlf\n");
  const std::string second = world.git.Commit("with");
  const bool rest = GENERATE(false, true);
  CAPTURE(rest);
  world.Prepare(first);
  CHECK(ReadFile(world.at + "/run.bat") == "one\ntwo\n");
  world.Return(rest);
  world.Prepare(second);
  CHECK(ReadFile(world.at + "/run.bat") == "one\r\ntwo\r\n");
  CHECK(ReadFile(world.at + "/plain.txt") == "one\ntwo\n");
  world.Return(rest);
  world.Prepare(first);
  CHECK(ReadFile(world.at + "/run.bat") == "one\ntwo\n");
}

TEST_CASE("WorkTrees: a commit above the limits is refused before it fills the disk",
          "[integration]") {
  World world;
  world.options.max_files = 6;
  world.Restart();
  const std::string commit = Populate(world.git);
  const auto files = world.trees->Prepare(world.git.path(), commit, world.at).status();
  CHECK_THAT(files, StatusIs(absl::StatusCode::kFailedPrecondition, "REPOSITORY_TOO_LARGE"));
  CHECK(ToFailure(files).klass == protocol::FailureClass::kPolicy);
  world.options = {};
  world.options.max_bytes = 10;
  world.Restart();
  CHECK_THAT(world.trees->Prepare(world.git.path(), commit, world.at).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "REPOSITORY_TOO_LARGE"));
  world.options = {};
  world.options.max_file_bytes = 3;
  world.Restart();
  CHECK_THAT(world.trees->Prepare(world.git.path(), commit, world.at).status(),
             StatusIs(absl::StatusCode::kFailedPrecondition, "REPOSITORY_TOO_LARGE"));
  CHECK_FALSE(fs::exists(world.at));
}

TEST_CASE("WorkTrees: a damaged blob in the mirror is fetched anew", "[integration]") {
  World world;
  // Does not compress, so that the largest file of the mirror is the blob or its pack.
  std::string content;
  for (unsigned i = 0, x = 1; i < 100'000; ++i)
    content.push_back(static_cast<char>((x = x * 1664525 + 1013904223) >> 24));
  world.git.Write("a.txt", content);
  const std::string commit = world.git.Commit("first");
  REQUIRE_OK(world.mirrors->Resolve(world.git.path(), "main"));
  fs::path largest;
  const std::string mirror = *world.mirrors->PathOf(world.git.path());
  for (const auto& entry : fs::recursive_directory_iterator(mirror + "/objects")) {
    if (!entry.is_regular_file()) continue;
    if (largest.empty() || entry.file_size() > fs::file_size(largest)) largest = entry.path();
  }
  fs::permissions(largest, fs::perms(0644));
  std::string bytes = ReadFile(largest.string());
  REQUIRE(bytes.size() > 90'000);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x55);
  WriteFile(largest.string(), bytes);
  world.Prepare(commit);
  CHECK((ReadFile(world.at + "/a.txt") == content));
}

TEST_CASE("WorkTrees: a stop before the checkout leaves nothing at the destination",
          "[integration]") {
  World world;
  const std::string commit = Populate(world.git);
  std::stop_source stop;
  stop.request_stop();
  const auto status =
      world.trees->Prepare(world.git.path(), commit, world.at, stop.get_token()).status();
  CHECK(status.code() == absl::StatusCode::kCancelled);
  CHECK_FALSE(fs::exists(world.at));
}

}  // namespace
}  // namespace slipway::workspace
