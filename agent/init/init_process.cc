#include "agent/init/init_process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <chrono>
#include <optional>

#include "agent/init/channel.h"
#include "agent/init/posix.h"
#include "agent/init/spool.h"
#include "agent/init/supervisor.h"
#include "common/base/time.h"

namespace slipway::init {
namespace {

constexpr int kExitCannotStart = 2;
constexpr Millis kTermGraceOnStop{5'000};
constexpr Duration kKillPatience = std::chrono::seconds(10);

class InitProcess {
 public:
  InitProcess(std::string control_path, bool waits)
      : control_path_(std::move(control_path)), waits_(waits) {}

  [[nodiscard]] Problem Start();
  // Until Shutdown.
  void Loop();

 private:
  void OnSignal();
  void OnFrame(std::string_view frame);
  Supervisor::Refusal Execute(const DecodedCommand& decoded, bool* wants_hello);
  void BeginShutdown(Millis grace);
  [[nodiscard]] bool MayExit();
  void ArmTimer();
  void ClearTimer();

  const std::string control_path_;
  const bool waits_;
  SystemClock clock_;
  Fd control_;
  Fd signals_;
  Fd timer_;
  MonoTime armed_ = MonoTime::max();
  Spool spool_;
  Channel channel_;
  std::optional<Supervisor> supervisor_;
  bool shutting_down_ = false;
  MonoTime exit_at_ = MonoTime::max();
};

Problem InitProcess::Start() {
  prctl(PR_SET_DUMPABLE, 0);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  sigset_t mask;
  sigemptyset(&mask);
  for (const int s : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) sigaddset(&mask, s);
  sigprocmask(SIG_BLOCK, &mask, nullptr);
  signals_ = Fd(signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC));
  timer_ = Fd(timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!signals_.valid() || !timer_.valid()) return ErrnoProblem("signalfd, timerfd", errno);
  if (getpid() != 1) return "not process 1 of a container: it would kill every process it sees";
  setgroups(0, nullptr);

  struct stat st {};
  if (stat(control_path_.c_str(), &st) != 0) return ErrnoProblem(control_path_, errno);
  setfsuid(st.st_uid);
  setfsgid(st.st_gid);
  prctl(PR_SET_DUMPABLE, 0);  // a changed fsuid resets it
  control_ = Fd(open(control_path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!control_.valid()) return ErrnoProblem(control_path_, errno);
  if (!waits_) {
    if (Problem p = spool_.Open(control_.get()); !p.empty()) return p;
  }
  supervisor_.emplace(control_.get(), st.st_uid, &spool_, &clock_, [this](const Event& event) {
    if (const auto* bell = std::get_if<Doorbell>(&event)) {
      channel_.Ring(bell->spool_end);
    } else {
      channel_.Send(event);
    }
  });
  return channel_.Listen(control_path_);
}

void InitProcess::OnSignal() {
  signalfd_siginfo info{};
  bool child = false;
  while (read(signals_.get(), &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
    if (info.ssi_signo == SIGCHLD) child = true;
    // pid 0: from outside the namespace, so not a step's doing.
    if (info.ssi_pid == 0 && (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)) {
      BeginShutdown(kTermGraceOnStop);
    }
  }
  if (child) supervisor_->OnChildSignal();
}

void InitProcess::BeginShutdown(Millis grace) {
  shutting_down_ = true;
  supervisor_->CancelAny(grace);
}

bool InitProcess::MayExit() {
  if (!shutting_down_ || !supervisor_->idle()) return false;
  const MonoTime now = clock_.Mono();
  if (exit_at_ == MonoTime::max()) exit_at_ = now + kKillPatience;
  return supervisor_->KillEverybody() || now >= exit_at_;
}

void InitProcess::OnFrame(std::string_view frame) {
  std::optional<DecodedCommand> decoded = DecodeCommand(frame);
  if (!decoded) {
    channel_.Close();
    return;
  }
  Ack ack{decoded->request, AckCode::kUnsupported, "unknown command"};
  bool wants_hello = false;
  if (decoded->command) {
    Supervisor::Refusal refusal = Execute(*decoded, &wants_hello);
    ack.code = refusal.code;
    ack.message = std::move(refusal.message);
    if (auto* secret = std::get_if<WriteSecret>(&*decoded->command)) Wipe(secret->bytes);
    if (auto* masks = std::get_if<SetMasks>(&*decoded->command)) {
      for (auto& s : masks->secrets) Wipe(s);
    }
    if (auto* text = std::get_if<MaskText>(&*decoded->command)) Wipe(text->bytes);
  }
  if (ack.request != 0) channel_.Send(ack);
  if (wants_hello) channel_.Send(supervisor_->Describe());
}

template <typename... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <typename... F>
Overloaded(F...) -> Overloaded<F...>;

Supervisor::Refusal InitProcess::Execute(const DecodedCommand& decoded, bool* wants_hello) {
  using Refusal = Supervisor::Refusal;
  return std::visit(Overloaded{
                        [&](const RunStep& c) {
                          if (shutting_down_) return Refusal{AckCode::kBusy, "shutting down"};
                          return supervisor_->Run(c.spec);
                        },
                        [&](const SetMasks& c) { return supervisor_->SetMasks(c.secrets); },
                        [&](const WriteSecret& c) { return supervisor_->WriteSecret(c); },
                        [&](const AppendLog& c) { return supervisor_->AppendLog(c.bytes); },
                        [&](const Cancel& c) { return supervisor_->CancelStep(c.step, c.grace); },
                        [&](const SetDurable& c) {
                          supervisor_->SetDurable(c.offset);
                          return Refusal{};
                        },
                        [&](const SetBudget& c) {
                          supervisor_->SetBudget(c.bytes);
                          return Refusal{};
                        },
                        [&](const GetStatus&) {
                          *wants_hello = true;
                          return Refusal{};
                        },
                        [&](const Shutdown& c) {
                          BeginShutdown(c.grace);
                          return Refusal{};
                        },
                        [&](const OpenLog&) {
                          if (spool_.is_open()) return Refusal{};
                          Problem p = spool_.Open(control_.get());
                          return p.empty() ? Refusal{} : Refusal{AckCode::kIoError, std::move(p)};
                        },
                        [&](const MaskText& c) {
                          Masked masked{decoded.request, {}};
                          Refusal refusal = supervisor_->MaskText(c.bytes, &masked.bytes);
                          if (refusal.code == AckCode::kOk) channel_.Send(masked);
                          return refusal;
                        },
                    },
                    *decoded.command);
}

// Armed no later than the next wake; an earlier alarm only makes the loop look again.
void InitProcess::ArmTimer() {
  MonoTime wake = supervisor_->NextWake();
  if (shutting_down_ && supervisor_->idle()) wake = clock_.Mono() + StepCore::kSweep;
  if (wake >= armed_) return;
  const auto ns = std::max<Duration::rep>(wake.time_since_epoch().count(), 1);
  itimerspec spec{};
  spec.it_value.tv_sec = ns / 1'000'000'000;
  spec.it_value.tv_nsec = ns % 1'000'000'000;
  timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
  armed_ = wake;
}

void InitProcess::ClearTimer() {
  std::uint64_t expirations = 0;
  (void)!read(timer_.get(), &expirations, sizeof(expirations));
  armed_ = MonoTime::max();
}

void InitProcess::Loop() {
  while (!MayExit()) {
    ArmTimer();
    const int output = supervisor_->output_fd();
    pollfd fds[] = {
        {signals_.get(), POLLIN, 0},
        {timer_.get(), POLLIN, 0},
        {channel_.listen_fd(), POLLIN, 0},
        {channel_.fd(), static_cast<short>(POLLIN | (channel_.wants_write() ? POLLOUT : 0)), 0},
        {output, POLLIN, 0},
    };
    if (poll(fds, std::size(fds), -1) < 0) continue;
    if (fds[4].revents != 0) supervisor_->OnOutputReady();
    if (fds[0].revents != 0) OnSignal();
    if (fds[1].revents != 0) ClearTimer();
    if ((fds[3].revents & POLLOUT) != 0) channel_.OnWritable();
    if ((fds[3].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && channel_.connected()) {
      channel_.OnReadable([this](std::string_view frame) { OnFrame(frame); });
    }
    if (fds[2].revents != 0 && channel_.Accept()) channel_.Send(supervisor_->Describe());
    supervisor_->Tick();
  }
}

}  // namespace

int RunInit(const std::string& control_path, bool waits) {
  InitProcess process(control_path, waits);
  if (const Problem problem = process.Start(); !problem.empty()) {
    fprintf(stderr, "slipway-init: %s\n", problem.c_str());
    return kExitCannotStart;
  }
  process.Loop();
  return 0;
}

}  // namespace slipway::init
