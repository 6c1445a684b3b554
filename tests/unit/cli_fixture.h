#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <mutex>
#include <ostream>
#include <sstream>
#include <stop_token>
#include <streambuf>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "controller/cli/program.h"
#include "tests/support/tree.h"
#include "tests/unit/cli_fake_controller.h"

namespace slipway::cli {

using testing::FakeController;
using testing::FakeFarm;

// What a program prints, readable while it still prints.
class SharedText final : public std::streambuf {
 public:
  std::string text() const {
    const std::lock_guard lock(mu_);
    return text_;
  }
  bool Has(const std::string& part) const { return text().find(part) != std::string::npos; }

 protected:
  int overflow(int c) override {
    const std::lock_guard lock(mu_);
    text_ += static_cast<char>(c);
    return c;
  }
  std::streamsize xsputn(const char* bytes, std::streamsize n) override {
    const std::lock_guard lock(mu_);
    text_.append(bytes, static_cast<std::size_t>(n));
    return n;
  }

 private:
  mutable std::mutex mu_;
  std::string text_;
};

// One run of the program against the fake controller.
class CliRun {
 public:
  // What the program finds around itself.
  struct Place {
    bool terminal = false;
    std::string no_color = {};  // the variable NO_COLOR
    // Further variables.
    std::map<std::string, std::string> environment = {};
    std::string in = {};
    // What the person at the terminal says, question by question; none: there is nobody.
    std::vector<std::string> answers = {};
  };

  CliRun(const FakeController& controller, std::vector<std::string> arguments)
      : CliRun(controller, std::move(arguments), Place()) {}
  CliRun(const FakeController& controller, std::vector<std::string> arguments, Place place)
      : arguments_(std::move(arguments)), place_(std::move(place)) {
    for (const std::string& flag :
         {"--server=" + controller.address(), "--ca=" + controller.ca_file(),
          "--token-file=" + controller.token_file()}) {
      arguments_.push_back(flag);
    }
    Start();
  }
  explicit CliRun(std::vector<std::string> arguments) : CliRun(std::move(arguments), Place()) {}
  CliRun(std::vector<std::string> arguments, Place place)
      : arguments_(std::move(arguments)), place_(std::move(place)) {
    Start();
  }
  ~CliRun() {
    if (thread_.joinable()) {
      Interrupt();
      thread_.join();
    }
  }
  CliRun(const CliRun&) = delete;
  CliRun& operator=(const CliRun&) = delete;

  int Wait() {
    if (thread_.joinable()) thread_.join();
    return code_;
  }
  void Interrupt() { stop_.request_stop(); }
  // REQUIRES: Wait() has returned. Those asked without echo begin with "secret: ".
  [[nodiscard]] const std::vector<std::string>& questions() const { return questions_; }

  SharedText out;
  SharedText err;

 private:
  void Start() {
    in_.str(place_.in);
    thread_ = std::thread([this] {
      std::ostream out_stream(&out);
      std::ostream err_stream(&err);
      Surroundings surroundings{.out = out_stream,
                                .err = err_stream,
                                .out_is_terminal = place_.terminal,
                                .err_is_terminal = place_.terminal,
                                .environment =
                                    [this](const char* name) {
                                      if (std::string(name) == "NO_COLOR") return place_.no_color;
                                      const auto it = place_.environment.find(name);
                                      return it == place_.environment.end() ? "" : it->second;
                                    },
                                .stop = stop_.get_token(),
                                .in = &in_};
      if (!place_.answers.empty()) {
        surroundings.ask = [this](const std::string& question,
                                  bool secret) -> absl::StatusOr<std::string> {
          questions_.push_back((secret ? "secret: " : "") + question);
          if (questions_.size() > place_.answers.size()) return absl::InvalidArgumentError("");
          return place_.answers[questions_.size() - 1];
        };
      }
      code_ = RunProgram(arguments_, surroundings);
    });
  }

  std::vector<std::string> arguments_;
  const Place place_;
  std::istringstream in_;
  std::vector<std::string> questions_;
  std::stop_source stop_;
  int code_ = -1;
  std::thread thread_;
};

inline constexpr char kBuild[] = "task-1-build";
inline constexpr char kPublish[] = "task-2-publish";
inline constexpr char kRelease[] = "rel-1";
inline constexpr char kQrText[] =
    "slipway:release/rel-1?app=pocket-shop&platform=weixin&version=1.4.2";

// A farm with one application and a run of a build and a publish that wait.
class Fixture {
 public:
  Fixture() : controller(farm) {
    farm.application.set_id("0b6a4c1e-7d5f-4f0e-9c55-1f2f3d1f7a10");
    farm.application.set_name("pocket-shop");
    farm.farm.set_id("farm-1");
    farm.farm.set_controller_version("9.9.9");
    for (const char* id : {kBuild, kPublish}) {
      v1::Task& task = farm.tasks[id];
      task.set_id(id);
      task.set_run("run-1");
      task.set_application("pocket-shop");
      task.set_platform("weixin");
    }
    farm.tasks[kBuild].set_kind(v1::TASK_KIND_BUILD);
    farm.tasks[kBuild].set_state(v1::TASK_STATE_QUEUED);
    farm.tasks[kPublish].set_kind(v1::TASK_KIND_PUBLISH);
    farm.tasks[kPublish].set_target("production");
    farm.tasks[kPublish].set_depends_on(kBuild);
    farm.tasks[kPublish].set_state(v1::TASK_STATE_WAITING);
  }

  void Begin(const std::string& id) {
    farm.Update([&](FakeFarm& f) {
      f.tasks[id].set_state(v1::TASK_STATE_RUNNING);
      f.tasks[id].set_attempt(1);
      f.tasks[id].set_agent("agent-1");
    });
  }
  void Append(const std::string& id, const std::string& bytes) {
    farm.Update([&](FakeFarm& f) { f.logs[{id, 1}].data += bytes; });
  }
  void End(const std::string& id, v1::TaskState state) {
    farm.Update([&](FakeFarm& f) {
      f.logs[{id, 1}].sealed = true;
      f.tasks[id].set_state(state);
      if (id == kPublish && state == v1::TASK_STATE_SUCCEEDED) f.tasks[id].set_release(kRelease);
    });
  }
  // The product of the build under the names of its release and build task.
  void AddProduct(const manifest::Manifest& manifest, const std::vector<std::string>& contents) {
    FakeFarm::Product product;
    product.manifest = manifest.Encode();
    for (const std::string& content : contents) {
      v1::BlobPiece& piece = product.pieces.emplace_back();
      const auto blob = testing::BlobOf(content);
      piece.set_digest(blob.digest.Bytes());
      piece.set_size(blob.size);
      piece.set_zstd(testing::Compress(content));
      piece.set_last(true);
    }
    v1::Archived& archived = product.archived;
    archived.set_application("pocket-shop");
    archived.set_platform("weixin");
    archived.set_manifest(manifest.Digest().Bytes());
    archived.set_files(static_cast<std::uint32_t>(manifest.file_count()));
    archived.set_bytes(manifest.total_bytes());
    archived.mutable_built_at()->set_seconds(1'700'000'000);
    v1::Release& release = *archived.mutable_release();
    release.set_id(kRelease);
    release.set_platform("weixin");
    release.set_target("production");
    release.set_version("1.4.2");
    release.set_link("https://example.invalid/shop");
    release.set_manifest(manifest.Digest().Bytes());
    release.set_qr_text(kQrText);
    farm.Update([&](FakeFarm& f) { f.products[kRelease] = product; });
  }
  void AddProduct() {
    const auto manifest = MakeManifest();
    AddProduct(manifest, {kApp, kTool});
  }
  static manifest::Manifest MakeManifest() {
    auto manifest = manifest::Manifest::Create(
        {{.path = "app.js", .size = kApp.size(), .digest = testing::BlobOf(kApp).digest},
         {.path = "bin/tool",
          .executable = true,
          .size = kTool.size(),
          .digest = testing::BlobOf(kTool).digest}});
    REQUIRE_OK(manifest);
    return *std::move(manifest);
  }

  inline static const std::string kApp = "App({})\n";
  inline static const std::string kTool = "#!/bin/sh\n";

  FakeFarm farm;
  FakeController controller;
};

}  // namespace slipway::cli
