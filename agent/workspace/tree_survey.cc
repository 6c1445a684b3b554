#include "agent/workspace/tree_survey.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/status/status.h"

namespace slipway::workspace {
namespace {

using absl::StatusCode;

constexpr int kMaxDepth = 100;
constexpr std::string_view kAttributes = ".gitattributes";

bool IsSafeName(std::string_view name) {
  if (name.empty() || name.size() > 255 || name == "." || name == "..") return false;
  if (name.find('/') != std::string_view::npos) return false;
  if (name.size() != 4 || name[0] != '.') return true;
  const auto lower = [&](std::size_t i) { return static_cast<char>(name[i] | 0x20); };
  return !(lower(1) == 'g' && lower(2) == 'i' && lower(3) == 't');
}

std::int64_t RecordedSize(const TreeRecord& record, const std::string& path) {
  const auto file = std::lower_bound(
      record.files.begin(), record.files.end(), path,
      [](const RecordedFile& one, const std::string& other) { return one.path < other; });
  return file != record.files.end() && file->path == path ? file->stamp.size : 0;
}

class Surveyor {
 public:
  Surveyor(git_repository* repository, const WorkTreeOptions& options, const std::stop_token& stop)
      : repository_(repository), options_(options), stop_(stop) {}

  absl::Status Count(const git_tree* tree, const std::string& prefix, int depth) {
    SLIPWAY_RETURN_IF_ERROR(CheckDepth(depth));
    for (std::size_t i = 0; i < git_tree_entrycount(tree); ++i) {
      SLIPWAY_RETURN_IF_ERROR(CountEntry(git_tree_entry_byindex(tree, i), prefix, depth));
    }
    return absl::OkStatus();
  }

  // Counts what `tree` has and `old` has not.
  absl::Status CountNew(const git_tree* tree, const git_tree* old, const std::string& prefix,
                        int depth) {
    SLIPWAY_RETURN_IF_ERROR(CheckDepth(depth));
    for (std::size_t i = 0; i < git_tree_entrycount(tree); ++i) {
      const git_tree_entry* entry = git_tree_entry_byindex(tree, i);
      const git_tree_entry* before = git::FindLike(old, entry);
      if (before != nullptr && git::AreSame(entry, before)) continue;
      if (before == nullptr || !git::IsTree(entry) || !git::IsTree(before)) {
        SLIPWAY_RETURN_IF_ERROR(CountEntry(entry, prefix, depth));
        continue;
      }
      SLIPWAY_ASSIGN_OR_RETURN(const git::TreePtr child, git::Subtree(repository_, entry));
      SLIPWAY_ASSIGN_OR_RETURN(const git::TreePtr old_child, git::Subtree(repository_, before));
      SLIPWAY_RETURN_IF_ERROR(CountNew(child.get(), old_child.get(),
                                       prefix + git_tree_entry_name(entry) + "/", depth + 1));
    }
    return absl::OkStatus();
  }

  // Takes what `old` has and `tree` has not out of `survey`. `tree` may be nullptr: has nothing.
  absl::Status Uncount(const git_tree* old, const git_tree* tree, const TreeRecord& before,
                       const std::string& prefix, ChangeSurvey& survey) {
    for (std::size_t i = 0; i < git_tree_entrycount(old); ++i) {
      const git_tree_entry* entry = git_tree_entry_byindex(old, i);
      const git_tree_entry* now = tree == nullptr ? nullptr : git::FindLike(tree, entry);
      if (now != nullptr && git::AreSame(entry, now)) continue;
      const std::string path = prefix + git_tree_entry_name(entry);
      const bool stays_directory = now != nullptr && git::IsTree(entry) && git::IsTree(now);
      if (!stays_directory) --survey.tree.entries;
      if (git::IsTree(entry)) {
        SLIPWAY_ASSIGN_OR_RETURN(const git::TreePtr child, git::Subtree(repository_, entry));
        git::TreePtr now_child;
        if (stays_directory) {
          SLIPWAY_ASSIGN_OR_RETURN(now_child, git::Subtree(repository_, now));
        }
        SLIPWAY_RETURN_IF_ERROR(Uncount(child.get(), now_child.get(), before, path + "/", survey));
        continue;
      }
      NoteAttributes(entry, path);
      survey.kept_bytes -= RecordedSize(before, path);
    }
    return absl::OkStatus();
  }

  // Starts the count of Count and CountNew.
  void StartAt(std::uint64_t entries) { entries_ = entries; }
  [[nodiscard]] std::uint64_t entries() const { return entries_; }
  // Path and blob of every .gitattributes that was met.
  [[nodiscard]] const std::string& attributes() const { return attributes_; }

 private:
  static absl::Status CheckDepth(int depth) {
    if (depth <= kMaxDepth) return absl::OkStatus();
    return TooLarge(fmt::format("more than {} levels", kMaxDepth));
  }

  absl::Status CountEntry(const git_tree_entry* entry, const std::string& prefix, int depth) {
    const std::string_view name = git_tree_entry_name(entry);
    const std::string path = prefix + std::string(name);
    if (!IsSafeName(name)) return UnsafeEntry(path, "a forbidden name");
    if (++entries_ > options_.max_files) {
      return TooLarge(fmt::format("more than {} files", options_.max_files));
    }
    if (entries_ % 256 == 0 && stop_.stop_requested()) {
      return absl::CancelledError("canceled while reading the commit");
    }
    if (!git::IsTree(entry)) {
      NoteAttributes(entry, path);
      return absl::OkStatus();
    }
    SLIPWAY_ASSIGN_OR_RETURN(const git::TreePtr child, git::Subtree(repository_, entry));
    return Count(child.get(), path + "/", depth + 1);
  }

  void NoteAttributes(const git_tree_entry* entry, const std::string& path) {
    if (git_tree_entry_name(entry) != kAttributes) return;
    attributes_ += path + '\0' + git::HexOf(*git_tree_entry_id(entry)) + '\n';
  }

  git_repository* const repository_;
  const WorkTreeOptions& options_;
  const std::stop_token& stop_;
  std::uint64_t entries_ = 0;
  std::string attributes_;
};

}  // namespace

absl::Status TooLarge(std::string_view what) {
  return MakeError(StatusCode::kFailedPrecondition, "REPOSITORY_TOO_LARGE",
                   fmt::format("the commit has {}", what),
                   "Make the repository smaller, or ask the operator to raise the limit.");
}

absl::Status UnsafeEntry(std::string_view path, std::string_view what) {
  return MakeError(StatusCode::kFailedPrecondition, "REPOSITORY_REFUSED",
                   fmt::format("the commit has {} at '{}'", what, path),
                   "Run 'git fsck' in the repository and rewrite the commits it names.");
}

absl::StatusOr<TreeSurvey> SurveyTree(git_repository* repository, const git_tree* tree,
                                      const WorkTreeOptions& options, const std::stop_token& stop) {
  Surveyor surveyor(repository, options, stop);
  SLIPWAY_RETURN_IF_ERROR(surveyor.Count(tree, "", 0));
  const std::string& attributes = surveyor.attributes();
  return TreeSurvey{surveyor.entries(), attributes.empty() ? "" : git::HashName(attributes)};
}

absl::StatusOr<std::optional<ChangeSurvey>> SurveyChanges(git_repository* repository,
                                                          const git_tree* tree, const git_tree* old,
                                                          const TreeRecord& before,
                                                          const WorkTreeOptions& options,
                                                          const std::stop_token& stop) {
  Surveyor surveyor(repository, options, stop);
  ChangeSurvey survey{.tree = {before.entries, before.attributes}};
  for (const RecordedFile& file : before.files) survey.kept_bytes += file.stamp.size;
  SLIPWAY_RETURN_IF_ERROR(surveyor.Uncount(old, tree, before, "", survey));
  surveyor.StartAt(survey.tree.entries);
  SLIPWAY_RETURN_IF_ERROR(surveyor.CountNew(tree, old, "", 0));
  survey.tree.entries = surveyor.entries();
  if (!surveyor.attributes().empty()) return std::nullopt;
  return survey;
}

}  // namespace slipway::workspace
