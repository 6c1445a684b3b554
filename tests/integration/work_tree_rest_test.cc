#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <random>

#include "agent/workspace/tree_record.h"
#include "common/git/trash.h"
#include "tests/integration/work_tree_world.h"

// What happens to a tree between two builds, and what the next one then finds.
namespace slipway::workspace {
namespace {

namespace fs = std::filesystem;
using testing::CheckPristine;
using testing::Populate;
using testing::ReadFile;
using testing::Snapshot;
using testing::StatusIs;
using testing::WriteFile;
using World = testing::WorkTreeWorld;

ino_t InodeOf(const std::string& path) {
  struct stat info {};
  REQUIRE(lstat(path.c_str(), &info) == 0);
  return info.st_ino;
}

TEST_CASE("WorkTrees: a returned tree is put right before anybody asks for it", "[integration]") {
  World world;
  const std::string commit = Populate(world.git);
  world.Prepare(commit);
  const auto pristine = Snapshot(world.at);
  const ino_t untouched = InodeOf(world.at + "/b.txt");
  WriteFile(world.at + "/a.txt", "evil");
  WriteFile(world.at + "/dist/out.js", "built");
  fs::remove(world.at + "/empty");
  world.Return(true);
  CHECK(Snapshot(world.Slot() + "/tree") == pristine);

  const WorkTree tree = world.Prepare(commit);
  CHECK(tree.reused);
  CHECK(tree.commit == commit);
  CHECK(tree.files == 7);
  CHECK(tree.written == 2);
  CHECK(tree.removed == 1);
  CHECK(InodeOf(world.at + "/b.txt") == untouched);
  CheckPristine(world, commit);
  // Its record is that of the new files.
  world.Return(true);
  CHECK(world.Prepare(commit).written == 0);
}

TEST_CASE("WorkTrees: a tree that lies at the wanted commit goes before a newer one",
          "[integration]") {
  World world;
  const std::string first = Populate(world.git);
  world.git.Write("a.txt", "second");
  const std::string second = world.git.Commit("second");
  const std::string other = world.temp.path() + "/box/other";
  world.Prepare(first);
  REQUIRE_OK(world.trees->Prepare(world.git.path(), second, other));
  const ino_t inode = InodeOf(world.at);
  world.Return(true);
  REQUIRE_OK(world.trees->Return(other));
  REQUIRE(world.trees->WaitUntilRestored(std::chrono::seconds(60)));
  world.Prepare(first);
  CHECK(InodeOf(world.at) == inode);
  CHECK(ReadFile(world.at + "/a.txt") == "aaaa");
}

TEST_CASE("WorkTrees: a build that comes at once gets the tree, whoever puts it right",
          "[integration]") {
  World world;
  const std::string commit = Populate(world.git);
  for (int i = 0; i < 20; ++i) {
    const WorkTree tree = world.Prepare(commit);
    CHECK(tree.reused == (i > 0));
    CHECK(ReadFile(world.at + "/a.txt") == "aaaa");
    WriteFile(world.at + "/a.txt", "evil");
    REQUIRE_OK(world.trees->Return(world.at));
  }
}

TEST_CASE("WorkTrees: kinds that change between commits change in a tree that was put right",
          "[integration]") {
  World world;
  world.git.Write("keep/me", "kept");
  world.git.Write("one", "file");
  world.git.Write("one.more", "beside it, before and after");
  world.git.Write("two/a/b", "deep");
  world.git.Write("two/c", "c");
  fs::create_directory_symlink("two", world.git.path() + "/three");
  const std::string first = world.git.Commit("first");
  fs::remove(world.git.path() + "/one");
  world.git.Write("one/is/now", "a directory");
  fs::remove_all(world.git.path() + "/two/a");
  world.git.Write("two/a", "now a file");
  fs::remove(world.git.path() + "/three");
  world.git.Write("three", "now a file");
  // A submodule.
  world.git.Git(
      {"update-index", "--add", "--cacheinfo", "160000," + std::string(40, '1') + ",sub"});
  const std::string tree = [&] {
    world.git.Git({"add", "-A", "one", "two", "three"});
    return world.git.Git({"write-tree"});
  }();
  const std::string second = world.git.Git({"commit-tree", tree, "-p", first, "-m", "second"});
  world.git.Git({"update-ref", "refs/heads/main", second});

  for (const std::string& commit : {first, second, first, second}) {
    world.Prepare(commit);
    CheckPristine(world, commit);
    CHECK(fs::exists(world.at + "/sub") == (commit == second));
    world.Return(true);
  }
}

// Files of a few names in a few directories, so that names change their kind often.
void ChangeSomething(const World& world, std::mt19937& random) {
  const auto any = [&](int below) {
    return static_cast<int>(random() % static_cast<unsigned>(below));
  };
  std::string path = world.git.path() + "/d" + std::to_string(any(3));
  for (int depth = any(3); depth > 0; --depth) {
    // What is no directory is in the way.
    if (!fs::is_directory(fs::symlink_status(path))) fs::remove(path);
    fs::create_directories(path);
    path += "/d" + std::to_string(any(3));
  }
  switch (any(6)) {
    case 0: fs::remove_all(path); break;
    case 1:
      if (fs::is_regular_file(fs::symlink_status(path))) fs::permissions(path, fs::perms(0755));
      break;
    case 2:
      fs::remove_all(path);
      fs::create_symlink("d1", path);
      break;
    default: fs::remove_all(path); WriteFile(path, "content " + std::to_string(any(1000)));
  }
}

void Build(const World& world, std::mt19937& random) {
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(world.at)) {
    if (fs::is_regular_file(entry.symlink_status())) files.push_back(entry.path().string());
  }
  for (const std::string& file : files) {
    if (random() % 4 == 0) WriteFile(file, "evil");
    if (random() % 8 == 0) fs::remove(file);
  }
  if (random() % 4 == 0) WriteFile(world.at + "/.gitattributes", "* text eol=crlf\n");
}

TEST_CASE("WorkTrees: whatever the commits and whenever they come, the tree is the commit's",
          "[integration]") {
  const unsigned seed = GENERATE(1U, 2U, 3U);
  CAPTURE(seed);
  std::mt19937 random(seed);
  World world;
  std::vector<std::string> commits;
  for (int i = 0; i < 10; ++i) {
    for (int change = 0; change < 6; ++change) ChangeSomething(world, random);
    commits.push_back(world.git.Commit(std::to_string(i)));
  }
  for (int i = 0; i < 12; ++i) {
    const std::string& commit = commits[random() % commits.size()];
    CAPTURE(i, commit);
    const WorkTree tree = world.Prepare(commit);
    CHECK(tree.reused == (i > 0));
    CheckPristine(world, commit);
    Build(world, random);
    world.Return(random() % 3 != 0);
  }
}

TEST_CASE("WorkTrees: limits hold for what a tree that was put right becomes", "[integration]") {
  World world;
  // Seven files in three directories.
  const std::string first = Populate(world.git);
  world.options.max_files = 10;
  world.options.max_bytes = 100;
  world.Restart();
  world.Prepare(first);
  world.Return(true);
  const auto prepare = [&](const std::string& commit) {
    const absl::Status status = world.trees->Prepare(world.git.path(), commit, world.at).status();
    if (status.ok()) world.Return(true);
    return status;
  };
  fs::remove(world.git.path() + "/b.txt");
  world.git.Write("c.txt", "cccc");
  CHECK_OK(prepare(world.git.Commit("as many")));
  fs::remove_all(world.git.path() + "/src/deep");
  world.git.Write("one/two/three", "3");
  CHECK_OK(prepare(world.git.Commit("as many again")));
  world.git.Write("one/more", "4");
  CHECK_THAT(prepare(world.git.Commit("more")),
             StatusIs(absl::StatusCode::kFailedPrecondition, "REPOSITORY_TOO_LARGE"));

  CHECK_OK(prepare(first));
  // 35 bytes, with the target of the symbolic link.
  world.git.Git({"reset", "-q", "--hard", first});
  world.git.Write("a.txt", std::string(60, 'a'));
  CHECK_OK(prepare(world.git.Commit("large")));
  world.git.Write("a.txt", std::string(65, 'b'));
  CHECK_OK(prepare(world.git.Commit("larger, instead of it")));
  world.git.Write("b.txt", std::string(40, 'b'));
  CHECK_THAT(prepare(world.git.Commit("too large")),
             StatusIs(absl::StatusCode::kFailedPrecondition, "REPOSITORY_TOO_LARGE"));
}

TEST_CASE("WorkTrees: a tree that somebody damaged where it is kept is made anew",
          "[integration]") {
  World world;
  const std::string first = Populate(world.git);
  world.git.Write("src/deep/er/c.txt", "changed");
  const std::string second = world.git.Commit("second");
  world.Prepare(first);
  world.Return(true);
  fs::remove_all(world.Slot() + "/tree/src/deep");
  CHECK_FALSE(world.Prepare(second).reused);
  CheckPristine(world, second);
}

TEST_CASE("WorkTrees: a returned tree whose mirror is gone waits for the next fetch",
          "[integration]") {
  World world;
  const std::string commit = Populate(world.git);
  world.Prepare(commit);
  WriteFile(world.at + "/a.txt", "evil");
  REQUIRE_OK(world.mirrors->trash().Put(*world.mirrors->PathOf(world.git.path())));
  world.Return(true);
  const WorkTree tree = world.Prepare(commit);
  CHECK(tree.reused);
  CHECK(tree.written == 1);
  CheckPristine(world, commit);
}

TEST_CASE("WorkTrees: a restart while trees are being put right loses none of it",
          "[integration]") {
  World world;
  const std::string commit = Populate(world.git);
  for (int i = 0; i < 10; ++i) {
    const WorkTree tree = world.Prepare(commit);
    CHECK(tree.reused == (i > 0));
    CHECK(ReadFile(world.at + "/src/deep/er/c.txt") == "cccc");
    WriteFile(world.at + "/src/deep/er/c.txt", "evil");
    fs::remove(world.at + "/a.txt");
    REQUIRE_OK(world.trees->Return(world.at));
    world.Restart();
  }
  world.Prepare(commit);
  CheckPristine(world, commit);
}

TEST_CASE("TreeRecord: what is changed after the wait has another ctime", "[integration]") {
  const testing::TempDir temp;
  const std::string probe = temp.path() + "/probe";
  WriteFile(probe, "");
  const std::string path = temp.path() + "/file";
  for (int i = 0; i < 50; ++i) {
    fs::remove(path);
    WriteFile(path, "aaaa");
    struct stat before {};
    REQUIRE(stat(path.c_str(), &before) == 0);
    REQUIRE_OK(WaitForLaterStamps(probe, FileStamp::Of(before).ctime_ns));
    const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    REQUIRE(pwrite(fd, "evil", 4, 0) == 4);
    const timespec times[2] = {before.st_atim, before.st_mtim};
    REQUIRE(futimens(fd, times) == 0);
    close(fd);
    struct stat after {};
    REQUIRE(stat(path.c_str(), &after) == 0);
    CHECK_FALSE(FileStamp::Of(after) == FileStamp::Of(before));
  }
}

TEST_CASE("TreeRecord: is read as it was written, and never in part", "[integration]") {
  TreeRecord record;
  record.boot = "boot";
  record.owner = "1:1000:1000";
  record.attributes = "";
  record.commit = std::string(40, 'c');
  record.entries = 3;
  for (const char* path : {"a", "b/c"}) {
    RecordedFile file;
    file.path = path;
    file.blob.id[0] = 7;
    file.mode = 0100644;
    file.stamp = {.inode = 1, .size = 2, .mtime_ns = 3, .ctime_ns = 4};
    record.files.push_back(file);
  }
  const std::string bytes = record.Serialize();
  const auto parsed = TreeRecord::Parse(bytes);
  REQUIRE(parsed);
  CHECK(parsed->Serialize() == bytes);
  CHECK(parsed->commit == record.commit);
  CHECK(parsed->entries == 3);
  CHECK(parsed->files[1].path == "b/c");
  CHECK(parsed->files[1].stamp == record.files[1].stamp);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(TreeRecord::Parse(bytes.substr(0, size)));
    std::string changed = bytes;
    changed[size] = static_cast<char>(changed[size] ^ 1);
    CHECK_FALSE(TreeRecord::Parse(changed));
  }
  CHECK_FALSE(TreeRecord::Parse(bytes + "x"));
}

}  // namespace
}  // namespace slipway::workspace
