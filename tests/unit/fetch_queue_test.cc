#include "controller/catalog/fetch_queue.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace slipway::catalog {
namespace {

Repository At(const std::string& server, int number) {
  return {.url = "https://" + server + "/" + std::to_string(number)};
}

// All that may run now, and does.
std::vector<std::string> TakeAll(FetchQueue& queue, std::size_t max) {
  std::vector<std::string> urls;
  while (urls.size() < max) {
    const auto next = queue.Take();
    if (!next) break;
    urls.push_back(next->url.substr(8));
  }
  return urls;
}

using Urls = std::vector<std::string>;

TEST_CASE("FetchQueue: first come, first served, but one server never has all", "[unit]") {
  FetchQueue queue(3);
  for (int i = 0; i < 3; ++i) queue.Push(At("a", i));
  queue.Push(At("b", 0));
  CHECK(TakeAll(queue, 3) == Urls{"a/0", "a/1", "b/0"});
  CHECK(queue.waiting() == 1);
  queue.Ended(At("b", 0), absl::OkStatus());
  CHECK(TakeAll(queue, 1).empty());
  queue.Ended(At("a", 0), absl::OkStatus());
  CHECK(TakeAll(queue, 1) == Urls{"a/2"});
}

TEST_CASE("FetchQueue: servers that were not reached have one fetch together", "[unit]") {
  FetchQueue queue(3);
  for (const char* server : {"a", "b"}) {
    queue.Push(At(server, 0));
    REQUIRE(queue.Take());
    queue.Ended(At(server, 0), absl::UnavailableError("away"));
  }
  queue.Push(At("a", 1));
  queue.Push(At("b", 1));
  queue.Push(At("c", 1));
  CHECK(TakeAll(queue, 3) == Urls{"a/1", "c/1"});
  // It is back.
  queue.Ended(At("a", 1), absl::OkStatus());
  queue.Push(At("a", 2));
  CHECK(TakeAll(queue, 3) == Urls{"b/1", "a/2"});
}

TEST_CASE("FetchQueue: where only one fetch may run at once, all run in turn", "[unit]") {
  FetchQueue queue(1);
  queue.Push(At("a", 0));
  queue.Push(At("a", 1));
  CHECK(TakeAll(queue, 1) == Urls{"a/0"});
  queue.Ended(At("a", 0), absl::DeadlineExceededError("late"));
  CHECK(TakeAll(queue, 1) == Urls{"a/1"});
}

}  // namespace
}  // namespace slipway::catalog
