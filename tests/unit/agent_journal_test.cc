#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "agent/journal/codec.h"
#include "agent/journal/journal.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::journal {
namespace {

using agent::JournalEntry;
using agent::JournalId;
using testing::ReadFile;
using testing::StatusIs;
using testing::TempDir;
using testing::WriteFile;

AttemptKey Key(int n) { return {TaskId("task-" + std::to_string(n)), Attempt(n)}; }

std::vector<JournalEntry> EveryKind() {
  protocol::AttemptResult result;
  result.failure = protocol::Failure{.klass = protocol::FailureClass::kBuild,
                                     .reason = "SCRIPT_FAILED",
                                     .message = "m",
                                     .tool_words = "w",
                                     .remedy = "r",
                                     .remedy_zh = "z"};
  result.exit_code = 3;
  result.log.size = 77;
  return {
      {{}, agent::JournalEpoch{Epoch(4)}},
      {Key(1), agent::JournalAccepted{protocol::TaskKind::kPublish}},
      {Key(1), agent::JournalRunning{std::string("spec\0bytes", 10)}},
      {Key(1), agent::JournalPublishStarted{"nonce"}},
      {Key(1), agent::JournalFinished{result}},
      {Key(1), agent::JournalDeleted{}},
      {Key(2), agent::JournalAccepted{protocol::TaskKind::kBuild}},
      {Key(3), agent::JournalAccepted{protocol::TaskKind::kProbe}},
      {Key(4), agent::JournalAccepted{protocol::TaskKind::kPreview}},
  };
}

// Waits for what the journal's thread says.
class Synced {
 public:
  void Start(Journal& journal) {
    journal.Start(
        [this](JournalId id) {
          const std::lock_guard lock(mu_);
          id_ = id;
          changed_.notify_all();
        },
        [this](const absl::Status& status) {
          const std::lock_guard lock(mu_);
          failure_ = status;
          changed_.notify_all();
        });
  }
  bool WaitFor(JournalId id) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return id_ >= id; });
  }
  absl::Status WaitForFailure() {
    std::unique_lock lock(mu_);
    changed_.wait_for(lock, std::chrono::seconds(10), [&] { return !failure_.ok(); });
    return failure_;
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  JournalId id_ = 0;
  absl::Status failure_;
};

std::vector<JournalEntry> Load(const std::string& path) {
  auto opened = Journal::Open({.path = path});
  REQUIRE_OK(opened);
  return opened->entries;
}

TEST_CASE("Journal: what was synced is there after the next open", "[unit]") {
  const TempDir dir;
  const std::string path = dir / "journal";
  const std::vector<JournalEntry> entries = EveryKind();
  {
    auto opened = Journal::Open({.path = path});
    REQUIRE_OK(opened);
    CHECK(opened->entries.empty());
    Synced synced;
    synced.Start(*opened->journal);
    JournalId id = 0;
    for (const JournalEntry& entry : entries) opened->journal->Append(++id, entry);
    REQUIRE(synced.WaitFor(id));
    CHECK(DecodeFile(ReadFile(path))->entries == entries);
  }
  CHECK(Load(path) == entries);
}

TEST_CASE("Journal: a torn end of any length is cut and what comes after it is readable",
          "[unit]") {
  const TempDir dir;
  const std::string path = dir / "journal";
  const std::vector<JournalEntry> entries = EveryKind();
  std::string whole(kMagic);
  for (const JournalEntry& entry : entries) whole += EncodeRecord(entry);
  const std::size_t last = EncodeRecord(entries.back()).size();
  for (std::size_t cut = 1; cut < last; ++cut) {
    WriteFile(path, whole.substr(0, whole.size() - cut));
    {
      auto opened = Journal::Open({.path = path});
      REQUIRE_OK(opened);
      REQUIRE(opened->entries.size() == entries.size() - 1);
      REQUIRE(opened->cut_bytes == last - cut);
      Synced synced;
      synced.Start(*opened->journal);
      opened->journal->Append(1, entries.back());
      REQUIRE(synced.WaitFor(1));
    }
    REQUIRE(Load(path) == entries);
  }
}

TEST_CASE("Journal: a damaged record ends the journal there", "[unit]") {
  const std::vector<JournalEntry> entries = EveryKind();
  std::string whole(kMagic);
  for (const JournalEntry& entry : entries) whole += EncodeRecord(entry);
  whole[kMagic.size() + EncodeRecord(entries[0]).size() + 12] ^= 1;
  const auto decoded = DecodeFile(whole);
  REQUIRE(decoded);
  CHECK(decoded->entries == std::vector<JournalEntry>{entries[0]});
}

TEST_CASE("Journal: a foreign file is refused, not overwritten", "[unit]") {
  const TempDir dir;
  WriteFile(dir / "journal", "something else entirely\n");
  const auto opened = Journal::Open({.path = dir / "journal"});
  CHECK_THAT(opened.status(), StatusIs(absl::StatusCode::kDataLoss, "JOURNAL_UNREADABLE"));
  CHECK(ReadFile(dir / "journal") == "something else entirely\n");
}

TEST_CASE("Journal: a rewrite leaves what it was given and what came later", "[unit]") {
  const TempDir dir;
  const std::string path = dir / "journal";
  {
    auto opened = Journal::Open({.path = path, .rewrite_above_bytes = 1000});
    REQUIRE_OK(opened);
    Journal& journal = *opened->journal;
    Synced synced;
    synced.Start(journal);
    JournalId id = 0;
    for (int i = 0; i < 100; ++i) journal.Append(++id, {Key(1), agent::JournalDeleted{}});
    CHECK(journal.WantsRewrite());
    journal.Rewrite({{Key(2), agent::JournalDeleted{}}});
    CHECK_FALSE(journal.WantsRewrite());
    journal.Append(++id, {Key(3), agent::JournalDeleted{}});
    REQUIRE(synced.WaitFor(id));
  }
  CHECK(Load(path) == std::vector<JournalEntry>{{Key(2), agent::JournalDeleted{}},
                                                {Key(3), agent::JournalDeleted{}}});
  CHECK(std::filesystem::file_size(path) < 200);
}

// Bytes that the file system holds ready for it.
std::uint64_t AllocatedBytes(const std::string& path) {
  struct stat st {};
  REQUIRE(stat(path.c_str(), &st) == 0);
  return static_cast<std::uint64_t>(st.st_blocks) * 512;
}

TEST_CASE("Journal: has room on the disk for what it will write when the disk is full", "[unit]") {
  const TempDir dir;
  const std::string path = dir / "journal";
  constexpr std::uint64_t kRoom = std::uint64_t{100} << 10;
  auto opened = Journal::Open({.path = path});
  REQUIRE_OK(opened);
  CHECK(AllocatedBytes(path) > kRoom);
  Synced synced;
  synced.Start(*opened->journal);
  for (int id = 1; std::filesystem::file_size(path) < 2 * kRoom; ++id) {
    opened->journal->Append(static_cast<agent::JournalId>(id),
                            {Key(1), agent::JournalRunning{std::string(kRoom / 4, 's')}});
    REQUIRE(synced.WaitFor(static_cast<agent::JournalId>(id)));
  }
  CHECK(AllocatedBytes(path) > std::filesystem::file_size(path) + kRoom);
  opened->journal->Rewrite({});
  opened->journal.reset();
  CHECK(AllocatedBytes(path) > kRoom);
}

TEST_CASE("Journal: a file that cannot be written is told once", "[unit]") {
  const TempDir dir;
  auto opened = Journal::Open({.path = dir / "journal"});
  REQUIRE_OK(opened);
  std::filesystem::remove_all(dir.path());
  Synced synced;
  synced.Start(*opened->journal);
  opened->journal->Rewrite({});
  CHECK(!synced.WaitForFailure().ok());
}

}  // namespace
}  // namespace slipway::journal
