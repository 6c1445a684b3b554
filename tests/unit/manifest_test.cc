#include "common/manifest/manifest.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <random>
#include <string>

#include "common/manifest/blob_piece.h"
#include "common/manifest/tree_writer.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tree.h"

namespace slipway::manifest {
namespace {

using absl::StatusCode;
using testing::BlobOf;
using testing::Compress;
using testing::ReadFile;
using testing::Scan;
using testing::StatusIs;
using testing::TempDir;
using testing::WriteFile;

Entry File(std::string path, std::string_view content = "x", bool executable = false) {
  const BlobRef blob = BlobOf(content);
  return {
      .path = std::move(path), .executable = executable, .size = blob.size, .digest = blob.digest};
}
Entry Link(std::string path, std::string target) {
  return {.path = std::move(path), .kind = EntryKind::kSymlink, .target = std::move(target)};
}
Entry Directory(std::string path) {
  return {.path = std::move(path), .kind = EntryKind::kDirectory};
}

TEST_CASE("Manifest: its text is the documented one", "[unit][manifest]") {
  const auto manifest = Manifest::Create({File("b/run", "#!", true), File("a b", "hello"),
                                          Link("b/to", "../a b"), Directory("empty")});
  REQUIRE_OK(manifest);
  CHECK(manifest->Encode() ==
        "slipway-manifest 1\n"
        "file\t0644\t5\t2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\ta b\n"
        "file\t0755\t2\t3612ddaf46e149a4f583faf0face846585148f59e0ce2645594df83b5dc807e8\tb/run\n"
        "link\tb/to\t../a b\n"
        "dir\tempty\n");
  CHECK(manifest->file_count() == 2);
  CHECK(manifest->total_bytes() == 7);
  CHECK(manifest->Digest() == crypto::Sha256Of(manifest->Encode()));
}

TEST_CASE("Manifest: the text comes back as the same value", "[unit][manifest]") {
  std::mt19937 random(7);
  std::vector<Entry> entries;
  for (int i = 0; i < 500; ++i) {
    std::string path = "d" + std::to_string(random() % 20) + "/é" + std::to_string(i);
    switch (random() % 4) {
      case 0: entries.push_back(Directory(path)); break;
      case 1: entries.push_back(Link(path, "../d1/x")); break;
      default: entries.push_back(File(path, std::to_string(random()), random() % 2 == 0));
    }
  }
  const auto manifest = Manifest::Create(entries);
  REQUIRE_OK(manifest);
  const auto back = Manifest::Parse(manifest->Encode());
  REQUIRE_OK(back);
  CHECK(*back == *manifest);
  CHECK(Manifest::Parse("slipway-manifest 1\n").value() == Manifest());
}

TEST_CASE("Manifest: the order in which a tree was listed does not matter", "[unit][manifest]") {
  std::vector<Entry> entries = {File("a"), File("a-b"), File("c/a"), File("B")};
  const auto first = Manifest::Create(entries);
  std::reverse(entries.begin(), entries.end());
  CHECK(Manifest::Create(entries).value().Digest() == first.value().Digest());
}

TEST_CASE("Manifest: unsafe paths are refused", "[unit][manifest]") {
  for (const std::string& path :
       {std::string(), std::string("/etc/passwd"), std::string("../x"), std::string("a/../b"),
        std::string("a/.."), std::string("./a"), std::string("a//b"), std::string("a/"),
        std::string("a\nb"), std::string("a\tb"), std::string("a\0b", 3), std::string("\x7f"),
        std::string("\xc2\x80"), std::string("\xff"), std::string("\xc0\xaf"),
        std::string("\xed\xa0\x80"), std::string("\xe2\x82"), std::string(256, 'a'),
        std::string(5000, 'a')}) {
    INFO(Printable(path));
    CHECK_THAT(Manifest::Create({File(path)}).status(),
               StatusIs(StatusCode::kInvalidArgument, "UNSAFE_PATH"));
  }
  CHECK_OK(Manifest::Create({File("..."), File("a/..b"), File("\xe4\xb8\xad\xe6\x96\x87")}));
}

TEST_CASE("Manifest: symlinks stay inside the tree", "[unit][manifest]") {
  CHECK_OK(Manifest::Create({Link("a/b/c", "../../x/y"), Link("a/d", "b/c"), Link("e/f", "..")}));
  for (const char* target : {"", "/etc/passwd", "../../x", "b/../../../x", "x/..", "../a/../../b",
                             "a//b", "./a", "a\nb"}) {
    INFO(target);
    CHECK_THAT(Manifest::Create({Link("a/l", target)}).status(),
               StatusIs(StatusCode::kInvalidArgument, "UNSAFE_PATH"));
  }
}

TEST_CASE("Manifest: no path twice and none through another entry", "[unit][manifest]") {
  CHECK_THAT(Manifest::Create({File("a"), Link("a", "b")}).status(),
             StatusIs(StatusCode::kInvalidArgument, "appears twice"));
  for (const Entry& outer : {File("a"), Link("a", "b"), Directory("a")}) {
    CHECK_THAT(Manifest::Create({outer, File("a!"), File("a/b/c")}).status(),
               StatusIs(StatusCode::kInvalidArgument, "leads through \"a\""));
  }
}

TEST_CASE("Manifest: every other spelling is refused with its line", "[unit][manifest]") {
  const std::string head = "slipway-manifest 1\n";
  const std::string hex(64, 'a');
  const std::string good = "file\t0644\t1\t" + hex + "\tb\n";
  REQUIRE_OK(Manifest::Parse(head + good));
  for (const auto& [text, expected] : std::vector<std::pair<std::string, std::string>>{
           {"", "line 1"},
           {"slipway-manifest 2\n", "line 1"},
           {head + good + good, "line 3"},
           {head + good + "dir\ta\n", "line 3"},
           {head + good.substr(0, good.size() - 1), "line 2"},
           {head + "file\t0600\t1\t" + hex + "\tb\n", "line 2"},
           {head + "file\t0644\t01\t" + hex + "\tb\n", "line 2"},
           {head + "file\t0644\t-1\t" + hex + "\tb\n", "line 2"},
           {head + "file\t0644\t\t" + hex + "\tb\n", "line 2"},
           {head + "file\t0644\t99999999999999999999\t" + hex + "\tb\n", "line 2"},
           {head + "file\t0644\t1\t" + std::string(64, 'A') + "\tb\n", "line 2"},
           {head + "file\t0644\t1\tsha256:" + hex + "\tb\n", "line 2"},
           {head + "file\t0644\t1\t" + hex + "\t../b\n", "line 2"},
           {head + "pipe\tb\n", "line 2"},
           {head + "link\tb\n", "line 2"},
           {head + "\n", "line 2"}}) {
    INFO(text);
    CHECK_THAT(Manifest::Parse(text).status(), StatusIs(StatusCode::kInvalidArgument, expected));
  }
}

TEST_CASE("Manifest: limits hold for entries and for the text", "[unit][manifest]") {
  const auto manifest = Manifest::Create({File("a"), File("b"), File("c")});
  REQUIRE_OK(manifest);
  const std::string text = manifest->Encode();
  CHECK_THAT(Manifest::Parse(text, {.max_entries = 2}).status(),
             StatusIs(StatusCode::kResourceExhausted, "MANIFEST_TOO_LARGE"));
  CHECK_THAT(Manifest::Parse(text, {.max_encoded_bytes = text.size() - 1}).status(),
             StatusIs(StatusCode::kResourceExhausted, "MANIFEST_TOO_LARGE"));
  CHECK_OK(Manifest::Parse(text, {.max_entries = 3, .max_encoded_bytes = text.size()}));
  CHECK_THAT(Manifest::Create(manifest->entries(), {.max_entries = 2}).status(),
             StatusIs(StatusCode::kResourceExhausted));
}

TEST_CASE("ScanTree: finds files, links and empty directories", "[unit][manifest]") {
  const TempDir dir;
  WriteFile(dir / "app.js", "hello");
  WriteFile(dir / "pages/index/run.sh", "#!");
  REQUIRE(chmod((dir / "pages/index/run.sh").c_str(), 0700) == 0);
  std::filesystem::create_symlink("index/run.sh", dir / "pages/run");
  std::filesystem::create_directories(dir / "empty/inner");
  std::filesystem::create_hard_link(dir / "app.js", dir / "copy.js");
  for (const int threads : {1, 4}) {
    const auto manifest = Scan(dir.path(), {.threads = threads});
    REQUIRE_OK(manifest);
    CHECK(*manifest ==
          Manifest::Create({File("app.js", "hello"), File("copy.js", "hello"),
                            Directory("empty/inner"), File("pages/index/run.sh", "#!", true),
                            Link("pages/run", "index/run.sh")})
              .value());
  }
}

TEST_CASE("ScanTree: a file larger than its buffer and a tree wider than its queue",
          "[unit][manifest]") {
  const TempDir dir;
  const std::string large(3'000'000, 'z');
  WriteFile(dir / "large", large);
  std::vector<Entry> expected = {File("large", large)};
  for (int i = 0; i < 4000; ++i) {
    const std::string name = "d" + std::to_string(i % 7) + "/" + std::to_string(i);
    WriteFile(dir / name, name);
    expected.push_back(File(name, name));
  }
  const auto manifest = Scan(dir.path());
  REQUIRE_OK(manifest);
  CHECK(*manifest == Manifest::Create(expected).value());
}

TEST_CASE("ScanTree: sockets, FIFOs, devices and escaping links are refused by name",
          "[unit][manifest]") {
  const TempDir dir;
  const std::string bad = dir / "sub/bad";
  WriteFile(dir / "sub/good", "x");
  SECTION("FIFO") { REQUIRE(mkfifo(bad.c_str(), 0666) == 0); }
  SECTION("socket") { REQUIRE(mknod(bad.c_str(), S_IFSOCK | 0666, 0) == 0); }
  SECTION("link out of the tree") { std::filesystem::create_symlink("../../../etc/passwd", bad); }
  SECTION("absolute link") { std::filesystem::create_symlink("/etc/passwd", bad); }
  CHECK_THAT(Scan(dir.path()).status(), StatusIs(StatusCode::kInvalidArgument, "sub/bad"));
}

TEST_CASE("ScanTree: names that no manifest may hold are refused", "[unit][manifest]") {
  const TempDir dir;
  WriteFile(dir / "a\nb", "x");
  CHECK_THAT(Scan(dir.path()).status(), StatusIs(StatusCode::kInvalidArgument, "a\\x0ab"));
}

TEST_CASE("ScanTree: limits on bytes, entries and depth", "[unit][manifest]") {
  const TempDir dir;
  WriteFile(dir / "a", std::string(600, 'a'));
  WriteFile(dir / "b", std::string(600, 'b'));
  CHECK_OK(Scan(dir.path(), {.max_bytes = 1200, .max_entries = 2}));
  CHECK_THAT(Scan(dir.path(), {.max_bytes = 1199}).status(),
             StatusIs(StatusCode::kResourceExhausted, "ARTIFACT_TOO_LARGE"));
  CHECK_THAT(Scan(dir.path(), {.max_entries = 1}).status(),
             StatusIs(StatusCode::kResourceExhausted, "ARTIFACT_TOO_LARGE"));
  std::string deep = dir.path();
  for (int i = 0; i < 200; ++i) deep += "/d";
  std::filesystem::create_directories(deep);
  CHECK_THAT(Scan(dir.path()).status(), StatusIs(StatusCode::kInvalidArgument, "nested deeper"));
}

TEST_CASE("OpenTreeFile: follows no link and notices a replaced file", "[unit][manifest]") {
  const TempDir dir;
  WriteFile(dir / "tree/a/file", "content");
  WriteFile(dir / "outside/file", "secret");
  const auto tree = fs::OpenDirectory(dir / "tree");
  REQUIRE_OK(tree);
  auto reader = OpenTreeFile(tree->get(), "a/file");
  REQUIRE_OK(reader);
  CHECK(testing::ReadAll(**reader) == "content");
  std::filesystem::remove_all(dir / "tree/a");
  std::filesystem::create_directory_symlink(dir / "outside", dir / "tree/a");
  CHECK_THAT(OpenTreeFile(tree->get(), "a/file").status(),
             StatusIs(StatusCode::kAborted, "ARTIFACT_CHANGED"));
  std::filesystem::create_symlink(dir / "outside/file", dir / "tree/link");
  CHECK_THAT(OpenTreeFile(tree->get(), "link").status(), StatusIs(StatusCode::kAborted));
  CHECK_THAT(OpenTreeFile(tree->get(), "../outside/file").status(), StatusIs(StatusCode::kAborted));
}

// Feeds `content` as a blob in pieces of `step` compressed bytes.
absl::Status Feed(TreeWriter& writer, std::string_view content, std::size_t step = 10) {
  const std::string frame = Compress(content);
  for (std::size_t at = 0; at < frame.size(); at += step) {
    const absl::Status status = writer.Accept({.blob = BlobOf(content),
                                               .zstd = std::string_view(frame).substr(at, step),
                                               .last = at + step >= frame.size()});
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

TEST_CASE("TreeWriter: writes back exactly what was scanned, read-only", "[unit][manifest]") {
  const TempDir dir;
  const std::string large(500'000, 'q');
  WriteFile(dir / "in/a", "same");
  WriteFile(dir / "in/b/c", "same");
  WriteFile(dir / "in/b/d", large);
  WriteFile(dir / "in/none", "");
  REQUIRE(chmod((dir / "in/b/c").c_str(), 0755) == 0);
  std::filesystem::create_symlink("../a", dir / "in/b/link");
  std::filesystem::create_directories(dir / "in/empty");
  const auto manifest = Scan(dir / "in");
  REQUIRE_OK(manifest);
  auto writer = TreeWriter::Create(dir / "out", *manifest);
  REQUIRE_OK(writer);
  for (const std::string& content : {large, std::string("same"), std::string()}) {
    REQUIRE_OK(Feed(*writer, content));
  }
  REQUIRE_OK(writer->Finish());
  CHECK(Scan(dir / "out").value() == *manifest);
  struct stat facts {};
  REQUIRE(stat((dir / "out/b/c").c_str(), &facts) == 0);
  CHECK((facts.st_mode & 07777) == 0555);
  REQUIRE(stat((dir / "out/a").c_str(), &facts) == 0);
  CHECK((facts.st_mode & 07777) == 0444);
}

TEST_CASE("TreeWriter: missing, foreign, repeated and changed blobs are refused",
          "[unit][manifest]") {
  const TempDir dir;
  const auto manifest = Manifest::Create({File("a", "one"), File("b", "two")}).value();
  auto writer = TreeWriter::Create(dir / "out", manifest);
  REQUIRE_OK(writer);
  REQUIRE_OK(Feed(*writer, "one"));
  CHECK_THAT(writer->Finish(), StatusIs(StatusCode::kDataLoss, "BLOBS_MISSING"));
  CHECK_THAT(Feed(*writer, "one"), StatusIs(StatusCode::kInvalidArgument, "BLOB_UNEXPECTED"));
  CHECK_THAT(Feed(*writer, "three"), StatusIs(StatusCode::kInvalidArgument, "BLOB_UNEXPECTED"));
  CHECK_THAT(writer->Accept({.blob = BlobOf("two"), .zstd = Compress("owt"), .last = true}),
             StatusIs(StatusCode::kDataLoss, "another content"));
  CHECK_THAT(TreeWriter::Create(dir / "out", manifest).status(),
             StatusIs(StatusCode::kFailedPrecondition, "DIRECTORY_NOT_EMPTY"));
}

TEST_CASE("BlobVerifier: never unpacks more than the promised size", "[unit][manifest]") {
  const std::string bomb = Compress(std::string(50'000'000, '\0'));
  REQUIRE(bomb.size() < 10'000);
  BlobVerifier verifier;
  std::size_t seen = 0;
  const absl::Status status =
      verifier.Accept({.blob = {crypto::Sha256Of("x"), 1000}, .zstd = bomb, .last = true},
                      [&](std::string_view bytes) {
                        seen += bytes.size();
                        return absl::OkStatus();
                      });
  CHECK_THAT(status, StatusIs(StatusCode::kDataLoss, "larger than its 1000 bytes"));
  CHECK(seen <= 1000);
}

TEST_CASE("BlobVerifier: cut, extended, mixed and damaged frames are refused", "[unit][manifest]") {
  const std::string content = "some content that is worth checking";
  const std::string frame = Compress(content);
  const auto nowhere = [](std::string_view) { return absl::OkStatus(); };
  const auto verify = [&](std::string_view zstd) {
    return BlobVerifier().Accept({.blob = BlobOf(content), .zstd = zstd, .last = true}, nowhere);
  };
  CHECK_OK(verify(frame));
  CHECK_FALSE(verify(frame + "x").ok());
  CHECK_FALSE(verify(frame + frame).ok());
  for (std::size_t i = 0; i < frame.size(); ++i) {
    CHECK_FALSE(verify(std::string_view(frame).substr(0, i)).ok());
    std::string changed = frame;
    changed[i] = static_cast<char>(changed[i] ^ 0x55);
    bool same = true;
    std::string out;
    const absl::Status status = BlobVerifier().Accept(
        {.blob = BlobOf(content), .zstd = changed, .last = true}, [&](std::string_view bytes) {
          out += bytes;
          return absl::OkStatus();
        });
    same = out == content;
    CHECK((!status.ok() || same));
  }
  BlobVerifier mixed;
  REQUIRE_OK(mixed.Accept({.blob = BlobOf(content), .zstd = frame.substr(0, 5)}, nowhere));
  CHECK_THAT(
      mixed.Accept({.blob = BlobOf("other"), .zstd = Compress("other"), .last = true}, nowhere),
      StatusIs(StatusCode::kDataLoss, "interrupted"));
}

}  // namespace
}  // namespace slipway::manifest
