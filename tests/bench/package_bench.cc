// A product of the archive as a package, to /dev/null or a file: MB/s of the product and the peak
// memory of all that makes it (without network and database).
//   package_bench FOLDER [MIB of the product, 1024] [FILE to write zip or tar.gz to]
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "common/crypto/hash.h"
#include "common/fs/files.h"
#include "controller/artifacts/directory_blob_store.h"
#include "controller/packaging/package_file.h"
#include "tests/support/memory_artifact_index.h"

namespace slipway {
namespace {

constexpr std::size_t kFileBytes = std::size_t{16} << 20;

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    fmt::print(stderr, "{}\n", value.status().ToString());
    std::exit(1);
  }
  return *std::move(value);
}
void OrDie(const absl::Status& status) {
  if (status.ok()) return;
  fmt::print(stderr, "{}\n", status.ToString());
  std::exit(1);
}

// Half noise, half text-like: compresses about as well as a front-end build.
Sha256Digest Store(artifacts::ArtifactArchive& archive, const ApplicationId& application,
                   std::uint64_t mib) {
  std::mt19937 random(1);
  std::string content(kFileBytes, '\0');
  for (std::size_t k = 0; k < content.size(); ++k) {
    content[k] = static_cast<char>(k % 2 == 0 ? random() : 'a');
  }
  std::vector<manifest::Entry> entries;
  const std::uint64_t files = (mib << 20) / kFileBytes;
  auto upload = OrDie(archive.NewUpload(application));
  std::vector<std::string> frames;
  for (std::uint64_t i = 0; i < files; ++i) {
    // Few different blobs: what is measured reads each as often as it stands in the manifest.
    content[0] = static_cast<char>(i % 8);
    manifest::Entry entry;
    entry.kind = manifest::EntryKind::kFile;
    entry.path = fmt::format("{:06}.bin", i);
    entry.size = content.size();
    entry.digest = crypto::Sha256Of(content);
    entries.push_back(entry);
  }
  const auto tree = OrDie(manifest::Manifest::Create(std::move(entries)));
  static_cast<void>(OrDie(archive.FindMissing(application, tree.Encode())));
  compression::ZstdCompressor zstd;
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(files, 8); ++i) {
    content[0] = static_cast<char>(i);
    std::string frame;
    const auto append = [&](std::string_view bytes) {
      frame += bytes;
      return absl::OkStatus();
    };
    zstd.Begin(content.size());
    OrDie(zstd.Append(content, append));
    OrDie(zstd.Finish(append));
    const manifest::BlobPiece piece{{crypto::Sha256Of(content), content.size()}, frame, true};
    OrDie(upload->Append({&piece, 1}));
  }
  static_cast<void>(OrDie(upload->Commit()));
  OrDie(archive.Finalize(application, tree.Digest()));
  return tree.Digest();
}

long PeakKib() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

void Run(const std::string& folder, std::uint64_t mib, const char* out) {
  const ApplicationId application("bench");
  const auto store = OrDie(artifacts::DirectoryBlobStore::Open(folder));
  testing::MemoryArtifactIndex index;
  const SystemClock clock;
  artifacts::ArtifactArchive archive(*store, index, clock);
  const Sha256Digest product = Store(archive, application, mib);
  const long before = PeakKib();
  const std::optional<crypto::PackageCipher> ciphers[] = {
      std::nullopt, crypto::PackageCipher::kAes256Gcm, crypto::PackageCipher::kAes256Cbc,
      crypto::PackageCipher::kSm4Cbc};
  for (const archive::Format form : {archive::Format::kZip, archive::Format::kTarGz}) {
    const char* name = form == archive::Format::kZip ? "zip" : "tar.gz";
    for (const auto& cipher : ciphers) {
      if (out != nullptr && cipher) continue;
      packaging::PackageOrder order;
      order.form = form;
      order.cipher = cipher;
      if (cipher) order.recipients.password = crypto::SecretBytes::CopyOf("a long password");
      const std::string path = out == nullptr ? "/dev/null" : fmt::format("{}.{}", out, name);
      const fs::UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
      const auto begin = std::chrono::steady_clock::now();
      const auto end = OrDie(packaging::WritePackage(
          archive, application, product, order, [] { return absl::OkStatus(); },
          [&](std::string_view bytes) { return fs::WriteAll(file.get(), bytes, path); }));
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
      fmt::print("{} {}: {:.1f} MB/s of the product, {:.1f} MB, {:.1f} s\n", name,
                 cipher ? crypto::PackageCipherName(*cipher) : "plain",
                 static_cast<double>(mib << 20) / 1e6 / took.count(),
                 static_cast<double>(end.size) / 1e6, took.count());
    }
  }
  fmt::print("peak memory: {} KiB, {} KiB of it before the first package\n", PeakKib(), before);
}

}  // namespace
}  // namespace slipway

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    fmt::print(stderr, "usage: package_bench FOLDER [MIB] [FILE]\n");
    return 2;
  }
  slipway::Run(argv[1], argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1024,
               argc > 3 ? argv[3] : nullptr);
  return 0;
}
