#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/crypto/hash.h"
#include "common/loghash/segment_hasher.h"
#include "common/rpc/grpc_status.h"
#include "tests/support/farm_fixture.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace slipway::testing {
namespace {

struct Farm {
  Farm() {
    farm.Start();
    REQUIRE_OK(farm.client().CreateApplication("shop"));
    agent = std::make_unique<FakeAgent>(farm.Join("builder"));
    REQUIRE(agent->Reconnect());
    const auto run = farm.client().Submit(SubmitOf("shop", false));
    REQUIRE_OK(run);
    const auto work = agent->WaitStart();
    REQUIRE(work);
    key = work->key;
  }
  v1::ReadLogRequest Follow() const {
    v1::ReadLogRequest request;
    request.set_task(key.task.value());
    request.set_follow(true);
    return request;
  }
  FarmFixture farm;
  std::unique_ptr<FakeAgent> agent;
  AttemptKey key;
};

std::string Lines(int from, int to) {
  std::string text;
  for (int i = from; i < to; ++i) text += "line " + std::to_string(i) + " of the build\n";
  return text;
}

std::uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t pages = 0;
  std::uint64_t resident = 0;
  statm >> pages >> resident;
  return resident * 4096;
}

TEST_CASE("Controller: a follower sees every byte of a log exactly once while it is written",
          "[integration]") {
  Farm f;
  std::string seen;
  v1::ReadLogResponse last;
  absl::Status ended = absl::UnknownError("not yet");
  std::thread follower([&] {
    ended = f.farm.client().ReadLog(f.Follow(), [&](const v1::ReadLogResponse& slice) {
      if (slice.offset() == seen.size()) seen += slice.data();
      last = slice;
    });
  });
  std::string log;
  {
    const auto stream = f.agent->OpenLog(f.key);
    REQUIRE(stream->Resume() == 0U);
    for (int i = 0; i < 200; ++i) {
      const std::string piece = Lines(i * 50, i * 50 + 50);
      REQUIRE(stream->Write(log.size(), piece));
      // A repeated and an overlapping chunk change nothing.
      if (i % 10 == 0) REQUIRE(stream->Write(log.size(), piece.substr(0, 100)));
      log += piece;
    }
    REQUIRE(stream->WaitDurable(log.size()));
    CHECK_OK(stream->Finish());
  }
  REQUIRE(f.agent->Report(f.key, FailedResult(log, protocol::FailureClass::kBuild)));
  follower.join();
  CHECK_OK(ended);
  CHECK(seen == log);
  CHECK(last.complete());
  CHECK(last.missing() == 0);
}

TEST_CASE("Controller: followers that come at any time see the same bytes, live and from the disk",
          "[integration]") {
  constexpr std::size_t kFollowers = 24;
  constexpr std::size_t kPieces = 400;
  Farm f;
  std::vector<std::string> seen(kFollowers);
  std::vector<char> complete(kFollowers);
  std::vector<std::thread> followers;
  const auto follow = [&](std::size_t from) {
    followers.emplace_back([&, from, i = followers.size()] {
      v1::ReadLogRequest request = f.Follow();
      request.set_offset(from);
      f.farm.client()
          .ReadLog(request,
                   [&](const v1::ReadLogResponse& slice) {
                     if (slice.offset() == from + seen[i].size()) seen[i] += slice.data();
                     complete[i] = slice.complete() ? 1 : 0;
                   })
          .IgnoreError();
    });
  };
  std::string log;
  std::vector<std::size_t> begins;
  {
    const auto stream = f.agent->OpenLog(f.key);
    REQUIRE(stream->Resume() == 0U);
    for (std::size_t i = 0; i < kPieces; ++i) {
      if (followers.size() < kFollowers && i % 10 == 0) {
        begins.push_back(i % 20 == 0 ? 0 : log.size() / 2);
        follow(begins.back());
      }
      // More in all than the controller keeps in memory.
      const std::string piece = i % 3 == 0 ? Lines(0, 4000) : Lines(0, 1);
      REQUIRE(stream->Write(log.size(), piece));
      log += piece;
    }
    REQUIRE(stream->WaitDurable(log.size(), seconds(60)));
    CHECK_OK(stream->Finish());
  }
  REQUIRE(f.agent->Report(f.key, FailedResult(log, protocol::FailureClass::kBuild)));
  for (std::thread& follower : followers) follower.join();
  for (std::size_t i = 0; i < kFollowers; ++i) {
    CAPTURE(i, begins[i]);
    CHECK(complete[i] == 1);
    CHECK(crypto::Sha256Of(seen[i]) == crypto::Sha256Of(log.substr(begins[i])));
  }
}

TEST_CASE("Controller: followers that stand still hold no memory of a log that goes on",
          "[integration]") {
  constexpr std::size_t kFollowers = 300;
  constexpr std::size_t kPiece = std::size_t{256} << 10;
  constexpr std::size_t kPieces = 160;
  // What is live for all, and at most a message and what gRPC has of it at both ends for each.
  constexpr std::uint64_t kAllowed = std::uint64_t{120} << 20;
  Farm f;
  std::string piece = Lines(0, 20'000);
  piece.resize(kPiece);
  const auto stream = f.agent->OpenLog(f.key);
  REQUIRE(stream->Resume() == 0U);
  REQUIRE(stream->Write(0, piece));
  // What the clients hold is not the question: no more than HTTP/2's first window.
  grpc::ChannelArguments small_windows;
  small_windows.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = ReadFile(f.farm.data_dir() + "/ca.pem");
  const auto viewers = v1::TaskService::NewStub(
      grpc::CreateCustomChannel(f.farm.server(), grpc::SslCredentials(tls), small_windows));
  struct Follower {
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<grpc::ClientReader<v1::ReadLogResponse>> stream;
  };
  std::vector<Follower> followers(kFollowers);
  for (Follower& follower : followers) {
    follower.context = f.farm.client().Context(seconds(120));
    follower.stream = viewers->ReadLog(follower.context.get(), f.Follow());
    v1::ReadLogResponse first;
    REQUIRE(follower.stream->Read(&first));
  }
  const std::uint64_t before = ResidentBytes();
  std::uint64_t peak = before;
  for (std::size_t i = 1; i < kPieces; ++i) {
    REQUIRE(stream->Write(i * kPiece, piece));
    peak = std::max(peak, ResidentBytes());
  }
  REQUIRE(stream->WaitDurable(kPieces * kPiece, seconds(60)));
  peak = std::max(peak, ResidentBytes());
  CHECK(peak - before < kAllowed);
  std::printf("%zu followers that stand still: %.0f MiB more resident\n", kFollowers,
              static_cast<double>(peak - before) / (1 << 20));
  for (Follower& follower : followers) follower.context->TryCancel();
}

TEST_CASE("Controller: its stop ends whoever follows, with the reason", "[integration]") {
  Farm f;
  REQUIRE_OK(f.agent->AppendLog(f.key, "working\n"));
  const auto task = f.farm.client().GetTask(f.key.task.value());
  REQUIRE_OK(task);
  std::atomic<int> following{0};
  absl::Status log_end;
  absl::Status run_end;
  std::thread log(
      [&] { log_end = f.farm.client().ReadLog(f.Follow(), [&](const auto&) { ++following; }); });
  std::thread run([&] {
    const auto context = f.farm.client().Context();
    v1::WatchRunRequest request;
    request.set_run(task->run());
    const auto stream = f.farm.client().tasks().WatchRun(context.get(), request);
    v1::WatchRunResponse message;
    while (stream->Read(&message)) ++following;
    run_end = rpc::FromGrpc(*context, stream->Finish());
  });
  CHECK(WaitUntil([&] { return following >= 2; }));
  f.farm.Stop();
  log.join();
  run.join();
  CHECK_THAT(log_end, StatusIs(absl::StatusCode::kUnavailable, "STOPPING"));
  CHECK_THAT(run_end, StatusIs(absl::StatusCode::kUnavailable, "STOPPING"));
}

TEST_CASE("Controller: only its own account may look into logs, products and keys",
          "[integration]") {
  Farm f;
  for (const char* name : {"logs", "blobs", "keys"}) {
    INFO(name);
    CHECK(std::filesystem::status(f.farm.data_dir() + "/" + name).permissions() ==
          std::filesystem::perms::owner_all);
  }
}

TEST_CASE("Controller: a log goes on where it was after its stream broke", "[integration]") {
  Farm f;
  const std::string log = Lines(0, 2000);
  {
    const auto stream = f.agent->OpenLog(f.key);
    REQUIRE(stream->Resume() == 0U);
    REQUIRE(stream->Write(0, std::string_view(log).substr(0, 20'000)));
    REQUIRE(stream->WaitDurable(20'000));
  }
  const auto stream = f.agent->OpenLog(f.key);
  const auto resume = stream->Resume();
  REQUIRE(resume);
  CHECK(*resume == 20'000);
  CHECK_OK(stream->Finish());
  CHECK_OK(f.agent->AppendLog(f.key, log));
  REQUIRE(f.agent->Report(f.key, FailedResult(log, protocol::FailureClass::kBuild)));
  std::string seen;
  REQUIRE_OK(f.farm.client().ReadLog(f.Follow(), [&](const auto& slice) { seen += slice.data(); }));
  CHECK(seen == log);
}

TEST_CASE("Controller: a viewer gets an error where the disk changed the log, and the rest of it",
          "[integration]") {
  Farm f;
  const std::string log = Lines(0, 300'000);
  REQUIRE(log.size() > loghash::kSegmentBytes);
  REQUIRE_OK(f.agent->AppendLog(f.key, log));
  const std::string dir =
      fmt::format("{}/logs/{}/{}", f.farm.data_dir(), f.key.task.value(), f.key.attempt.value());
  {
    std::fstream segment(dir + "/000000", std::ios::in | std::ios::out | std::ios::binary);
    segment.seekp(1000);
    segment.put('#');
    REQUIRE(segment.good());
  }
  v1::ReadLogRequest request;
  request.set_task(f.key.task.value());
  std::string seen;
  const auto take = [&](const auto& slice) { seen += slice.data(); };
  CHECK_THAT(f.farm.client().ReadLog(request, take),
             StatusIs(absl::StatusCode::kDataLoss, "LOG_DAMAGED"));
  CHECK(seen.empty());
  request.set_offset(loghash::kSegmentBytes);
  CHECK_OK(f.farm.client().ReadLog(request, take));
  CHECK(seen == log.substr(loghash::kSegmentBytes));
}

TEST_CASE("Controller: a newer stream of the same log ends the older one", "[integration]") {
  Farm f;
  const auto older = f.agent->OpenLog(f.key);
  REQUIRE(older->Resume());
  const auto newer = f.agent->OpenLog(f.key);
  REQUIRE(newer->Resume());
  older->Write(0, "late");
  CHECK_THAT(older->Finish(), StatusIs(absl::StatusCode::kAborted, "LOG_TAKEN_OVER"));
  REQUIRE(newer->Write(0, "now"));
  CHECK(newer->WaitDurable(3));
}

TEST_CASE("Controller: a result counts only once its log is whole", "[integration]") {
  Farm f;
  const std::string log = Lines(0, 100);
  CHECK_FALSE(
      f.agent->Report(f.key, FailedResult(log, protocol::FailureClass::kBuild), seconds(1)));
  const auto early = f.farm.client().GetTask(f.key.task.value());
  REQUIRE_OK(early);
  CHECK(early->state() == v1::TASK_STATE_RUNNING);
  REQUIRE_OK(f.agent->AppendLog(f.key, log));
  CHECK(f.agent->Report(f.key, FailedResult(log, protocol::FailureClass::kBuild)));
}

TEST_CASE("Controller: a log that is not what the agent hashed ends with that error",
          "[integration]") {
  Farm f;
  const std::string log = Lines(0, 100);
  std::string other = log;
  other[10] = '#';
  REQUIRE_OK(f.agent->AppendLog(f.key, other));
  REQUIRE(f.agent->Report(f.key, FailedResult(log, protocol::FailureClass::kBuild)));
  std::string seen;
  CHECK_THAT(f.farm.client().ReadLog(f.Follow(), [&](const auto& slice) { seen += slice.data(); }),
             StatusIs(absl::StatusCode::kDataLoss, "LOG_DAMAGED"));
  CHECK(seen == other);
}

TEST_CASE("Controller: the log of an attempt that is over takes no more bytes", "[integration]") {
  Farm f;
  const auto stream = f.agent->OpenLog(f.key);
  REQUIRE(stream->Resume());
  REQUIRE(f.agent->Report(f.key, FailedResult("", protocol::FailureClass::kBuild)));
  stream->Write(0, "too late");
  CHECK_THAT(stream->Finish(), StatusIs(absl::StatusCode::kFailedPrecondition, "STALE_ATTEMPT"));
  CHECK_THAT(f.agent->AppendLog(f.key, "too late"),
             StatusIs(absl::StatusCode::kFailedPrecondition, "STALE_ATTEMPT"));
}

TEST_CASE("Controller: a build that starts anew is followed from its new beginning",
          "[integration]") {
  Farm f;
  std::string seen;
  std::int64_t attempt = 0;
  v1::ReadLogResponse last;
  std::thread follower([&] {
    f.farm.client()
        .ReadLog(f.Follow(),
                 [&](const v1::ReadLogResponse& slice) {
                   if (slice.attempt() != attempt) seen.clear();
                   attempt = slice.attempt();
                   seen += slice.data();
                   last = slice;
                 })
        .IgnoreError();
  });
  CHECK_OK(f.agent->AppendLog(f.key, "first try\n"));
  CHECK(f.agent->Report(f.key, FailedResult("first try\n", protocol::FailureClass::kNetwork)));
  const auto again = f.agent->WaitStart(seconds(30));
  REQUIRE(again);
  CHECK(again->key.attempt == Attempt(2));
  CHECK_OK(f.agent->AppendLog(again->key, "second try\n"));
  CHECK(f.agent->Report(again->key, FailedResult("second try\n", protocol::FailureClass::kBuild)));
  follower.join();
  CHECK(attempt == 2);
  CHECK(seen == "second try\n");
  CHECK(last.complete());
}

TEST_CASE("Controller: 64 MiB of log reach the disk and a follower in bounded memory",
          "[integration]") {
  constexpr std::size_t kPiece = std::size_t{256} << 10;
  constexpr std::size_t kPieces = 256;
  constexpr std::size_t kTotal = kPiece * kPieces;
  constexpr std::uint64_t kAllowed = std::uint64_t{96} << 20;
  Farm f;
  std::string piece = Lines(0, 20'000);
  piece.resize(kPiece);
  loghash::SegmentHasher hasher;
  crypto::Sha256Hasher sent;
  for (std::size_t i = 0; i < kPieces; ++i) {
    hasher.Update(piece);
    sent.Update(piece);
  }
  const std::uint64_t before = ResidentBytes();
  std::uint64_t peak = before;
  crypto::Sha256Hasher seen;
  std::uint64_t bytes = 0;
  bool complete = false;
  const auto begun = std::chrono::steady_clock::now();
  std::thread follower([&] {
    f.farm.client()
        .ReadLog(f.Follow(),
                 [&](const v1::ReadLogResponse& slice) {
                   if (slice.offset() == bytes) seen.Update(slice.data());
                   bytes += slice.data().size();
                   complete = slice.complete();
                 })
        .IgnoreError();
  });
  {
    const auto stream = f.agent->OpenLog(f.key);
    REQUIRE(stream->Resume() == 0U);
    for (std::size_t i = 0; i < kPieces; ++i) {
      REQUIRE(stream->Write(i * kPiece, piece));
      peak = std::max(peak, ResidentBytes());
    }
    REQUIRE(stream->WaitDurable(kTotal, seconds(60)));
    CHECK_OK(stream->Finish());
  }
  auto result = FailedResult("", protocol::FailureClass::kBuild);
  result.log.size = kTotal;
  result.log.root = hasher.Finish();
  REQUIRE(f.agent->Report(f.key, result));
  follower.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  peak = std::max(peak, ResidentBytes());
  CHECK(bytes == kTotal);
  CHECK(seen.Finish() == sent.Finish());
  CHECK(complete);
  // Agent, controller and follower are all in this process.
  CHECK(peak - before < kAllowed);
  std::printf("64 MiB of log to disk and follower: %.0f MiB/s, %.0f MiB more resident\n",
              kTotal / took.count() / (1 << 20), static_cast<double>(peak - before) / (1 << 20));
}

}  // namespace
}  // namespace slipway::testing
