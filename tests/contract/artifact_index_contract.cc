#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/contract/store_farm.h"

namespace slipway::testing {
namespace {

using artifacts::Artifact;
using manifest::BlobRef;

const ApplicationId kShop("app-1");
const WallTime kNow = FromUnixMicros(kStart);
const WallTime kLater = kNow + std::chrono::seconds(60);
const WallTime kAfter = kNow + std::chrono::seconds(61);

Sha256Digest Digest(char digit) { return *Sha256Digest::Parse(std::string(64, digit)); }

BlobRef Blob(char digit) {
  BlobRef blob;
  blob.digest = Digest(digit);
  return blob;
}

Artifact Product(char manifest, WallTime created = kNow) {
  return {.application = kShop,
          .manifest = Digest(manifest),
          .total_bytes = 7'000'000'000,
          .file_count = 3,
          .created = created};
}

}  // namespace

TEST_CASE("ArtifactIndex: a hold rises from planned to stored to referenced", "[contract]") {
  Farm farm;
  artifacts::ArtifactIndex& index = farm.process->artifacts();
  const std::vector<Sha256Digest> digests = {Digest('b'), Digest('a'), Digest('b')};
  CHECK(*index.Planned(kShop, digests, kNow) == std::vector<bool>{false, false, false});
  REQUIRE_OK(index.Plan(kShop, std::vector{Digest('b'), Digest('b')}, kNow, kLater));
  CHECK(*index.Planned(kShop, digests, kNow) == std::vector<bool>{true, false, true});
  CHECK(*index.Held(kShop, digests, kNow) == std::vector<bool>{false, false, false});
  REQUIRE_OK(index.MarkStored(kShop, std::vector{Blob('b')}, kLater));
  CHECK(*index.Held(kShop, digests, kNow) == std::vector<bool>{true, false, true});
  REQUIRE_OK(index.Plan(kShop, digests, kNow, kNow));
  CHECK(*index.Held(kShop, digests, kNow) == std::vector<bool>{true, false, true});
  CHECK(index.Held(kShop, {}, kNow)->empty());
}

TEST_CASE("ArtifactIndex: a hold that has ended counts as absent", "[contract]") {
  Farm farm;
  artifacts::ArtifactIndex& index = farm.process->artifacts();
  const std::vector<Sha256Digest> digest = {Digest('a')};
  REQUIRE_OK(index.MarkStored(kShop, std::vector{Blob('a')}, kLater));
  CHECK(*index.Held(kShop, digest, kAfter) == std::vector<bool>{false});
  CHECK(*index.Planned(kShop, digest, kLater) == std::vector<bool>{false});
  // Planned anew, its blob may be gone.
  REQUIRE_OK(index.Plan(kShop, digest, kAfter, kAfter + std::chrono::seconds(9)));
  CHECK(*index.Planned(kShop, digest, kAfter) == std::vector<bool>{true});
  CHECK(*index.Held(kShop, digest, kAfter) == std::vector<bool>{false});
}

TEST_CASE("ArtifactIndex: planning extends a stored hold that lives", "[contract]") {
  Farm farm;
  artifacts::ArtifactIndex& index = farm.process->artifacts();
  const std::vector<Sha256Digest> digest = {Digest('a')};
  REQUIRE_OK(index.MarkStored(kShop, std::vector{Blob('a')}, kLater));
  REQUIRE_OK(index.Plan(kShop, digest, kNow, kAfter + std::chrono::seconds(9)));
  CHECK(*index.Held(kShop, digest, kAfter) == std::vector<bool>{true});
}

TEST_CASE("ArtifactIndex: what another application holds is not seen", "[contract]") {
  Farm farm;
  artifacts::ArtifactIndex& index = farm.process->artifacts();
  REQUIRE_OK(index.MarkStored(kShop, std::vector{Blob('a')}, kLater));
  const std::vector<Sha256Digest> digest = {Digest('a')};
  CHECK(*index.Held(ApplicationId("another"), digest, kNow) == std::vector<bool>{false});
  CHECK(*index.Planned(ApplicationId("another"), digest, kNow) == std::vector<bool>{false});
}

TEST_CASE("ArtifactIndex: an artifact is made when all its blobs are held, or not at all",
          "[contract]") {
  Farm farm;
  artifacts::ArtifactIndex& index = farm.process->artifacts();
  const std::vector<BlobRef> blobs = {Blob('a'), Blob('b')};
  REQUIRE_OK(index.MarkStored(kShop, std::vector{Blob('a')}, kLater));
  REQUIRE_OK(index.Plan(kShop, std::vector{Digest('b')}, kNow, kLater));
  CHECK_THAT(index.Finalize(Product('f'), blobs, kNow),
             StatusIs(absl::StatusCode::kFailedPrecondition, "BLOBS_MISSING"));
  CHECK_FALSE(index.Find(kShop, Digest('f'))->has_value());
  CHECK(*index.Held(kShop, std::vector{Digest('a')}, kAfter) == std::vector<bool>{false});
  REQUIRE_OK(index.MarkStored(kShop, blobs, kLater));
  REQUIRE_OK(index.Finalize(Product('f'), blobs, kNow));
  CHECK(*index.Held(kShop, std::vector{Digest('a'), Digest('b')}, kAfter) ==
        std::vector<bool>{true, true});
  // Again and later: the first one's time stays.
  REQUIRE_OK(index.Finalize(Product('f', kAfter), blobs, kAfter));
  const auto found = index.Find(kShop, Digest('f'));
  REQUIRE_OK(found);
  REQUIRE(found->has_value());
  CHECK((*found)->application == kShop);
  CHECK((*found)->manifest == Digest('f'));
  CHECK((*found)->total_bytes == 7'000'000'000);
  CHECK((*found)->file_count == 3);
  CHECK((*found)->created == kNow);
}

TEST_CASE("ArtifactIndex: a marked blob counts as missing until it is stored again", "[contract]") {
  Farm farm;
  artifacts::ArtifactIndex& index = farm.process->artifacts();
  const std::vector<BlobRef> blobs = {Blob('a')};
  const std::vector<Sha256Digest> digest = {Digest('a')};
  REQUIRE_OK(index.MarkStored(kShop, blobs, kLater));
  farm.harness->MarkBlob(Digest('a'));
  CHECK(*index.Held(kShop, digest, kNow) == std::vector<bool>{false});
  CHECK_THAT(index.Finalize(Product('f'), blobs, kNow),
             StatusIs(absl::StatusCode::kFailedPrecondition, "BLOBS_MISSING"));
  REQUIRE_OK(index.MarkStored(kShop, blobs, kLater));
  CHECK(*index.Held(kShop, digest, kNow) == std::vector<bool>{true});
  CHECK_OK(index.Finalize(Product('f'), blobs, kNow));
}

TEST_CASE("ArtifactIndex: an artifact is whole until a blob of its application is marked",
          "[contract]") {
  Farm farm;
  artifacts::ArtifactIndex& index = farm.process->artifacts();
  REQUIRE_OK(index.MarkStored(kShop, std::vector{Blob('a'), Blob('f')}, kLater));
  CHECK(*index.IsWhole(kShop, Digest('f')) == false);
  REQUIRE_OK(index.Finalize(Product('f'), std::vector{Blob('a'), Blob('f')}, kNow));
  CHECK(*index.IsWhole(kShop, Digest('f')) == true);
  CHECK(*index.IsWhole(ApplicationId("another"), Digest('f')) == false);
  farm.harness->MarkBlob(Digest('b'));  // nobody's
  CHECK(*index.IsWhole(kShop, Digest('f')) == true);
  farm.harness->MarkBlob(Digest('a'));
  CHECK(*index.IsWhole(kShop, Digest('f')) == false);
  REQUIRE_OK(index.MarkStored(kShop, std::vector{Blob('a')}, kLater));
  CHECK(*index.IsWhole(kShop, Digest('f')) == true);
}

TEST_CASE("ArtifactIndex: artifacts are listed newest first, then by digest", "[contract]") {
  Farm farm;
  artifacts::ArtifactIndex& index = farm.process->artifacts();
  const std::vector<BlobRef> blobs = {Blob('a')};
  REQUIRE_OK(index.MarkStored(kShop, blobs, kLater));
  REQUIRE_OK(index.Finalize(Product('1', kNow), blobs, kNow));
  REQUIRE_OK(index.Finalize(Product('3', kLater), blobs, kNow));
  REQUIRE_OK(index.Finalize(Product('2', kLater), blobs, kNow));
  const auto all = index.List(kShop, std::nullopt, 2);
  REQUIRE_OK(all);
  REQUIRE(all->size() == 2);
  CHECK(all->at(0).manifest == Digest('2'));
  CHECK(all->at(1).manifest == Digest('3'));
  const auto older = index.List(kShop, kLater, 10);
  REQUIRE_OK(older);
  REQUIRE(older->size() == 1);
  CHECK(older->at(0).manifest == Digest('1'));
}

}  // namespace slipway::testing
