#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <ostream>
#include <string>

#include "agent/workspace/work_trees.h"
#include "tests/support/git_fixture.h"
#include "tests/support/status_matchers.h"

// A repository, its mirror and work trees, and what a tree has to look like.
namespace slipway::testing {

namespace fs = std::filesystem;

struct WorkTreeWorld {
  TempDir temp;
  GitFixture git{temp.path() + "/origin"};
  std::unique_ptr<git::MirrorCache> mirrors;
  std::unique_ptr<workspace::WorkTrees> trees;
  workspace::WorkTreeOptions options;
  const std::string at = temp.path() + "/box/src";

  WorkTreeWorld() {
    fs::create_directories(temp.path() + "/box");
    Restart();
  }
  void Restart() {
    git::MirrorOptions mirror_options;
    mirror_options.work_dir = temp.path() + "/work";
    mirror_options.allowed_schemes = {"file"};
    trees.reset();
    mirrors.reset();
    auto made = git::MirrorCache::Create(mirror_options);
    REQUIRE_OK(made);
    mirrors = std::move(*made);
    auto made_trees = workspace::WorkTrees::Create(*mirrors, options);
    REQUIRE_OK(made_trees);
    trees = std::move(*made_trees);
  }
  workspace::WorkTree Prepare(const std::string& commit) {
    auto tree = trees->Prepare(git.path(), commit, at);
    REQUIRE_OK(tree);
    return *tree;
  }
  // `rest`: the next build comes when the tree has been put right.
  void Return(bool rest) {
    REQUIRE_OK(trees->Return(at));
    if (rest) REQUIRE(trees->WaitUntilRestored(std::chrono::seconds(60)));
  }
  // Of the only kept tree.
  std::string Slot() {
    const auto kept = trees->ListKept();
    REQUIRE(kept.size() == 1);
    return kept[0].path;
  }
};

struct Item {
  std::string content;
  mode_t mode;
  uid_t uid;
  friend bool operator==(const Item&, const Item&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Item& item) {
    return out << item.content << " " << std::oct << item.mode << std::dec << " " << item.uid;
  }
};

// Everything below a directory: path → content (or link target), mode, owner.
inline std::map<std::string, Item> Snapshot(const std::string& root) {
  std::map<std::string, Item> items;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    struct stat info {};
    REQUIRE(lstat(entry.path().c_str(), &info) == 0);
    std::string content = "dir";
    if (S_ISLNK(info.st_mode)) content = "-> " + fs::read_symlink(entry.path()).string();
    if (S_ISREG(info.st_mode)) content = ReadFile(entry.path().string());
    items[entry.path().lexically_relative(root).string()] = {content, info.st_mode, info.st_uid};
  }
  return items;
}

// A repository with a little of everything; its only commit.
inline std::string Populate(const GitFixture& git) {
  git.Write("a.txt", "aaaa");
  git.Write("b.txt", "bbbb");
  git.Write("src/deep/er/c.txt", "cccc");
  git.Write("src/run.sh", "#!/bin/sh\n");
  git.Write(".gitignore", "dist\n");
  git.Write("empty", "");
  fs::permissions(git.path() + "/src/run.sh", fs::perms(0755));
  fs::create_symlink("src/deep", git.path() + "/link");
  return git.Commit("everything");
}

// The tree must be what a checkout from nothing gives.
inline void CheckPristine(WorkTreeWorld& world, const std::string& commit) {
  const auto reused = Snapshot(world.at);
  WorkTreeWorld other;
  auto tree = other.trees->Prepare(world.git.path(), commit, other.at);
  REQUIRE_OK(tree);
  CHECK(reused == Snapshot(other.at));
}

}  // namespace slipway::testing
