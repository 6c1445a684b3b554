#include "controller/runs/task_watch.h"

#include <catch2/catch.hpp>
#include <future>
#include <thread>

namespace slipway::runs {
namespace {

using std::chrono::seconds;

const TaskId kOne("task-1");
const TaskId kTwo("task-2");
const TaskId kOther("task-3");

TEST_CASE("TaskWatch: a follower of several tasks is woken once per change", "[unit]") {
  TaskWatch watch;
  int wakes = 0;
  const auto handle = watch.Subscribe({kOne, kTwo}, [&] { ++wakes; });
  watch.Changed({kOther});
  CHECK(wakes == 0);
  watch.Changed({kTwo, kOne, kOther});
  CHECK(wakes == 1);
  watch.Changed({kOne});
  CHECK(wakes == 2);
}

TEST_CASE("TaskWatch: nobody is woken after the handle is gone, others still are", "[unit]") {
  TaskWatch watch;
  int first = 0;
  int second = 0;
  auto one = watch.Subscribe({kOne}, [&] { ++first; });
  const auto two = watch.Subscribe({kOne}, [&] { ++second; });
  one.reset();
  watch.Changed({kOne});
  CHECK(first == 0);
  CHECK(second == 1);
}

TEST_CASE("TaskWatch: the end of a handle waits for a call that runs", "[unit]") {
  TaskWatch watch;
  std::promise<void> entered;
  std::promise<void> leave;
  std::atomic<bool> left = false;
  auto handle = watch.Subscribe({kOne}, [&] {
    entered.set_value();
    leave.get_future().wait();
    left = true;
  });
  std::thread changer([&] { watch.Changed({kOne}); });
  entered.get_future().wait();
  auto reset = std::async(std::launch::async, [&] {
    handle.reset();
    return left.load();
  });
  CHECK(reset.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
  leave.set_value();
  CHECK(reset.get());
  changer.join();
}

}  // namespace
}  // namespace slipway::runs
