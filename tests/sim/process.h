#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "common/base/time.h"
#include "tests/sim/event_queue.h"

namespace slipway::sim {

class World;

// Something that runs and may be stopped: an operating system process, or the machine below it.
// What it has to do waits while it is frozen and is gone when it has died. It has clocks of its
// own: the measuring one may stand still while it is frozen, the other one may jump.
class Process {
 public:
  explicit Process(World& world) : world_(world) {}

  [[nodiscard]] bool alive() const { return alive_; }
  [[nodiscard]] bool frozen() const { return frozen_; }
  // Rises with each start.
  [[nodiscard]] std::uint64_t life() const { return life_; }
  [[nodiscard]] MonoTime now() const;
  [[nodiscard]] WallTime wall() const;
  // Its measuring clock has stood still at some time of this life.
  [[nodiscard]] bool clock_stood() const { return lag_ > Duration::zero(); }
  // When it was frozen last, and for how long by the world's clock.
  [[nodiscard]] MonoTime thawed_at() const { return thawed_at_; }
  [[nodiscard]] Duration last_freeze() const { return last_freeze_; }

  void Start();
  void Die();
  // A no-op when it is dead or frozen.
  void Freeze(Duration length, bool clock_stands);
  void StepWall(Duration by) { wall_offset_ += by; }

  // Now, or when it thaws; never when it dies before.
  void Do(Job what);
  // `delay` by the world's clock.
  void After(Duration delay, Job what);
  // Frozen in the middle of something: does `rest` first of all when it thaws.
  void FreezeBefore(Duration length, bool clock_stands, Job rest);

 private:
  void Run(std::uint64_t life, Job what);
  void Thaw();

  World& world_;
  bool alive_ = false;
  bool frozen_ = false;
  bool clock_stands_ = false;
  std::uint64_t life_ = 0;
  MonoTime frozen_at_;
  MonoTime thawed_at_;
  Duration last_freeze_{};
  Duration lag_{};
  Duration wall_offset_{};
  std::vector<Job> held_;
};

}  // namespace slipway::sim
