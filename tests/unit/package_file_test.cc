#include "controller/packaging/package_file.h"

#include <stdlib.h>
#include <time.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <utility>

#include "common/crypto/hash.h"
#include "controller/artifacts/directory_blob_store.h"
#include "controller/packaging/running_packages.h"
#include "tests/support/memory_artifact_index.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tree.h"

namespace slipway::packaging {
namespace {

using absl::StatusCode;
using testing::StatusIs;
using testing::TempDir;
using testing::WriteFile;

const ApplicationId kShop("app-shop");

absl::Status GoOn() { return absl::OkStatus(); }

// An archive with one product.
struct World {
  World() {
    auto opened = artifacts::DirectoryBlobStore::Open(dir / "store");
    REQUIRE_OK(opened);
    store = *std::move(opened);
    archive = std::make_unique<artifacts::ArtifactArchive>(*store, index, clock);
  }
  // What is in the directory "in".
  void Store() {
    const auto tree = testing::Scan(dir / "in");
    REQUIRE_OK(tree);
    const std::string text = tree->Encode();
    product = tree->Digest();
    const auto plan = archive->FindMissing(kShop, text);
    REQUIRE_OK(plan);
    auto upload = archive->NewUpload(kShop);
    REQUIRE_OK(upload);
    for (const auto& entry : tree->entries()) {
      if (entry.kind != manifest::EntryKind::kFile) continue;
      const std::string content = testing::ReadFile(dir / ("in/" + entry.path));
      const std::string frame = testing::Compress(content);
      const manifest::BlobPiece piece{testing::BlobOf(content), frame, true};
      REQUIRE_OK((*upload)->Append({&piece, 1}));
    }
    REQUIRE_OK((*upload)->Commit());
    REQUIRE_OK(archive->Finalize(kShop, product));
  }
  absl::StatusOr<std::string> Pack(const PackageOrder& order) {
    std::string bytes;
    const auto end =
        WritePackage(*archive, kShop, product, order, GoOn, [&](std::string_view piece) {
          CHECK(piece.size() <= 256 * 1024);
          bytes += piece;
          return absl::OkStatus();
        });
    if (!end.ok()) return end.status();
    CHECK(end->size == bytes.size());
    CHECK(end->sha256 == crypto::Sha256Of(bytes));
    return bytes;
  }

  TempDir dir;
  SystemClock clock;
  testing::MemoryArtifactIndex index;
  std::unique_ptr<artifacts::DirectoryBlobStore> store;
  std::unique_ptr<artifacts::ArtifactArchive> archive;
  Sha256Digest product;
};

PackageOrder OrderOf(archive::Format form) {
  PackageOrder order;
  order.form = form;
  return order;
}

TEST_CASE("Packages: the bytes depend neither on the machine's time zone nor on the time",
          "[unit][packaging]") {
  World world;
  WriteFile(world.dir / "in/app.json", "{}");
  WriteFile(world.dir / "in/page/large.txt", std::string(700'000, 'x'));
  world.Store();
  for (const archive::Format form : {archive::Format::kZip, archive::Format::kTarGz}) {
    std::string first;
    for (const char* zone : {"UTC", "Asia/Shanghai", "XYZ-14", "XYZ+12"}) {
      INFO(zone);
      REQUIRE(setenv("TZ", zone, 1) == 0);
      tzset();
      const auto bytes = world.Pack(OrderOf(form));
      REQUIRE_OK(bytes);
      if (first.empty()) first = *bytes;
      CHECK(*bytes == first);
    }
  }
  unsetenv("TZ");
  tzset();
}

TEST_CASE("Packages: unzip and tar unpack the tree with its links and modes", "[unit][packaging]") {
  World world;
  WriteFile(world.dir / "in/run", "#!/bin/sh\n");
  std::filesystem::permissions(world.dir / "in/run", std::filesystem::perms(0755));
  WriteFile(world.dir / "in/页面/首页.txt", "hello\n");
  std::filesystem::create_symlink("run", world.dir / "in/link");
  std::filesystem::create_directory(world.dir / "in/empty");
  world.Store();
  const auto tree = testing::Scan(world.dir / "in");
  for (const auto& [form, command] :
       {std::pair{archive::Format::kZip, "LC_ALL=C.UTF-8 unzip -q ../package"},
        std::pair{archive::Format::kTarGz, "tar -xzf ../package"}}) {
    WriteFile(world.dir / "package", world.Pack(OrderOf(form)).value());
    const std::string out = world.dir / "out";
    std::filesystem::create_directory(out);
    REQUIRE(std::system(("cd '" + out + "' && " + command).c_str()) == 0);
    CHECK(testing::Scan(out).value() == *tree);
    std::filesystem::remove_all(out);
  }
}

TEST_CASE("Packages: the work ends when it is told to, also where nothing is written",
          "[unit][packaging]") {
  World world;
  WriteFile(world.dir / "in/zeros", std::string(std::size_t{20} << 20, '\0'));
  world.Store();
  int asked = 0;
  std::size_t written = 0;
  const auto end = WritePackage(
      *world.archive, kShop, world.product, OrderOf(archive::Format::kZip),
      [&]() -> absl::Status {
        return ++asked < 5 ? absl::OkStatus() : absl::CancelledError("enough");
      },
      [&](std::string_view bytes) {
        written += bytes.size();
        return absl::OkStatus();
      });
  CHECK(end.status().code() == StatusCode::kCancelled);
  CHECK(asked == 5);
  CHECK(written == 0);
}

TEST_CASE("Packages: their names are safe on every system", "[unit][packaging]") {
  PackageOrder order = OrderOf(archive::Format::kZip);
  CHECK(PackageFileName("shop", "weixin", "1.4.2", order) == "shop-weixin-1.4.2.zip");
  CHECK(PackageFileName("shop", "", "", order) == "shop.zip");
  order.form = archive::Format::kTarGz;
  order.cipher = crypto::PackageCipher::kAes256Gcm;
  CHECK(PackageFileName("-rf", "a/b", "../\n\x1b[2J", order) == "_-rf-a_b-_..____2J.tar.gz.cms");
  CHECK(PackageFileName(std::string(500, 'a'), std::string(500, 'b'), std::string(500, 'c'), order)
            .size() < 255);
}

TEST_CASE("RunningPackages: places are each account's own and come back", "[unit][packaging]") {
  RunningPackages running({.max_per_account = 2});
  auto first = running.Enter(AccountId("a"));
  const auto second = running.Enter(AccountId("a"));
  REQUIRE_OK(first);
  REQUIRE_OK(second);
  CHECK_THAT(running.Enter(AccountId("a")).status(),
             StatusIs(StatusCode::kResourceExhausted, "PACKAGES_BUSY"));
  CHECK_OK(running.Enter(AccountId("b")));
  first->reset();
  CHECK_OK(running.Enter(AccountId("a")));
}

}  // namespace
}  // namespace slipway::packaging
