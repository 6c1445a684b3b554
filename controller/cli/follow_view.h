#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "controller/cli/render.h"
#include "controller/cli/terminal_filter.h"
#include "slipway/v1/task.pb.h"

namespace slipway::cli {

// A run as it happens, as text: events in, what to print out. Says each thing once, however often
// the controller repeats it. A run for one platform prints its log as it comes; one for several
// prints whole lines, each behind the name of its task. Pure; confined to one thread.
class FollowView {
 public:
  // `terminal`: logs pass a TerminalFilter; otherwise byte for byte.
  FollowView(const View& view, bool terminal) : view_(view), terminal_(terminal) {}

  // The run's tasks as they are now.
  [[nodiscard]] std::string Tasks(const v1::WatchRunResponse& run);
  // Why a task of the run waits, asked for after it had waited a while.
  [[nodiscard]] std::string Waits(const v1::ExplainTaskResponse& why);
  // Fresh bytes of a log; `skipped` bytes before them never came.
  [[nodiscard]] std::string Log(const std::string& task, std::string_view data,
                                std::uint64_t skipped);
  // The log of an attempt has ended.
  [[nodiscard]] std::string LogEnd(const std::string& task, bool complete, std::uint64_t missing);
  // The same, of one that the controller's disk has damaged: it says how.
  [[nodiscard]] std::string LogDamaged(const std::string& task, const absl::Status& status);
  // One of the streams (any name) has lost the controller or, when ok, is back.
  [[nodiscard]] std::string Trouble(const std::string& stream, const absl::Status& status);

 private:
  struct TaskView {
    std::string title{};
    v1::TaskState state = v1::TASK_STATE_UNSPECIFIED;
    std::int64_t attempt = 0;
    std::string waits{};  // what was last said of why it waits
    // (attempt, number) → what was printed of it.
    std::map<std::pair<std::int64_t, std::uint32_t>, v1::StepState> steps{};
    std::string partial{};  // a line whose end has not come, when lines are prefixed
    TerminalFilter filter{};
    bool has_log = false;
  };

  [[nodiscard]] std::string Changed(const v1::Task& task, TaskView& seen);
  [[nodiscard]] std::string NewSteps(const v1::Task& task, TaskView& seen);
  [[nodiscard]] std::string Prefix(const TaskView& task) const;
  // A line of our own, on a fresh line.
  [[nodiscard]] std::string Own(const TaskView* task, const std::string& line);
  [[nodiscard]] std::string Lines(TaskView& task, const std::string& data);

  const View view_;
  const bool terminal_;
  std::map<std::string, TaskView> tasks_;
  bool several_ = false;                  // platforms: their tasks run at once
  bool in_line_ = false;                  // the last byte printed was no newline
  bool coloured_ = false;                 // the last log printed may have left a colour on
  std::map<std::string, bool> troubled_;  // streams without a connection
};

}  // namespace slipway::cli
