#include <fmt/format.h>

#include <cstdint>

#include "common/manifest/manifest.h"
#include "common/status/status.h"

namespace slipway::manifest {
namespace {

constexpr std::size_t kMaxPath = 4095;
constexpr std::size_t kMaxComponent = 255;

// Length of the well-formed UTF-8 sequence at the front of `text` and its code point; 0: malformed.
std::size_t NextCodePoint(std::string_view text, std::uint32_t& code_point) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  std::size_t length = 0;
  std::uint32_t smallest = 0;
  if (lead < 0x80) {
    code_point = lead;
    return 1;
  }
  if ((lead & 0xe0) == 0xc0) {
    length = 2, smallest = 0x80, code_point = lead & 0x1f;
  } else if ((lead & 0xf0) == 0xe0) {
    length = 3, smallest = 0x800, code_point = lead & 0x0f;
  } else if ((lead & 0xf8) == 0xf0) {
    length = 4, smallest = 0x10000, code_point = lead & 0x07;
  } else {
    return 0;
  }
  if (text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code_point = (code_point << 6) | (byte(i) & 0x3f);
  }
  const bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
  return code_point < smallest || code_point > 0x10ffff || surrogate ? 0 : length;
}

bool IsControl(std::uint32_t c) { return c < 0x20 || (c >= 0x7f && c <= 0x9f); }

absl::Status Refuse(std::string_view path, std::string_view why) {
  return MakeError(absl::StatusCode::kInvalidArgument, "UNSAFE_PATH",
                   fmt::format("\"{}\" {}", Printable(path), why));
}

absl::Status CheckText(std::string_view shown, std::string_view text) {
  if (text.empty()) return Refuse(shown, "is an empty path");
  if (text.size() > kMaxPath)
    return Refuse(shown, fmt::format("is longer than {} bytes", kMaxPath));
  while (!text.empty()) {
    std::uint32_t code_point = 0;
    const std::size_t length = NextCodePoint(text, code_point);
    if (length == 0) return Refuse(shown, "is not UTF-8");
    if (IsControl(code_point)) return Refuse(shown, "has a control character");
    text.remove_prefix(length);
  }
  return absl::OkStatus();
}

// Plain names between the slashes, nothing that means another directory.
absl::Status CheckComponents(std::string_view shown, std::string_view rest) {
  while (true) {
    const std::size_t slash = rest.find('/');
    const std::string_view component = rest.substr(0, slash);
    if (component.empty() || component == "." || component == "..") {
      return Refuse(shown, "is absolute or has an empty, \".\" or \"..\" component");
    }
    if (component.size() > kMaxComponent) {
      return Refuse(shown, fmt::format("has a component longer than {} bytes", kMaxComponent));
    }
    if (slash == std::string_view::npos) return absl::OkStatus();
    rest.remove_prefix(slash + 1);
  }
}

}  // namespace

absl::Status CheckPath(std::string_view path) {
  SLIPWAY_RETURN_IF_ERROR(CheckText(path, path));
  return CheckComponents(path, path);
}

// ".." only at the front: such a target climbs real directories of the tree (no path leads through
// a symlink), and behind the climb each further symlink obeys the same rule, so that following it
// never leaves the tree.
absl::Status CheckSymlink(std::string_view path, std::string_view target) {
  const std::string shown = fmt::format("{} -> {}", path, target);
  SLIPWAY_RETURN_IF_ERROR(CheckText(shown, target));
  std::size_t depth = 0;
  for (const char c : path) depth += c == '/' ? 1 : 0;
  std::string_view rest = target;
  while (rest == ".." || rest.starts_with("../")) {
    if (depth == 0) return Refuse(shown, "is a symlink that leaves the tree");
    --depth;
    if (rest == "..") return absl::OkStatus();
    rest.remove_prefix(3);
  }
  return CheckComponents(shown, rest);
}

std::string Printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    std::uint32_t code_point = 0;
    const std::size_t length = NextCodePoint(text, code_point);
    if (length == 0 || IsControl(code_point)) {
      result += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(text[0]));
      text.remove_prefix(1);
    } else {
      result += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return result;
}

}  // namespace slipway::manifest
