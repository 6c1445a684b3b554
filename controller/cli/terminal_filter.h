#pragma once

#include <string>
#include <string_view>

namespace slipway::cli {

// Lets the text and the colours of a build's log through to a terminal, and nothing with which a
// hostile script could steer it: window titles, clipboard, cursor, key bindings. Bytes may be split
// anywhere. Thread-compatible.
class TerminalFilter {
 public:
  // What of `bytes` may be printed.
  [[nodiscard]] std::string Filter(std::string_view bytes);
  // True when a colour may be on.
  [[nodiscard]] bool coloured() const { return coloured_; }

 private:
  enum class State { kText, kEscape, kSequence, kString, kStringEscape, kC2 };

  void Text(char c, std::string& out);
  void Sequence(char c, std::string& out);

  State state_ = State::kText;
  std::string sequence_;  // of kSequence: what came behind "ESC ["
  bool coloured_ = false;
};

}  // namespace slipway::cli
