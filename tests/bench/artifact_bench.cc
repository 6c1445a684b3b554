// Second upload of an unchanged tree against a stat + hash walk of it, in one run. Both warm.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "agent/artifacts/tree_uploader.h"
#include "common/crypto/hash.h"
#include "common/fs/files.h"
#include "common/manifest/scan.h"
#include "controller/artifacts/artifact_archive.h"
#include "controller/artifacts/directory_blob_store.h"
#include "tests/support/memory_artifact_index.h"

namespace slipway {
namespace {

using artifacts::ArtifactArchive;

constexpr int kFiles = 10'000;
constexpr std::size_t kFileBytes = 8'000;
constexpr int kRounds = 7;

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    fmt::print(stderr, "{}\n", value.status().ToString());
    std::exit(1);
  }
  return *std::move(value);
}

class DirectStream final : public artifacts::BlobStream {
 public:
  explicit DirectStream(std::unique_ptr<artifacts::ArchiveUpload> upload)
      : upload_(std::move(upload)) {}
  absl::Status Write(const manifest::BlobPiece& piece) override {
    return upload_->Append({&piece, 1});
  }
  absl::Status Finish() override { return upload_->Commit().status(); }

 private:
  std::unique_ptr<artifacts::ArchiveUpload> upload_;
};

class DirectSink final : public artifacts::ArtifactSink {
 public:
  explicit DirectSink(ArtifactArchive& archive) : archive_(archive) {}
  absl::StatusOr<std::vector<Sha256Digest>> FindMissing(std::string_view manifest) override {
    std::vector<Sha256Digest> missing;
    for (const auto& blob : OrDie(archive_.FindMissing(kApplication, manifest)).missing) {
      missing.push_back(blob.digest);
    }
    return missing;
  }
  absl::StatusOr<std::unique_ptr<artifacts::BlobStream>> StartUpload() override {
    return std::make_unique<DirectStream>(OrDie(archive_.NewUpload(kApplication)));
  }
  absl::Status Finalize(const Sha256Digest& manifest) override {
    return archive_.Finalize(kApplication, manifest);
  }

 private:
  inline static const ApplicationId kApplication{"bench"};
  ArtifactArchive& archive_;
};

void MakeTree(const std::string& root) {
  std::mt19937 random(1);
  std::string content(kFileBytes, '\0');
  for (int i = 0; i < kFiles; ++i) {
    // Half noise, half text-like: compresses about as well as a front-end build.
    for (std::size_t k = 0; k < kFileBytes; ++k) {
      content[k] = static_cast<char>(k % 2 == 0 ? random() : 'a');
    }
    const std::string directory = fmt::format("{}/{}/{}", root, i % 10, i % 100);
    std::filesystem::create_directories(directory);
    std::ofstream(fmt::format("{}/{}.js", directory, i), std::ios::binary) << content;
  }
}

// The yardstick: every file stated, read and hashed, by one thread, with nothing around it.
void PlainWalk(const std::string& root) {
  std::vector<char> buffer(256 * 1024);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    struct stat facts {};
    if (lstat(entry.path().c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) continue;
    const fs::UniqueFd file(open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
    const auto n = OrDie(fs::ReadFull(file.get(), buffer, "file"));
    static_cast<void>(crypto::Sha256Of({buffer.data(), n}));
    ++files;
  }
  if (files != kFiles) std::exit(1);
}

double MillisOf(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
      .count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Run(const std::string& root) {
  MakeTree(root + "/tree");
  const auto store = OrDie(artifacts::DirectoryBlobStore::Open(root + "/store"));
  testing::MemoryArtifactIndex index;
  const SystemClock clock;
  ArtifactArchive archive(*store, index, clock);
  const auto upload = [&](int threads) {
    const auto directory = OrDie(fs::OpenDirectory(root + "/tree"));
    const auto manifest = OrDie(manifest::ScanTree(directory.get(), {.threads = threads}));
    DirectSink sink(archive);
    artifacts::TreeUploader uploader(sink, [](Duration) { return false; });
    return OrDie(uploader.Upload(directory.get(), manifest));
  };
  artifacts::UploadReport first;
  const double first_ms = MillisOf([&] { first = upload(2); });
  fmt::print("first upload: {:.0f} ms, {} blobs, {:.1f} MB compressed\n", first_ms,
             first.blobs_sent, static_cast<double>(first.bytes_sent) / 1e6);

  // Alternating, so that a neighbour's load falls on all of them.
  std::vector<double> walk, one, two;
  std::uint64_t sent = 0;
  for (int i = 0; i < kRounds; ++i) {
    walk.push_back(MillisOf([&] { PlainWalk(root + "/tree"); }));
    one.push_back(MillisOf([&] { sent += upload(1).blobs_sent; }));
    two.push_back(MillisOf([&] { sent += upload(2).blobs_sent; }));
  }
  fmt::print("stat + hash walk: {:.0f} ms\n", Median(walk));
  for (const auto& [name, times] :
       {std::pair{"1 hash thread", one}, std::pair{"2 hash threads", two}}) {
    fmt::print("second upload, {}: {:.0f} ms = {:.2f} x the walk, {} blobs sent\n", name,
               Median(times), Median(times) / Median(walk), sent);
  }
}

}  // namespace
}  // namespace slipway

int main() {
  std::string root = (std::filesystem::temp_directory_path() / "slipway-bench-XXXXXX").string();
  if (mkdtemp(root.data()) == nullptr) return 1;
  slipway::Run(root);
  std::filesystem::remove_all(root);
}
