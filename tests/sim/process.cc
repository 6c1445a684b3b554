#include "tests/sim/process.h"

#include <iterator>
#include <utility>

#include "tests/sim/sim_world.h"

namespace slipway::sim {

MonoTime Process::now() const {
  const MonoTime world = frozen_ && clock_stands_ ? frozen_at_ : world_.now();
  return world - lag_;
}

WallTime Process::wall() const { return world_.wall() + wall_offset_; }

void Process::Start() {
  alive_ = true;
  ++life_;
}

void Process::Die() {
  alive_ = frozen_ = false;
  lag_ = Duration::zero();
  last_freeze_ = Duration::zero();
  ++life_;
  held_.clear();
}

void Process::Freeze(Duration length, bool clock_stands) {
  if (!alive_ || frozen_) return;
  frozen_ = true;
  clock_stands_ = clock_stands;
  frozen_at_ = world_.now();
  world_.After(length, [this, life = life_] {
    if (life == life_) Thaw();
  });
}

void Process::FreezeBefore(Duration length, bool clock_stands, Job rest) {
  Freeze(length, clock_stands);
  held_.insert(held_.begin(), std::move(rest));
}

void Process::Thaw() {
  frozen_ = false;
  thawed_at_ = world_.now();
  last_freeze_ = thawed_at_ - frozen_at_;
  if (clock_stands_) lag_ += last_freeze_;
  const std::uint64_t life = life_;
  std::vector<Job> held = std::exchange(held_, {});
  for (auto it = held.begin(); it != held.end(); ++it) {
    if (life != life_) return;
    if (frozen_) {
      held_.insert(held_.end(), std::make_move_iterator(it), std::make_move_iterator(held.end()));
      return;
    }
    (*it)();
  }
}

void Process::Run(std::uint64_t life, Job what) {
  if (life != life_ || !alive_) return;
  if (frozen_) {
    held_.push_back(std::move(what));
  } else {
    what();
  }
}

void Process::Do(Job what) { Run(life_, std::move(what)); }

void Process::After(Duration delay, Job what) {
  world_.After(delay, [this, life = life_, what = std::move(what)]() mutable {
    Run(life, std::move(what));
  });
}

}  // namespace slipway::sim
