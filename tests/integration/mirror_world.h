#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "common/git/mirror_cache.h"
#include "tests/support/git_fixture.h"
#include "tests/support/status_matchers.h"

// A repository and a cache that mirrors it.
namespace slipway::testing {

struct MirrorWorld {
  TempDir temp;
  GitFixture git{temp.path() + "/origin"};
  std::unique_ptr<git::MirrorCache> mirrors;

  MirrorWorld() { Restart(); }
  void Restart() {
    git::MirrorOptions options;
    options.work_dir = temp.path() + "/work";
    options.allowed_schemes.insert("file");
    options.allowed_schemes.insert("http");
    options.fetch_timeout = std::chrono::seconds(30);
    mirrors.reset();
    auto made = git::MirrorCache::Create(options);
    REQUIRE_OK(made);
    mirrors = std::move(*made);
  }
  const std::string& url() const { return git.path(); }
};

}  // namespace slipway::testing
