#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "common/process/process.h"
#include "tests/support/temp_dir.h"

namespace slipway::testing {

// A repository with a work tree, driven by the git program.
class GitFixture {
 public:
  explicit GitFixture(std::string dir) : dir_(std::move(dir)) {
    std::filesystem::create_directories(dir_);
    Git({"init", "-q", "-b", "main"});
  }

  // What git prints, without the line end. Fails the test when git fails.
  std::string Git(const std::vector<std::string>& arguments) const {
    process::Command command;
    command.argv = {"git"};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    command.cwd = dir_;
    command.env = {{"PATH", "/usr/bin:/bin"},          {"GIT_CONFIG_NOSYSTEM", "1"},
                   {"GIT_CONFIG_GLOBAL", "/dev/null"}, {"GIT_AUTHOR_NAME", "A"},
                   {"GIT_AUTHOR_EMAIL", "a@x"},        {"GIT_COMMITTER_NAME", "C"},
                   {"GIT_COMMITTER_EMAIL", "c@x"}};
    const auto result = process::Run(command);
    REQUIRE(result.ok());
    INFO(result->err);
    REQUIRE(result->Succeeded());
    std::string out = result->out;
    while (!out.empty() && out.back() == '\n') out.pop_back();
    return out;
  }

  void Write(const std::string& path, const std::string& text) const {
    WriteFile(dir_ + "/" + path, text);
  }
  // Commits everything; the new commit's id.
  std::string Commit(const std::string& subject) const {
    Git({"add", "-A", "-f"});
    Git({"commit", "-q", "--allow-empty", "-m", subject});
    return Git({"rev-parse", "HEAD"});
  }
  [[nodiscard]] const std::string& path() const { return dir_; }

 private:
  std::string dir_;
};

}  // namespace slipway::testing
