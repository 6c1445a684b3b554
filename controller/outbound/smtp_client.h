#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "common/crypto/secret.h"

// Mails by SMTP.
namespace slipway::outbound {

struct Server {
  // smtps://HOST[:PORT], or smtp://HOST[:PORT] with STARTTLS.
  std::string url;
  // Empty: without login.
  std::string user{};
  crypto::SecretBytes password{};
  // Certificates that its own has to come from, PEM; empty: those that the machine trusts.
  std::string ca_pem{};
  // Without TLS.
  bool plain = false;
};

// A file that goes with a mail.
struct Attachment {
  std::string path;  // on this machine
  std::string name;  // as the reader sees it
};

struct Mail {
  // Addresses without names; ASCII, without spaces and control characters.
  std::string from;
  std::vector<std::string> to;
  // Without angle brackets; the same mail sent again has the same one.
  std::string message_id{};
  WallTime date{};
  // One line of UTF-8.
  std::string subject{};
  // UTF-8. `html` may show the image as cid:code.
  std::string text{};
  std::string html{};
  std::string code_png{};
  std::vector<Attachment> attachments{};
};

enum class SendEnd {
  kSent,     // the server has taken it for everybody
  kRefused,  // the server said no, so nobody gets it
  kNotSent,  // it never came to a server's yes or no, and nobody gets it
  kUnknown,  // the whole mail may have arrived; whether the server took it is not known
};

struct SendOutcome {
  SendEnd end = SendEnd::kNotSent;
  // The server did not take the login.
  bool bad_login = false;
  // What happened, for people; empty when it was sent. No secret.
  std::string message{};
  // The server's last words; empty: it said nothing.
  std::string server_words{};
};

struct SendOptions {
  // For all of it.
  Duration deadline = std::chrono::minutes(10);
  // Asked once in a while: true ends the attempt.
  std::function<bool()> canceled = [] { return false; };
  // Hears the conversation with the server, line by line and without logins.
  std::function<void(const std::string& line)> on_line = [](const std::string&) {};
};

// Sends to all recipients or, when the server refuses one, to none. Blocks. Thread-safe.
[[nodiscard]] SendOutcome Send(const Server& server, const Mail& mail, const SendOptions& options);

}  // namespace slipway::outbound
