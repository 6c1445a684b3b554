#include "controller/api/product.h"

#include <fmt/format.h>

#include <utility>

#include "common/qr/release_code.h"
#include "common/rpc/text.h"
#include "common/status/status.h"
#include "controller/api/guard.h"
#include "controller/domain/task_actions.h"

namespace slipway::api {
namespace {

absl::Status NoSuchProduct(const std::string& name, const char* why) {
  return MakeError(absl::StatusCode::kNotFound, "NO_SUCH_PRODUCT",
                   fmt::format("'{}': {}", rpc::ValidUtf8(name.substr(0, 200)), why));
}

constexpr char kNoRelease[] = "there is no such release";
constexpr char kNoTask[] = "neither a release nor a task has this name";

}  // namespace

absl::StatusOr<Product> FindProduct(const Deps& deps, const access::Caller& caller,
                                    const std::string& name) {
  Product product;
  TaskId task(name);
  std::optional<ReleaseId> release;
  if (name.rfind("rel-", 0) == 0) release = ReleaseId(name);
  if (name.find(':') != std::string::npos) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto code, qr::ParseReleaseCode(name));
    release = code.release;
  }
  if (release) {
    auto found = deps.reader.GetRelease(*release);
    if (found.status().code() == absl::StatusCode::kNotFound) {
      return NoSuchProduct(name, kNoRelease);
    }
    SLIPWAY_RETURN_IF_ERROR(found.status());
    product.release = *std::move(found);
    task = product.release->build_task;
  }
  auto found = deps.reader.GetTask(task);
  if (found.status().code() == absl::StatusCode::kNotFound) {
    return NoSuchProduct(name, kNoTask);
  }
  SLIPWAY_RETURN_IF_ERROR(found.status());
  if (found->task.kind == domain::TaskKind::kPublish ||
      found->task.kind == domain::TaskKind::kPreview) {
    found = deps.reader.GetTask(found->task.depends_on);
    SLIPWAY_RETURN_IF_ERROR(found.status());
  }
  product.build = *std::move(found);
  const absl::Status seen = deps.auth.Check(caller, {.application = product.build.run.application},
                                            "such product", "NO_SUCH_PRODUCT");
  if (absl::IsNotFound(seen)) return NoSuchProduct(name, release ? kNoRelease : kNoTask);
  SLIPWAY_RETURN_IF_ERROR(seen);
  SLIPWAY_RETURN_IF_ERROR(domain::CheckProduct(product.build.task));
  SLIPWAY_ASSIGN_OR_RETURN(const auto siblings, deps.reader.TasksOfRun(product.build.run.id));
  for (const domain::Task& sibling : siblings) {
    if (sibling.kind == domain::TaskKind::kPublish && sibling.depends_on == product.build.task.id) {
      product.publish = sibling;
    }
  }
  if (!product.release && product.publish &&
      product.publish->state == domain::TaskState::kSucceeded) {
    SLIPWAY_ASSIGN_OR_RETURN(product.release, deps.reader.ReleaseOfTask(product.publish->id));
  }
  if (product.release) return product;
  // It may have been handed over by a run of its own.
  auto later = deps.reader.ReleaseOfBuild(product.build.task.id);
  if (later.ok()) product.release = *std::move(later);
  if (!later.ok() && !absl::IsNotFound(later.status())) return later.status();
  return product;
}

}  // namespace slipway::api
