#include "controller/work/work_pool.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

namespace slipway::work {
namespace {

TEST_CASE("WorkPool: what several threads post is run once each, the rest at destruction",
          "[unit]") {
  constexpr int kPosters = 4;
  constexpr int kEach = 500;
  std::mutex mu;
  std::vector<int> done;
  {
    WorkPool pool(3);
    std::vector<std::thread> posters;
    for (int poster = 0; poster < kPosters; ++poster) {
      posters.emplace_back([&, poster] {
        for (int i = 0; i < kEach; ++i) {
          pool.Post([&, number = poster * kEach + i] {
            const std::lock_guard lock(mu);
            done.push_back(number);
          });
        }
      });
    }
    for (std::thread& poster : posters) poster.join();
  }
  std::sort(done.begin(), done.end());
  REQUIRE(done.size() == kPosters * kEach);
  CHECK(std::unique(done.begin(), done.end()) == done.end());
  CHECK(done.front() == 0);
}

TEST_CASE("WorkPool: more than the most that may wait is refused, and what was taken is run",
          "[unit]") {
  std::promise<void> begun;
  std::promise<void> go_on;
  std::atomic<int> done = 0;
  {
    WorkPool pool(1);
    pool.Post([&] {
      begun.set_value();
      go_on.get_future().wait();
    });
    begun.get_future().wait();
    CHECK(pool.TryPost([&] { ++done; }, 2));
    CHECK(pool.TryPost([&] { ++done; }, 2));
    CHECK_FALSE(pool.TryPost([&] { ++done; }, 2));
    go_on.set_value();
  }
  CHECK(done == 2);
}

TEST_CASE("WorkPool: with one thread, work is done in order and may post more", "[unit]") {
  std::vector<int> done;
  {
    WorkPool pool(1);
    pool.Post([&] {
      done.push_back(1);
      pool.Post([&] { done.push_back(3); });
    });
    pool.Post([&] { done.push_back(2); });
  }
  // The third was posted before the second began or after; either way it was not lost.
  REQUIRE(done.size() == 3);
  CHECK(done[0] == 1);
}

}  // namespace
}  // namespace slipway::work
