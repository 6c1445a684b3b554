#pragma once

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/process/process.h"

namespace slipway::testing {

// A directory that is gone with the object.
class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "slipway-test-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline void WriteText(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

inline std::string ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

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
    WriteText(dir_ + "/" + path, text);
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
