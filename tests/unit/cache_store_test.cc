#include "agent/caches/cache_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "common/fs/unique_fd.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::caches {
namespace {

namespace stdfs = std::filesystem;
using testing::ReadFile;
using testing::StatusIs;
using testing::WriteFile;
using namespace std::chrono_literals;

constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();

const CacheId kNpm{.application = "app-1", .name = "npm"};
const CacheId kModules{.application = "app-1", .name = "modules", .key = std::string(64, 'a')};

struct World {
  World() {
    auto made = git::Trash::Create(dir / "work/trash", 1ms);
    REQUIRE_OK(made);
    trash = *std::move(made);
    options.work_dir = dir / "work";
    options.farm = FarmId("farm-1");
    options.quiet = 1ms;
    stdfs::create_directories(dir / "work/build");
    build = fs::UniqueFd(open((dir / "work/build").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  CacheStore& Open() {
    store.reset();
    auto made = CacheStore::Create(options, *trash);
    REQUIRE_OK(made);
    store = *std::move(made);
    return *store;
  }
  // What a build left, handed to the store.
  absl::Status Leave(const CacheId& id, const std::string& content,
                     CacheStore::Others others = CacheStore::Others::kStay) {
    WriteFile(dir / "work/build/it/file", content);
    return store->Keep(id, build.get(), "it", others);
  }
  // What the next build finds; empty: nothing.
  std::string Find(const CacheId& id, std::int64_t max_bytes = kAny) {
    const auto loan = store->Lend(id, build.get(), "found", max_bytes);
    REQUIRE_OK(loan);
    const std::string path = dir / "work/build/found";
    REQUIRE(stdfs::exists(path) == loan->hit);
    if (!loan->hit) return "";
    std::string content = ReadFile(path + "/file");
    stdfs::remove_all(path);
    return content;
  }
  // The slots, as they are on the disk.
  [[nodiscard]] std::vector<stdfs::path> Slots() const {
    std::vector<stdfs::path> slots;
    const stdfs::path top = dir / "work/caches/farm-1";
    if (!stdfs::exists(top)) return slots;
    for (const auto& application : stdfs::directory_iterator(top)) {
      for (const auto& slot : stdfs::directory_iterator(application.path())) {
        slots.push_back(slot.path());
      }
    }
    return slots;
  }

  const testing::TempDir dir;
  StoreOptions options;
  std::unique_ptr<git::Trash> trash;
  std::unique_ptr<CacheStore> store;
  fs::UniqueFd build;
};

TEST_CASE("CacheStore: what one build leaves the next one finds, and nobody else", "[unit]") {
  World world;
  CacheStore& store = world.Open();
  CHECK_FALSE(store.Has(kNpm));
  REQUIRE_OK(world.Leave(kNpm, "downloads"));
  CHECK_FALSE(stdfs::exists(world.dir / "work/build/it"));
  CHECK(store.Has(kNpm));
  CHECK(world.Find({.application = "app-2", .name = "npm"}).empty());
  CHECK(world.Find({.application = "app-1", .name = "ccache"}).empty());
  CHECK(world.Find({.application = "app-1", .name = "npm", .key = std::string(64, 'b')}).empty());
  CHECK(world.Find(kNpm) == "downloads");
  // Lent is gone, until it comes back.
  CHECK(world.Find(kNpm).empty());
  CHECK(world.Slots().empty());
}

TEST_CASE("CacheStore: builds at once have a copy each, the latest goes out first", "[unit]") {
  World world;
  world.options.limits.max_copies = 2;
  world.Open();
  for (const char* content : {"first", "second", "third"}) REQUIRE_OK(world.Leave(kNpm, content));
  CHECK(world.Find(kNpm) == "third");
  CHECK(world.Find(kNpm) == "second");
  CHECK(world.Find(kNpm).empty());
}

TEST_CASE("CacheStore: a build that began without takes the place of what was kept", "[unit]") {
  World world;
  world.Open();
  REQUIRE_OK(world.Leave(kNpm, "spoilt"));
  REQUIRE_OK(world.Leave(kModules, "another"));
  REQUIRE_OK(world.Leave(kNpm, "clean", CacheStore::Others::kGo));
  CHECK(world.Find(kNpm) == "clean");
  CHECK(world.Find(kNpm).empty());
  CHECK(world.Find(kModules) == "another");
}

TEST_CASE("CacheStore: what is thrown away by its id is gone, and nothing else", "[unit]") {
  World world;
  CacheStore& store = world.Open();
  REQUIRE_OK(world.Leave(kNpm, "one"));
  REQUIRE_OK(world.Leave(kNpm, "two"));
  REQUIRE_OK(world.Leave(kModules, "another"));
  store.Drop(kNpm);
  CHECK(world.Find(kNpm).empty());
  CHECK(world.Find(kModules) == "another");
  CHECK(world.Slots().empty());
}

TEST_CASE("CacheStore: limits hold also while builds end all the time", "[unit]") {
  World world;
  world.options.quiet = 1h;
  world.options.longest_wait = 1ms;
  CacheStore& store = world.Open();
  REQUIRE_OK(world.Leave(kNpm, "one"));
  CHECK(store.WaitUntilSettled(20s));
}

TEST_CASE("CacheStore: links to what lies elsewhere make nothing smaller", "[unit]") {
  World world;
  CacheStore& store = world.Open();
  WriteFile(world.dir / "work/build/it/large", std::string(1'000'000, 'x'));
  for (int i = 0; i < 9; ++i) {
    stdfs::create_hard_link(world.dir / "work/build/it/large",
                            world.dir / ("work/build/link-" + std::to_string(i)));
  }
  stdfs::create_hard_link(world.dir / "work/build/it/large", world.dir / "work/build/it/same");
  REQUIRE_OK(world.Leave(kNpm, "x"));
  REQUIRE(store.WaitUntilSettled(20s));
  const auto loan = store.Lend(kNpm, world.build.get(), "found", kAny);
  REQUIRE_OK(loan);
  REQUIRE(loan->bytes);
  CHECK(*loan->bytes >= 1'000'000);
  CHECK(*loan->bytes < 1'200'000);
}

TEST_CASE("CacheStore: only a directory with something in it is kept, never what a link names",
          "[unit]") {
  World world;
  CacheStore& store = world.Open();
  WriteFile(world.dir / "outside/file", "secret");
  stdfs::create_directory_symlink(world.dir / "outside", world.dir / "work/build/link");
  WriteFile(world.dir / "work/build/plain", "file");
  stdfs::create_directory(world.dir / "work/build/empty");
  CHECK_THAT(store.Keep(kNpm, world.build.get(), "absent"), StatusIs(absl::StatusCode::kNotFound));
  for (const char* name : {"link", "plain", "empty"}) {
    INFO(name);
    CHECK_THAT(store.Keep(kNpm, world.build.get(), name),
               StatusIs(absl::StatusCode::kFailedPrecondition));
  }
  CHECK(world.Slots().empty());
  CHECK(ReadFile(world.dir / "outside/file") == "secret");
}

TEST_CASE("CacheStore: links inside lead neither measuring nor deleting out", "[unit]") {
  World world;
  CacheStore& store = world.Open();
  WriteFile(world.dir / "outside/large", std::string(3'000'000, 'x'));
  stdfs::create_directories(world.dir / "work/build/it");
  stdfs::create_directory_symlink(world.dir / "outside", world.dir / "work/build/it/link");
  stdfs::create_directory_symlink("/", world.dir / "work/build/it/root");
  REQUIRE_OK(world.Leave(kNpm, "x"));
  REQUIRE(store.WaitUntilSettled(10s));
  const auto loan = store.Lend(kNpm, world.build.get(), "it", kAny);
  REQUIRE_OK(loan);
  REQUIRE(loan->bytes);
  CHECK(*loan->bytes < 1'000'000);
  REQUIRE_OK(store.Keep(kNpm, world.build.get(), "it"));
  REQUIRE(store.ListKept().size() == 1);
  REQUIRE_OK(store.DropKept(store.ListKept().front().path));
  REQUIRE(world.trash->WaitUntilEmpty(10s));
  CHECK(ReadFile(world.dir / "outside/large").size() == 3'000'000);
}

TEST_CASE("CacheStore: words that could name another directory are no cache", "[unit]") {
  World world;
  world.Open();
  for (const char* word : {"", "..", "a/b", "a.b"}) {
    INFO(word);
    CHECK_THAT(world.Leave({.application = word, .name = "npm"}, "x"),
               StatusIs(absl::StatusCode::kInvalidArgument));
    CHECK_FALSE(world.store->Has({.application = word, .name = "npm"}));
  }
}

TEST_CASE("CacheStore: a new process has what the one before kept, and sweeps what it was at",
          "[unit]") {
  World world;
  world.Open();
  REQUIRE_OK(world.Leave(kNpm, "downloads"));
  REQUIRE_OK(world.Leave(kModules, "modules"));
  REQUIRE(world.store->WaitUntilSettled(10s));
  const std::string top = world.dir / "work/caches";
  // Killed between two steps of keeping or lending; another farm's; nobody's.
  stdfs::create_directory(top + "/farm-1/app-1/npm.-.12345678.id");
  WriteFile(top + "/farm-1/app-1/npm.-.12345678.id2/size", "5");
  WriteFile(top + "/farm-1/app-1/stray", "x");
  WriteFile(top + "/farm-2/app-1/npm.-.12345678.id/data/x", "x");
  WriteFile(world.dir / "outside/file", "x");
  stdfs::create_directory_symlink(world.dir / "outside", top + "/farm-1/linked");
  world.Open();
  CHECK(world.Slots().size() == 2);
  CHECK_FALSE(stdfs::exists(top + "/farm-2"));
  CHECK(stdfs::exists(world.dir / "outside/file"));
  CHECK(world.Find(kNpm) == "downloads");
  CHECK(world.Find(kModules) == "modules");
}

TEST_CASE("CacheStore: after the machine went down only what had reached the disk is kept",
          "[unit]") {
  World world;
  world.Open();
  REQUIRE_OK(world.Leave(kNpm, "whole"));
  REQUIRE_OK(world.Leave(kModules, "torn"));
  REQUIRE(world.store->WaitUntilSettled(10s));
  world.store.reset();
  for (const stdfs::path& slot : world.Slots()) {
    const std::string name = slot.filename().string();
    const std::size_t boot = name.find('.', name.find('.') + 1) + 1;
    std::string other = name;
    other.replace(boot, 8, "00000000");
    if (name.starts_with("modules")) stdfs::remove(slot / "size");
    stdfs::rename(slot, slot.parent_path() / other);
  }
  world.Open();
  CHECK(world.Find(kNpm) == "whole");
  CHECK(world.Find(kModules).empty());
}

TEST_CASE("CacheStore: above its limit the least recently used of an application goes", "[unit]") {
  World world;
  world.options.limits.max_bytes_per_application = 1'000'000;
  CacheStore& store = world.Open();
  const CacheId other{.application = "app-2", .name = "npm"};
  REQUIRE_OK(world.Leave(other, std::string(700'000, 'o')));
  REQUIRE_OK(world.Leave(kNpm, std::string(700'000, 'a')));
  REQUIRE(store.WaitUntilSettled(10s));
  CHECK(store.ListKept().size() == 2);
  REQUIRE_OK(world.Leave(kModules, std::string(700'000, 'b')));
  REQUIRE(store.WaitUntilSettled(10s));
  CHECK_FALSE(store.Has(kNpm));
  CHECK(store.Has(kModules));
  CHECK(store.Has(other));
}

TEST_CASE("CacheStore: one that is larger than a build may have is not lent", "[unit]") {
  World world;
  CacheStore& store = world.Open();
  REQUIRE_OK(world.Leave(kNpm, std::string(700'000, 'a')));
  REQUIRE(store.WaitUntilSettled(10s));
  const auto loan = store.Lend(kNpm, world.build.get(), "found", 500'000);
  REQUIRE_OK(loan);
  CHECK_FALSE(loan->hit);
  CHECK(loan->too_large);
  CHECK_FALSE(store.Has(kNpm));
}

TEST_CASE("CacheStore: turned off it keeps nothing and deletes what there is", "[unit]") {
  World world;
  world.Open();
  REQUIRE_OK(world.Leave(kNpm, "downloads"));
  world.options.enabled = false;
  world.Open();
  CHECK(world.Find(kNpm).empty());
  CHECK_THAT(world.Leave(kNpm, "x"), StatusIs(absl::StatusCode::kFailedPrecondition));
  CHECK(world.Slots().empty());
}

TEST_CASE("Surplus: what was used last stays as long as there is room", "[unit]") {
  const CacheLimits limits{
      .max_bytes = 100, .max_bytes_per_application = 60, .max_copies = 2, .max_per_application = 3};
  const auto cache = [](const char* application, const char* name, std::int64_t bytes) {
    return SizedCache{.id = {.application = application, .name = name}, .bytes = bytes};
  };
  using Positions = std::vector<std::size_t>;
  CHECK(Surplus({}, limits).empty());
  CHECK(Surplus({cache("a", "x", 60), cache("b", "x", 40)}, limits).empty());
  // Of an application; of all; a third copy; a fourth of one application.
  CHECK(Surplus({cache("a", "x", 30), cache("b", "x", 9), cache("a", "y", 40)}, limits) ==
        Positions{0});
  CHECK(Surplus({cache("a", "x", 50), cache("b", "x", 50), cache("c", "x", 50)}, limits) ==
        Positions{0});
  CHECK(Surplus({cache("a", "x", 1), cache("a", "x", 1), cache("a", "x", 1)}, limits) ==
        Positions{0});
  CHECK(Surplus({cache("a", "w", 0), cache("a", "x", 0), cache("a", "y", 0), cache("a", "z", 0)},
                limits) == Positions{0});
  // One that fits nowhere takes no other along, also when nobody can count it.
  CHECK(Surplus({cache("a", "x", 50), cache("a", "y", kAny)}, limits) == Positions{1});
  CHECK(Surplus({cache("a", "x", kAny), cache("a", "y", kAny)}, limits) == Positions{1, 0});
}

}  // namespace
}  // namespace slipway::caches
