#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/artifacts/tree_fetcher.h"
#include "agent/artifacts/tree_uploader.h"
#include "common/archive/archive_writer.h"
#include "controller/artifacts/artifact_archive.h"
#include "controller/artifacts/directory_blob_store.h"
#include "tests/support/memory_artifact_index.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tree.h"

namespace slipway::artifacts {
namespace {

using absl::StatusCode;
using manifest::BlobPiece;
using manifest::Manifest;
using testing::BlobOf;
using testing::Compress;
using testing::MemoryArtifactIndex;
using testing::ReadFile;
using testing::Scan;
using testing::StatusIs;
using testing::TempDir;
using testing::WriteFile;

const ApplicationId kShop("app-shop");
const ApplicationId kBank("app-bank");

class ManualClock final : public Clock {
 public:
  MonoTime Mono() const override { return {}; }
  WallTime Wall() const override { return now; }
  WallTime now = WallTime(std::chrono::hours(400'000));
};

// A controller without wires: what the agent's calls do there.
struct Controller {
  explicit Controller(const TempDir& dir) {
    auto opened = DirectoryBlobStore::Open(dir / "store");
    REQUIRE_OK(opened);
    store = *std::move(opened);
    archive = std::make_unique<ArtifactArchive>(*store, index, clock);
  }

  ManualClock clock;
  MemoryArtifactIndex index;
  std::unique_ptr<DirectoryBlobStore> store;
  std::unique_ptr<ArtifactArchive> archive;
};

// The wire between: counts calls and can break.
class FakeLink final : public ArtifactSink, public ArtifactSource {
 public:
  FakeLink(Controller& controller, ApplicationId application)
      : controller_(controller), application_(std::move(application)) {}

  absl::StatusOr<std::vector<Sha256Digest>> FindMissing(std::string_view encoded) override {
    SLIPWAY_RETURN_IF_ERROR(Call());
    SLIPWAY_ASSIGN_OR_RETURN(const UploadPlan plan,
                             controller_.archive->FindMissing(application_, encoded));
    std::vector<Sha256Digest> missing;
    for (const auto& blob : plan.missing) missing.push_back(blob.digest);
    return missing;
  }

  absl::StatusOr<std::unique_ptr<BlobStream>> StartUpload() override {
    SLIPWAY_RETURN_IF_ERROR(Call());
    SLIPWAY_ASSIGN_OR_RETURN(auto upload, controller_.archive->NewUpload(application_));
    return std::make_unique<Stream>(*this, std::move(upload));
  }

  absl::Status Finalize(const Sha256Digest& manifest) override {
    SLIPWAY_RETURN_IF_ERROR(Call());
    if (before_finalize) std::exchange(before_finalize, nullptr)();
    return controller_.archive->Finalize(application_, manifest);
  }

  absl::Status Fetch(const Sha256Digest& digest, manifest::TreeReceiver& receiver) override {
    SLIPWAY_RETURN_IF_ERROR(Call());
    SLIPWAY_ASSIGN_OR_RETURN(const Manifest manifest,
                             controller_.archive->LoadManifest(application_, digest));
    const std::string text = manifest.Encode();
    SLIPWAY_RETURN_IF_ERROR(receiver.AcceptManifest(text.substr(0, text.size() / 2)));
    SLIPWAY_RETURN_IF_ERROR(receiver.AcceptManifest(text.substr(text.size() / 2)));
    for (const auto& blob : manifest::DistinctBlobs(manifest)) {
      SLIPWAY_RETURN_IF_ERROR(Call());
      SLIPWAY_ASSIGN_OR_RETURN(const auto reader, controller_.archive->OpenFrame(blob.digest));
      SLIPWAY_RETURN_IF_ERROR(
          receiver.Accept({.blob = blob, .zstd = testing::ReadAll(*reader), .last = true}));
    }
    return absl::OkStatus();
  }

  int calls = 0;
  std::uint64_t blobs = 0;
  // Numbers of the calls and pieces (from 1, in one count) at which the connection is lost.
  std::set<int> lost_at;
  std::function<void()> before_finalize;

 private:
  class Stream final : public BlobStream {
   public:
    Stream(FakeLink& link, std::unique_ptr<ArchiveUpload> upload)
        : link_(link), upload_(std::move(upload)) {}
    absl::Status Write(const BlobPiece& piece) override {
      SLIPWAY_RETURN_IF_ERROR(link_.Call());
      link_.blobs += piece.last ? 1 : 0;
      return upload_->Append({&piece, 1});
    }
    absl::Status Finish() override {
      SLIPWAY_RETURN_IF_ERROR(link_.Call());
      return upload_->Commit().status();
    }

   private:
    FakeLink& link_;
    std::unique_ptr<ArchiveUpload> upload_;
  };

  absl::Status Call() {
    ++calls;
    return lost_at.contains(calls) ? absl::UnavailableError("connection lost") : absl::OkStatus();
  }

  Controller& controller_;
  const ApplicationId application_;
};

bool DoNotWait(Duration /*wait*/) { return true; }

absl::StatusOr<UploadReport> Upload(FakeLink& link, const std::string& path,
                                    UploadOptions options = {}) {
  const auto manifest = Scan(path);
  REQUIRE_OK(manifest);
  const auto directory = fs::OpenDirectory(path);
  REQUIRE_OK(directory);
  return TreeUploader(link, DoNotWait, options).Upload(directory->get(), *manifest);
}

void MakeTree(const std::string& path, int files) {
  for (int i = 0; i < files; ++i) {
    WriteFile(path + "/d" + std::to_string(i % 3) + "/" + std::to_string(i), std::to_string(i));
  }
}

TEST_CASE("Artifacts: a tree goes up, comes back the same, and is listed", "[unit][artifacts]") {
  const TempDir dir;
  Controller controller(dir);
  FakeLink link(controller, kShop);
  MakeTree(dir / "in", 20);
  WriteFile(dir / "in/large", std::string(3'000'000, 'l'));
  WriteFile(dir / "in/twin", std::string("0"));
  std::filesystem::create_symlink("large", dir / "in/link");
  const auto report = Upload(link, dir / "in");
  REQUIRE_OK(report);
  CHECK(report->blobs_sent == 21);

  const auto fetched = FetchTree(link, report->manifest, dir / "out", DoNotWait);
  REQUIRE_OK(fetched);
  CHECK(Scan(dir / "out").value() == Scan(dir / "in").value());
  const auto list = controller.archive->List(kShop, std::nullopt, 10);
  REQUIRE_OK(list);
  REQUIRE(list->size() == 1);
  CHECK(list->at(0).manifest == report->manifest);
  CHECK(list->at(0).file_count == 22);
  CHECK(list->at(0).created == controller.clock.now);
}

TEST_CASE("Artifacts: an unchanged tree costs one call and sends nothing", "[unit][artifacts]") {
  const TempDir dir;
  Controller controller(dir);
  MakeTree(dir / "in", 20);
  FakeLink first(controller, kShop);
  REQUIRE_OK(Upload(first, dir / "in"));
  FakeLink second(controller, kShop);
  const auto report = Upload(second, dir / "in");
  REQUIRE_OK(report);
  CHECK(second.calls == 1);
  CHECK(report->blobs_sent == 0);
  WriteFile(dir / "in/new", "one more");
  FakeLink third(controller, kShop);
  REQUIRE_OK(Upload(third, dir / "in"));
  CHECK(third.blobs == 1);
}

TEST_CASE("Artifacts: a tree made of known files needs no second call either",
          "[unit][artifacts]") {
  const TempDir dir;
  Controller controller(dir);
  MakeTree(dir / "in", 20);
  FakeLink first(controller, kShop);
  REQUIRE_OK(Upload(first, dir / "in"));
  std::filesystem::rename(dir / "in/d0", dir / "in/renamed");
  FakeLink second(controller, kShop);
  const auto report = Upload(second, dir / "in");
  REQUIRE_OK(report);
  CHECK(second.calls == 1);
  CHECK_OK(controller.archive->LoadManifest(kShop, report->manifest));
}

TEST_CASE("Artifacts: what another application has is asked for again", "[unit][artifacts]") {
  const TempDir dir;
  Controller controller(dir);
  MakeTree(dir / "in", 5);
  FakeLink bank(controller, kBank);
  const auto secret = Upload(bank, dir / "in");
  REQUIRE_OK(secret);

  const std::string text = Scan(dir / "in").value().Encode();
  const auto plan = controller.archive->FindMissing(kShop, text);
  REQUIRE_OK(plan);
  CHECK(plan->missing.size() == 5);
  CHECK_THAT(controller.archive->Finalize(kShop, secret->manifest),
             StatusIs(StatusCode::kFailedPrecondition, "BLOBS_MISSING"));
  CHECK_THAT(controller.archive->LoadManifest(kShop, secret->manifest).status(),
             StatusIs(StatusCode::kNotFound, "NO_SUCH_ARTIFACT"));
}

TEST_CASE("Artifacts: blobs that were not planned are not taken", "[unit][artifacts]") {
  const TempDir dir;
  Controller controller(dir);
  const auto upload = controller.archive->NewUpload(kShop);
  REQUIRE_OK(upload);
  const std::string frame = Compress("junk");
  const BlobPiece piece{.blob = BlobOf("junk"), .zstd = frame, .last = true};
  CHECK_THAT((*upload)->Append({&piece, 1}),
             StatusIs(StatusCode::kFailedPrecondition, "BLOB_NOT_PLANNED"));
}

TEST_CASE("Artifacts: products past the limits and malformed manifests are refused",
          "[unit][artifacts]") {
  const TempDir dir;
  Controller controller(dir);
  ArtifactArchive small(*controller.store, controller.index, controller.clock,
                        {.max_blob_bytes = 10, .max_artifact_bytes = 15});
  const auto text = [](std::vector<std::pair<std::string, std::string>> files) {
    std::vector<manifest::Entry> entries;
    for (const auto& [path, content] : files) {
      entries.push_back({.path = path, .size = content.size(), .digest = BlobOf(content).digest});
    }
    return Manifest::Create(entries).value().Encode();
  };
  CHECK_OK(small.FindMissing(kShop, text({{"a", "0123456789"}, {"b", "01234"}})));
  CHECK_THAT(small.FindMissing(kShop, text({{"a", "01234567890"}})).status(),
             StatusIs(StatusCode::kResourceExhausted, "ARTIFACT_TOO_LARGE"));
  CHECK_THAT(small.FindMissing(kShop, text({{"a", "012345678"}, {"b", "0123456"}})).status(),
             StatusIs(StatusCode::kResourceExhausted, "ARTIFACT_TOO_LARGE"));
  CHECK_THAT(small.FindMissing(kShop, "nonsense").status(),
             StatusIs(StatusCode::kInvalidArgument, "line 1"));
}

TEST_CASE("Artifacts: announced blobs expire, and are asked for again", "[unit][artifacts]") {
  const TempDir dir;
  Controller controller(dir);
  MakeTree(dir / "in", 3);
  const Manifest manifest = Scan(dir / "in").value();
  FakeLink link(controller, kShop);
  link.lost_at = {7};  // finalize: FindMissing, StartUpload, 3 pieces, Finish, Finalize
  const auto directory = fs::OpenDirectory(dir / "in");
  TreeUploader uploader(link, [](Duration) { return false; });
  CHECK_THAT(uploader.Upload(directory->get(), manifest).status(),
             StatusIs(StatusCode::kCancelled));
  controller.clock.now += std::chrono::hours(25);
  const auto plan = controller.archive->FindMissing(kShop, manifest.Encode());
  REQUIRE_OK(plan);
  CHECK(plan->missing.size() == 3);
}

TEST_CASE("TreeUploader: a connection lost at any moment loses nothing and repeats little",
          "[unit][artifacts]") {
  const TempDir dir;
  MakeTree(dir / "in", 12);
  const UploadOptions options{.batch_blobs = 3};
  int total_calls = 0;
  for (int at = 0; at == 0 || at <= total_calls; ++at) {
    const TempDir store;
    Controller controller(store);
    FakeLink link(controller, kShop);
    link.lost_at = {at};
    const auto report = Upload(link, dir / "in", options);
    REQUIRE_OK(report);
    if (at == 0) total_calls = link.calls;
    // One batch of three at most goes twice.
    CHECK(link.blobs <= 15);
    CHECK_OK(controller.archive->LoadManifest(kShop, report->manifest));
  }
  CHECK(total_calls > 20);
}

TEST_CASE("TreeUploader: blobs collected before finalize are sent again", "[unit][artifacts]") {
  const TempDir dir;
  Controller controller(dir);
  FakeLink link(controller, kShop);
  MakeTree(dir / "in", 4);
  link.before_finalize = [&] { controller.index.Mark(BlobOf("2").digest); };
  const auto report = Upload(link, dir / "in");
  REQUIRE_OK(report);
  CHECK(link.blobs == 5);
  CHECK_OK(controller.archive->Find(kShop, report->manifest));
}

TEST_CASE("TreeUploader: what was collected from a known product is sent again",
          "[unit][artifacts]") {
  const TempDir dir;
  Controller controller(dir);
  FakeLink link(controller, kShop);
  MakeTree(dir / "in", 4);
  REQUIRE_OK(Upload(link, dir / "in"));
  controller.index.Mark(BlobOf("2").digest);
  const auto again = Upload(link, dir / "in");
  REQUIRE_OK(again);
  CHECK(again->blobs_sent == 1);
  CHECK(Upload(link, dir / "in")->blobs_sent == 0);
}

TEST_CASE("TreeUploader: a file that changed after the scan is noticed", "[unit][artifacts]") {
  const TempDir dir;
  Controller controller(dir);
  FakeLink link(controller, kShop);
  WriteFile(dir / "in/file", "before");
  const Manifest manifest = Scan(dir / "in").value();
  SECTION("other bytes") { WriteFile(dir / "in/file", "behind"); }
  SECTION("shorter") { WriteFile(dir / "in/file", "be"); }
  SECTION("longer") { WriteFile(dir / "in/file", "before and more"); }
  SECTION("gone") { std::filesystem::remove(dir / "in/file"); }
  SECTION("a link to something else") {
    WriteFile(dir / "other", "before");
    std::filesystem::remove(dir / "in/file");
    std::filesystem::create_symlink(dir / "other", dir / "in/file");
  }
  const auto directory = fs::OpenDirectory(dir / "in");
  CHECK_THAT(TreeUploader(link, DoNotWait).Upload(directory->get(), manifest).status(),
             StatusIs(StatusCode::kAborted, "ARTIFACT_CHANGED"));
  CHECK_FALSE(controller.archive->Find(kShop, manifest.Digest()).ok());
}

TEST_CASE("FetchTree: a lost connection is retried into a clean directory", "[unit][artifacts]") {
  const TempDir dir;
  Controller controller(dir);
  FakeLink link(controller, kShop);
  MakeTree(dir / "in", 6);
  const auto report = Upload(link, dir / "in");
  REQUIRE_OK(report);
  link.lost_at = {link.calls + 1, link.calls + 5};
  REQUIRE_OK(FetchTree(link, report->manifest, dir / "out", DoNotWait));
  CHECK(Scan(dir / "out").value() == Scan(dir / "in").value());
  CHECK_THAT(FetchTree(link, report->manifest, dir / "out", DoNotWait).status(),
             StatusIs(StatusCode::kAlreadyExists));
}

TEST_CASE("FetchTree: damaged blobs leave no directory behind", "[unit][artifacts]") {
  const TempDir dir;
  Controller controller(dir);
  FakeLink link(controller, kShop);
  WriteFile(dir / "in/file", "content");
  const auto report = Upload(link, dir / "in");
  REQUIRE_OK(report);
  const std::string hex = BlobOf("content").digest.Hex();
  const std::string stored = dir / ("store/blobs/" + hex.substr(0, 2) + "/" + hex + ".zst");
  std::filesystem::remove(stored);
  WriteFile(stored, Compress("c0ntent"));
  CHECK_THAT(FetchTree(link, report->manifest, dir / "out", DoNotWait).status(),
             StatusIs(StatusCode::kDataLoss, "BLOB_CORRUPT"));
  CHECK_FALSE(std::filesystem::exists(dir / "out"));
}

TEST_CASE("TreeReceiver: a manifest that is not the wanted one is refused", "[unit][artifacts]") {
  const TempDir dir;
  manifest::TreeReceiver receiver(dir / "out", BlobOf("other").digest);
  REQUIRE_OK(receiver.AcceptManifest("slipway-manifest 1\n"));
  CHECK_THAT(receiver.Finish().status(), StatusIs(StatusCode::kDataLoss, "MANIFEST_CORRUPT"));
  CHECK_FALSE(std::filesystem::exists(dir / "out"));
}

// The artifact as one file.
absl::StatusOr<std::string> Export(Controller& controller, const Manifest& manifest,
                                   archive::Format format) {
  std::string bytes;
  const absl::Status status = archive::WriteArchive(
      manifest, format, WallTime(std::chrono::seconds(1'700'000'000)),
      [&](const manifest::Entry& entry) { return controller.archive->OpenContent(entry.digest); },
      [&](std::string_view part) {
        bytes += part;
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return bytes;
}

TEST_CASE("WriteArchive: tar and unzip unpack exactly the tree", "[unit][artifacts]") {
  const TempDir dir;
  Controller controller(dir);
  FakeLink link(controller, kShop);
  MakeTree(dir / "in", 6);
  WriteFile(dir / "in/\xe4\xb8\xad\xe6\x96\x87.txt", std::string(300'000, 'c'));
  WriteFile(dir / "in/run", "#!/bin/sh\n");
  std::filesystem::permissions(dir / "in/run", std::filesystem::perms(0755));
  std::filesystem::create_symlink("run", dir / "in/link");
  std::filesystem::create_directory(dir / "in/empty");
  REQUIRE_OK(Upload(link, dir / "in"));
  const Manifest manifest = Scan(dir / "in").value();
  std::filesystem::create_directory(dir / "out");
  for (const auto& [format, command] :
       {std::pair{archive::Format::kTar, "tar -xf"}, std::pair{archive::Format::kTarGz, "tar -xzf"},
        std::pair{archive::Format::kZip, "LC_ALL=C.UTF-8 unzip -q"}}) {
    const auto bytes = Export(controller, manifest, format);
    REQUIRE_OK(bytes);
    CHECK(Export(controller, manifest, format).value() == *bytes);
    WriteFile(dir / "file", *bytes);
    const std::string out = dir / std::to_string(static_cast<int>(format));
    std::filesystem::create_directory(out);
    REQUIRE(std::system(("cd '" + out + "' && " + command + " ../file").c_str()) == 0);
    CHECK(Scan(out).value() == manifest);
    CHECK(std::filesystem::last_write_time(out + "/run") ==
          std::chrono::file_clock::from_sys(
              std::chrono::sys_seconds(std::chrono::seconds(1'700'000'000))));
  }
}

TEST_CASE("WriteArchive: a name that some readers of zip files unpack elsewhere goes into tar only",
          "[unit][artifacts]") {
  const TempDir dir;
  Controller controller(dir);
  FakeLink link(controller, kShop);
  WriteFile(dir / "in/..\\..\\x", "content");
  REQUIRE_OK(Upload(link, dir / "in"));
  const Manifest manifest = Scan(dir / "in").value();
  CHECK_OK(Export(controller, manifest, archive::Format::kTar));
  CHECK_THAT(Export(controller, manifest, archive::Format::kZip).status(),
             StatusIs(StatusCode::kInvalidArgument, "UNSAFE_PATH"));
}

TEST_CASE("WriteArchive: damage and a receiver that refuses end it", "[unit][artifacts]") {
  const TempDir dir;
  Controller controller(dir);
  FakeLink link(controller, kShop);
  WriteFile(dir / "in/file", "content");
  REQUIRE_OK(Upload(link, dir / "in"));
  const Manifest manifest = Scan(dir / "in").value();
  const auto write = [&](const archive::OpenContent& open, const compression::ByteSink& sink) {
    return archive::WriteArchive(manifest, archive::Format::kTar, WallTime(), open, sink);
  };
  WriteFile(dir / "other", "c0ntent");
  CHECK_THAT(write(
                 [&](const manifest::Entry&) -> absl::StatusOr<std::unique_ptr<fs::ByteReader>> {
                   const auto root = fs::OpenDirectory(dir.path());
                   return manifest::OpenTreeFile(root->get(), "other");
                 },
                 [](std::string_view) { return absl::OkStatus(); }),
             StatusIs(StatusCode::kDataLoss, "BLOB_CORRUPT"));
  CHECK_THAT(write(
                 [&](const manifest::Entry& entry) {
                   return controller.archive->OpenContent(entry.digest);
                 },
                 [](std::string_view) { return absl::CancelledError("client gone"); }),
             StatusIs(StatusCode::kCancelled, "client gone"));
}

}  // namespace
}  // namespace slipway::artifacts
