#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "controller/artifacts/directory_blob_store.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tree.h"

namespace slipway::artifacts {
namespace {

using absl::StatusCode;
using manifest::BlobRef;
using testing::BlobOf;
using testing::Compress;
using testing::ReadAll;
using testing::ReadFile;
using testing::StatusIs;
using testing::TempDir;
using testing::WriteFile;

std::unique_ptr<DirectoryBlobStore> OpenStore(const TempDir& dir) {
  auto store = DirectoryBlobStore::Open(dir / "store");
  REQUIRE_OK(store);
  return *std::move(store);
}

absl::Status Append(BlobBatch& batch, std::string_view content) {
  const std::string frame = Compress(content);
  return batch.Append({.blob = BlobOf(content), .zstd = frame, .last = true});
}

absl::Status Put(BlobStore& store, const std::vector<std::string>& contents) {
  auto batch = store.NewBatch();
  if (!batch.ok()) return batch.status();
  for (const std::string& content : contents) {
    if (const absl::Status status = Append(**batch, content); !status.ok()) return status;
  }
  return (*batch)->Commit();
}

bool Has(BlobStore& store, std::string_view content) {
  const Sha256Digest digest = BlobOf(content).digest;
  const auto has = store.Has({&digest, 1});
  REQUIRE_OK(has);
  return has->at(0);
}

std::size_t FilesIn(const std::string& path) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    count += entry.is_regular_file() ? 1 : 0;
  }
  return count;
}

std::string PathOf(const TempDir& dir, std::string_view content) {
  const std::string hex = BlobOf(content).digest.Hex();
  return dir / ("store/blobs/" + hex.substr(0, 2) + "/" + hex + ".zst");
}

TEST_CASE("DirectoryBlobStore: what was committed reads back, also after a restart",
          "[unit][artifacts]") {
  const TempDir dir;
  auto store = OpenStore(dir);
  const std::string large(1'000'000, 'x');
  REQUIRE_OK(Put(*store, {"one", large, ""}));
  store = OpenStore(dir);
  for (const std::string& content : {std::string("one"), large, std::string()}) {
    CHECK(Has(*store, content));
    auto reader = store->Open(BlobOf(content).digest);
    REQUIRE_OK(reader);
    CHECK(ReadAll(**reader) == content);
    auto frame = store->OpenFrame(BlobOf(content).digest);
    REQUIRE_OK(frame);
    CHECK(ReadAll(**frame) == Compress(content));
  }
  CHECK(store->StoredBytes(BlobOf(large).digest).value() < 1000);
  CHECK_FALSE(Has(*store, "two"));
  CHECK_THAT(store->Open(BlobOf("two").digest).status(), StatusIs(StatusCode::kNotFound));
}

TEST_CASE("DirectoryBlobStore: a large batch, and the same one again", "[unit][artifacts]") {
  const TempDir dir;
  const auto store = OpenStore(dir);
  std::vector<std::string> contents;
  for (int i = 0; i < 300; ++i) contents.push_back("blob " + std::to_string(i));
  REQUIRE_OK(Put(*store, contents));
  REQUIRE_OK(Put(*store, contents));
  CHECK(FilesIn(dir / "store/blobs") == 300);
  CHECK(FilesIn(dir / "store/incoming") == 0);
  for (const std::string& content : contents) CHECK(Has(*store, content));
}

TEST_CASE("DirectoryBlobStore: nothing of a batch shows before its commit", "[unit][artifacts]") {
  const TempDir dir;
  const auto store = OpenStore(dir);
  {
    auto batch = store->NewBatch();
    REQUIRE_OK(batch);
    REQUIRE_OK(Append(**batch, "never committed"));
    CHECK_FALSE(Has(*store, "never committed"));
  }
  CHECK_FALSE(Has(*store, "never committed"));
  CHECK(FilesIn(dir / "store") == 0);
}

TEST_CASE("DirectoryBlobStore: content that is not its digest is refused", "[unit][artifacts]") {
  const TempDir dir;
  const auto store = OpenStore(dir);
  auto batch = store->NewBatch();
  REQUIRE_OK(batch);
  CHECK_THAT((*batch)->Append({.blob = BlobOf("good"), .zstd = Compress("evil"), .last = true}),
             StatusIs(StatusCode::kDataLoss, "BLOB_CORRUPT"));
  auto half = store->NewBatch();
  REQUIRE_OK(half);
  REQUIRE_OK((*half)->Append({.blob = BlobOf("good"), .zstd = Compress("good").substr(0, 4)}));
  CHECK_THAT((*half)->Commit(), StatusIs(StatusCode::kInvalidArgument, "incomplete"));
  CHECK_FALSE(Has(*store, "good"));
}

TEST_CASE("DirectoryBlobStore: damage on the disk is found when reading", "[unit][artifacts]") {
  const TempDir dir;
  const auto store = OpenStore(dir);
  const std::string content(100'000, 'y');
  REQUIRE_OK(Put(*store, {content}));
  std::string replacement;
  SECTION("another content") { replacement = Compress(std::string(100'000, 'z')); }
  SECTION("cut off") { replacement = Compress(content).substr(0, 10); }
  SECTION("emptied") { replacement = ""; }
  SECTION("not zstd") { replacement = "garbage"; }
  std::filesystem::remove(PathOf(dir, content));
  WriteFile(PathOf(dir, content), replacement);
  auto reader = store->Open(BlobOf(content).digest);
  REQUIRE_OK(reader);
  std::vector<char> buffer(200'000);
  absl::StatusOr<std::size_t> n = 1;
  while (n.ok() && *n > 0) n = (*reader)->Read(buffer);
  CHECK_THAT(n.status(), StatusIs(StatusCode::kDataLoss, "BLOB_CORRUPT"));
}

TEST_CASE("DirectoryBlobStore: what a crash left in incoming is removed at the next start",
          "[unit][artifacts]") {
  const TempDir dir;
  REQUIRE_OK(Put(*OpenStore(dir), {"kept"}));
  WriteFile(dir / "store/incoming/17", "half a blob");
  const auto store = OpenStore(dir);
  CHECK(FilesIn(dir / "store/incoming") == 0);
  CHECK(Has(*store, "kept"));
}

TEST_CASE("DirectoryBlobStore: the same blobs from many threads at once", "[unit][artifacts]") {
  const TempDir dir;
  const auto store = OpenStore(dir);
  std::vector<std::string> contents;
  std::vector<std::string> frames;
  for (int i = 0; i < 20; ++i) {
    contents.push_back("shared " + std::to_string(i));
    frames.push_back(Compress(contents.back()));
  }
  std::vector<absl::Status> results(8);
  {
    std::vector<std::jthread> threads;
    for (absl::Status& result : results) {
      // No Catch assertion in here: they belong to the test's own thread.
      threads.emplace_back([&] {
        auto batch = store->NewBatch();
        result = batch.status();
        for (std::size_t i = 0; result.ok() && i < contents.size(); ++i) {
          result = (*batch)->Append({.blob = BlobOf(contents[i]), .zstd = frames[i], .last = true});
        }
        if (result.ok()) result = (*batch)->Commit();
      });
    }
  }
  for (const absl::Status& result : results) CHECK_OK(result);
  CHECK(FilesIn(dir / "store") == 20);
  for (const std::string& content : contents) {
    auto reader = store->Open(BlobOf(content).digest);
    REQUIRE_OK(reader);
    CHECK(ReadAll(**reader) == content);
  }
}

TEST_CASE("DirectoryBlobStore: removing twice is fine", "[unit][artifacts]") {
  const TempDir dir;
  const auto store = OpenStore(dir);
  REQUIRE_OK(Put(*store, {"short-lived"}));
  CHECK_OK(store->Remove(BlobOf("short-lived").digest));
  CHECK_OK(store->Remove(BlobOf("short-lived").digest));
  CHECK_FALSE(Has(*store, "short-lived"));
}

TEST_CASE("DirectoryBlobStore: a full disk is named, and what was stored stays",
          "[unit][artifacts]") {
  const TempDir dir;
  const std::string mount = dir / "small";
  std::filesystem::create_directory(mount);
  if (std::system(("mount -t tmpfs -o size=1m tmpfs '" + mount + "' 2>/dev/null").c_str()) != 0) {
    WARN("cannot mount a small file system here; not tried");
    return;
  }
  {
    auto opened = DirectoryBlobStore::Open(mount + "/store");
    REQUIRE_OK(opened);
    const auto& store = *opened;
    REQUIRE_OK(Put(*store, {"first"}));
    std::string noise(2'000'000, '\0');
    std::uint32_t state = 1;
    for (char& c : noise) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    CHECK_THAT(Put(*store, {noise}), StatusIs(StatusCode::kResourceExhausted, "STORAGE_FULL"));
    CHECK(Has(*store, "first"));
    CHECK_FALSE(Has(*store, noise));
    CHECK_OK(Put(*store, {"second, after the failed one was cleaned up"}));
  }
  CHECK(std::system(("umount '" + mount + "'").c_str()) == 0);
}

}  // namespace
}  // namespace slipway::artifacts
