#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/git_servers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace slipway::testing {

// A real SMTP server on a free port of the loopback; mail_server.py says what it does. `tls`: a
// private key and a certificate; empty: without TLS.
class MailServer {
 public:
  explicit MailServer(std::vector<std::string> options = {}, const std::string& tls = "")
      : program_(Argv(std::move(options), tls), dir_ / "log") {
    const bool listening = WaitUntil([&] { return std::filesystem::exists(dir_ / "port"); });
    INFO(ReadFile(dir_ / "log"));
    REQUIRE(listening);
    address_ = "127.0.0.1:" + ReadFile(dir_ / "port");
  }
  // "" mends it.
  void SetFault(const std::string& fault) { WriteFile(dir_ / "fault", fault); }
  // The mails that it took, in order; each with a first line of recipients.
  [[nodiscard]] std::vector<std::string> Mails() const {
    std::vector<std::string> mails;
    for (int number = 1;; ++number) {
      const std::string path = dir_ / (std::to_string(number) + ".eml");
      if (!std::filesystem::exists(path)) return mails;
      mails.push_back(ReadFile(path));
    }
  }
  // Of the mail of this number, from 1.
  [[nodiscard]] std::string PathOf(int number) const {
    return dir_ / (std::to_string(number) + ".eml");
  }
  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  std::vector<std::string> Argv(std::vector<std::string> options, const std::string& tls) {
    std::vector<std::string> argv{"/usr/bin/python3",
                                  SLIPWAY_SOURCE_DIR "/tests/support/mail_server.py", dir_.path()};
    if (!tls.empty()) {
      WriteFile(dir_ / "tls", tls);
      argv.insert(argv.end(), {"--tls", dir_ / "tls", dir_ / "tls"});
    }
    argv.insert(argv.end(), options.begin(), options.end());
    return argv;
  }

  TempDir dir_;
  ServerProgram program_;
  std::string address_;
};

}  // namespace slipway::testing
