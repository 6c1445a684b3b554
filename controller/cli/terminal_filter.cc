#include "controller/cli/terminal_filter.h"

namespace slipway::cli {
namespace {

constexpr char kEscape = '\x1b';
// Longer than any colour.
constexpr std::size_t kMaxSequence = 64;

}  // namespace

std::string TerminalFilter::Filter(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (const char c : bytes) {
    switch (state_) {
      case State::kText: Text(c, out); break;
      case State::kEscape:
        sequence_.clear();
        if (c == '[') {
          state_ = State::kSequence;
        } else if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_') {
          state_ = State::kString;
        } else {
          state_ = State::kText;
        }
        break;
      case State::kSequence: Sequence(c, out); break;
      case State::kString:
        // A newline ends it too, so that a string left open cannot swallow the rest of the log.
        if (c == '\a' || c == '\n') state_ = State::kText;
        if (c == '\n') out += c;
        if (c == kEscape) state_ = State::kStringEscape;
        break;
      case State::kStringEscape: state_ = c == '\\' ? State::kText : State::kString; break;
      case State::kC2:
        state_ = State::kText;
        // U+0080 … U+009F are control characters.
        if (static_cast<unsigned char>(c) >= 0xa0) {
          out += '\xc2';
          out += c;
        }
        break;
    }
  }
  return out;
}

void TerminalFilter::Text(char c, std::string& out) {
  if (c == kEscape) {
    state_ = State::kEscape;
  } else if (c == '\xc2') {
    state_ = State::kC2;
  } else if (c == '\n' || c == '\t' || c == '\r') {
    out += c;
  } else if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) {
    out += c;
  }
}

void TerminalFilter::Sequence(char c, std::string& out) {
  const bool parameter = (c >= '0' && c <= '9') || c == ';' || c == ':';
  if (parameter && sequence_.size() < kMaxSequence) {
    sequence_ += c;
    return;
  }
  const bool end = c >= 0x40 && c <= 0x7e;
  if (c == 'm') {
    out += kEscape;
    out += '[' + sequence_ + 'm';
    coloured_ = !sequence_.empty() && sequence_ != "0";
  }
  // Other bytes inside (spaces, '?') make it one that is dropped, but only at its end.
  if (end || c == '\n' || c == kEscape) state_ = c == kEscape ? State::kEscape : State::kText;
  if (c == '\n') out += c;
}

}  // namespace slipway::cli
