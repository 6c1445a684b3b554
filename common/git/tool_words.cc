#include "common/git/tool_words.h"

#include "absl/strings/cord.h"

namespace slipway::git {
namespace {

constexpr char kWordsUrl[] = "slipway/tool-words";

}  // namespace

absl::Status WithToolWords(absl::Status status, std::string_view words) {
  constexpr std::size_t kMaxWords = 4096;
  if (words.size() > kMaxWords) words.remove_prefix(words.size() - kMaxWords);
  if (!words.empty()) {
    status.SetPayload(kWordsUrl, absl::Cord(absl::string_view(words.data(), words.size())));
  }
  return status;
}

std::string ToolWordsOf(const absl::Status& status) {
  const auto words = status.GetPayload(kWordsUrl);
  return words ? std::string(*words) : std::string();
}

}  // namespace slipway::git
