#include "agent/runner/prepared_image.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>

#include "agent/executor/labels.h"
#include "agent/runner/container_plan.h"
#include "agent/runner/failures.h"
#include "agent/runner/shared_image.h"
#include "common/config/units.h"
#include "common/crypto/hash.h"
#include "common/fs/files.h"
#include "common/fs/unique_fd.h"
#include "common/status/status.h"

namespace slipway::runner {
namespace {

// Rises when what PrepareScript does changes what comes out.
constexpr char kRecipeVersion[] = "1";
constexpr char kInside[] = "/slipway/prepare";
constexpr char kScript[] = "run";
constexpr char kFiles[] = "files";
constexpr char kLabelRecipe[] = "io.slipway.prepared";
// What dpkg and the scripts of packages need, and an ordinary container has; nothing of the host.
const std::vector<std::string> kCapabilities = {"CHOWN",  "DAC_OVERRIDE", "FOWNER",
                                                "FSETID", "SETGID",       "SETUID"};
constexpr Duration kSlice = std::chrono::seconds(1);

class RecipeHash {
 public:
  void Add(std::string_view text) {
    hasher_.Update(fmt::format("{}:", text.size()));
    hasher_.Update(text);
  }
  std::string Finish() { return hasher_.Finish().Hex(); }

 private:
  crypto::Sha256Hasher hasher_;
};

std::string HashOf(const ImageRecipe& recipe) {
  RecipeHash hash;
  hash.Add(kRecipeVersion);
  hash.Add(recipe.application);
  hash.Add(recipe.base_id);
  hash.Add(recipe.preparation.run);
  hash.Add(std::to_string(recipe.preparation.apt.size()));
  for (const std::string& package : recipe.preparation.apt) hash.Add(package);
  hash.Add(std::to_string(recipe.files.size()));
  for (const auto& [path, bytes] : recipe.files) {
    hash.Add(path);
    hash.Add(bytes);
  }
  for (const auto& [name, value] : recipe.env) {
    hash.Add(name);
    hash.Add(value);
  }
  return hash.Finish();
}

std::string Quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

absl::Status WriteNew(const std::string& path, std::string_view bytes) {
  const fs::UniqueFd file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file.valid()) return ErrnoError(errno, path);
  SLIPWAY_RETURN_IF_ERROR(fs::WriteAll(file.get(), bytes, path));
  return fchmod(file.get(), 0644) == 0 ? absl::OkStatus() : ErrnoError(errno, path);
}

// What the container reads, in a directory that only the agent writes.
absl::Status LayOut(const ImageRecipe& recipe, const std::string& dir, bool with_ca_bundle) {
  std::error_code error;
  std::filesystem::remove_all(dir, error);
  std::filesystem::create_directories(dir + "/" + kFiles, error);
  if (error) return ErrnoError(error.value(), dir);
  for (const auto& [path, bytes] : recipe.files) {
    const std::filesystem::path place = std::filesystem::path(dir) / kFiles / path;
    std::filesystem::create_directories(place.parent_path(), error);
    if (error) return ErrnoError(error.value(), place.parent_path().string());
    SLIPWAY_RETURN_IF_ERROR(WriteNew(place.string(), bytes));
  }
  return WriteNew(dir + "/" + kScript, PrepareScript(recipe, with_ca_bundle));
}

executor::ContainerSpec PrepareContainer(const AttemptContext& context, const ImageRecipe& recipe,
                                         const project::ResourceLimits& limits,
                                         const std::string& dir) {
  const RunnerOptions& options = context.options;
  executor::ContainerSpec spec;
  spec.name = fmt::format("slipway-prepare-{}-{}", options.owner.agent.value(),
                          HashOf(recipe).substr(0, 16));
  spec.image = recipe.base_id;
  spec.labels = AttemptLabels(options.owner, context.key);
  spec.labels[executor::kLabelKind] = "prepare";
  spec.argv = {"/bin/sh", "-eu", fmt::format("{}/{}", kInside, kScript)};
  spec.user = "0:0";
  spec.working_dir = "/";
  spec.hostname = "slipway";
  spec.cap_add = kCapabilities;
  spec.binds = {{.host_path = dir, .container_path = kInside, .read_only = true}};
  if (!options.host_ca_bundle.empty()) {
    spec.binds.push_back({.host_path = options.host_ca_bundle,
                          .container_path = inside::kCaBundle,
                          .read_only = true});
  }
  for (const char* path : {"/tmp", "/var/tmp"}) {
    spec.tmpfs.push_back({.container_path = path,
                          .size_bytes = 0,
                          .mode = 01777,
                          .uid = 0,
                          .gid = 0,
                          .nosuid = true,
                          .nodev = true,
                          .noexec = false});
  }
  spec.network = {.kind = executor::NetworkKind::kBridge, .name = options.network};
  spec.cpus = limits.cpus;
  spec.memory_bytes = limits.memory;
  spec.pids_limit = limits.pids;
  return spec;
}

// Makes one image; what is begun is gone when it has failed.
class Maker {
 public:
  Maker(AttemptContext& context, const ImageRecipe& recipe, const project::ResourceLimits& limits)
      : context_(context),
        recipe_(recipe),
        limits_(limits),
        engine_(context.parts.engine),
        timeout_(context.options.engine_timeout),
        dir_(context.paths.dir + "/prepare") {}

  absl::Status Make(const std::stop_token& stop) {
    const MonoTime begin = context_.clock.Mono();
    const std::string name = PreparedName(recipe_);
    const absl::StatusOr<bool> taken = TakeShared(context_, name);
    if (absl::IsCancelled(taken.status())) return taken.status();
    if (taken.ok() && *taken && IsWhole(name)) return absl::OkStatus();
    if (!taken.ok()) {
      context_.Say(fmt::format("the farm's image cannot be taken and is made anew: {}",
                               std::string(taken.status().message())));
    }
    context_.Say(fmt::format("preparing an image: {} and {}, which is done once", recipe_.base,
                             recipe_.preparation.apt.empty()
                                 ? "what build.prepare runs"
                                 : fmt::format("{}", fmt::join(recipe_.preparation.apt, ", "))));
    const absl::Status laid = LayOut(recipe_, dir_, !context_.options.host_ca_bundle.empty());
    if (!laid.ok()) return laid;
    const executor::ContainerSpec spec = PrepareContainer(context_, recipe_, limits_, dir_);
    // Of an agent that was killed while it made the same.
    SLIPWAY_RETURN_IF_ERROR(engine_.Remove(executor::ContainerId(spec.name), true, timeout_));
    SLIPWAY_ASSIGN_OR_RETURN(const auto created, engine_.Create(spec, timeout_));
    absl::Status made = Run(created.id, stop);
    if (made.ok()) made = Commit(created.id);
    (void)engine_.Remove(created.id, true, timeout_);
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
    if (made.ok()) {
      context_.Say(fmt::format("prepared in {}", HumanDuration(context_.clock.Mono() - begin)));
      // Others would merely make their own.
      if (const absl::Status shared = Share(context_, name); !shared.ok()) {
        context_.Say(
            fmt::format("other agents will not find it: {}", std::string(shared.message())));
      }
    }
    return made;
  }

 private:
  absl::Status Run(const executor::ContainerId& id, const std::stop_token& stop) {
    SLIPWAY_RETURN_IF_ERROR(engine_.Start(id, timeout_));
    const MonoTime deadline = context_.clock.Mono() + recipe_.preparation.timeout;
    while (true) {
      const auto state = engine_.Wait(id, kSlice);
      if (state.ok()) {
        Show(id);
        return Judge(*state);
      }
      if (!absl::IsDeadlineExceeded(state.status())) return state.status();
      if (stop.stop_requested()) return absl::CancelledError("canceled");
      if (context_.clock.Mono() < deadline) continue;
      Show(id);
      return MakeError(absl::StatusCode::kDeadlineExceeded, reason::kPrepareTimeout,
                       fmt::format("build.prepare was not done after {}",
                                   HumanDuration(recipe_.preparation.timeout)));
    }
  }

  // It is what its name says.
  [[nodiscard]] bool IsWhole(const std::string& name) {
    const auto image = engine_.InspectImage(name, timeout_);
    if (!image.ok()) return false;
    const auto label = image->labels.find(kLabelRecipe);
    return label != image->labels.end() && label->second == HashOf(recipe_);
  }

  // The end of what was printed.
  void Show(const executor::ContainerId& id) {
    const auto printed = engine_.LogTail(id, timeout_);
    if (printed.ok() && !printed->empty()) context_.Say(LastWords(*printed));
  }

  static absl::Status Judge(const executor::ContainerState& state) {
    if (state.exit_code == 0) return absl::OkStatus();
    return MakeError(absl::StatusCode::kFailedPrecondition, reason::kPrepareFailed,
                     state.oom_killed
                         ? std::string("build.prepare took more memory than build.limits allows")
                         : fmt::format("build.prepare ended with {}", state.exit_code));
  }

  absl::Status Commit(const executor::ContainerId& id) {
    const std::string name = PreparedName(recipe_);
    // What the container was for says nothing of containers that are made of the image.
    SLIPWAY_RETURN_IF_ERROR(engine_.CommitImage(id, name,
                                                {{kLabelRecipe, HashOf(recipe_)},
                                                 {executor::kLabelTask, ""},
                                                 {executor::kLabelAttempt, ""},
                                                 {executor::kLabelKind, ""}},
                                                timeout_ * 10));
    SLIPWAY_ASSIGN_OR_RETURN(const auto made, engine_.InspectImage(name, timeout_));
    SLIPWAY_ASSIGN_OR_RETURN(const auto base, engine_.InspectImage(recipe_.base_id, timeout_));
    const std::int64_t grown = made.size_bytes - base.size_bytes;
    if (grown <= limits_.disk) return absl::OkStatus();
    (void)engine_.RemoveImage(name, timeout_);
    return MakeError(absl::StatusCode::kResourceExhausted, reason::kDiskLimit,
                     fmt::format("build.prepare adds {} to the image, more than build.limits.disk",
                                 config::FormatSize(grown)));
  }

  AttemptContext& context_;
  const ImageRecipe& recipe_;
  const project::ResourceLimits& limits_;
  executor::ContainerEngine& engine_;
  const Duration timeout_;
  const std::string dir_;
};

}  // namespace

absl::StatusOr<ImageRecipe> RecipeOf(const git::CommitReader& reader, const std::string& commit,
                                     const std::string& application,
                                     const project::BuildConfig& build,
                                     const std::string& base_id) {
  ImageRecipe recipe{.application = application,
                     .base = build.image,
                     .base_id = base_id,
                     .preparation = *build.prepare,
                     .files = {},
                     .env = build.env};
  std::size_t left = project::kMaxPrepareFileBytes;
  for (const std::string& path : recipe.preparation.files) {
    absl::StatusOr<std::string> bytes = reader.ReadFile(commit, path, left);
    const bool missing = absl::IsNotFound(bytes.status());
    if (missing || absl::IsInvalidArgument(bytes.status())) {
      return MakeError(
          absl::StatusCode::kFailedPrecondition, reason::kPrepareFile,
          fmt::format("build.prepare.files names {}, which {}", path,
                      missing ? "is no file of the commit"
                              : fmt::format("with those before it is larger than {}",
                                            config::FormatSize(project::kMaxPrepareFileBytes))));
    }
    SLIPWAY_RETURN_IF_ERROR(bytes.status());
    left -= bytes->size();
    recipe.files.emplace_back(path, *std::move(bytes));
  }
  return recipe;
}

std::string PreparedName(const ImageRecipe& recipe) {
  return fmt::format("slipway-prepared/{}:{}", recipe.application, HashOf(recipe).substr(0, 32));
}

std::string PrepareScript(const ImageRecipe& recipe, bool with_ca_bundle) {
  std::string text =
      "umask 022\nexport HOME=/tmp LANG=C.UTF-8 CI=true PATH=" + std::string(kDefaultPath) + "\n";
  if (with_ca_bundle) {
    for (const std::string& one : CaEnvironment(inside::kCaBundle)) text += "export " + one + "\n";
  }
  for (const auto& [name, value] : recipe.env) {
    text += fmt::format("export {}={}\n", name, Quoted(value));
  }
  if (!recipe.preparation.apt.empty()) {
    // Lists and packages would only make the image larger; its own rules for them may be missing.
    text += fmt::format(
        "export DEBIAN_FRONTEND=noninteractive\n"
        "apt-get update -qq\n"
        "apt-get install -y -qq --no-install-recommends -- {}\n"
        "rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb\n",
        fmt::join(recipe.preparation.apt, " "));
  }
  text += fmt::format("mkdir -p {0}\ncp -R {1}/{2}/. {0}/\ncd {0}\n", inside::kPrepared, kInside,
                      kFiles);
  // In a shell of its own, which its `exit` ends.
  if (!recipe.preparation.run.empty()) {
    text += fmt::format("/bin/sh -euc {}\n", Quoted(recipe.preparation.run));
  }
  return text;
}

absl::StatusOr<executor::ImageInfo> EnsurePrepared(AttemptContext& context,
                                                   const ImageRecipe& recipe,
                                                   const project::ResourceLimits& limits) {
  return context.parts.make_image(
      PreparedName(recipe),
      [&](const std::stop_token& stop) { return Maker(context, recipe, limits).Make(stop); },
      context.control.token());
}

}  // namespace slipway::runner
