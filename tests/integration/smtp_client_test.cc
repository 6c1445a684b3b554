// Mails through a real SMTP server: what arrives, and what is said when something goes wrong.
#include "controller/outbound/smtp_client.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/support/mail_server.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {
namespace {

using Catch::Contains;
using outbound::Send;
using outbound::SendEnd;

outbound::Mail SomeMail() {
  outbound::Mail mail{.from = "farm@example.com", .to = {"mei@example.com", "li@example.com"}};
  mail.message_id = "task-1.1@example.com";
  mail.date = FromUnixMicros(1'700'000'000'000'000);
  mail.subject = "小店 1.2.3 (weixin)：一个很长的标题，长到一行放不下，所以要分成几段来编码";
  mail.text = "你好，hello\n.a line that begins with a dot\n";
  mail.html = "<p>你好</p><img src=\"cid:code\">";
  mail.code_png = "\x89PNG not really";
  return mail;
}

outbound::Server ServerAt(const MailServer& server) {
  return {.url = "smtp://" + server.address(), .plain = true};
}

// What python's reader of mails makes of one, by the given expression over `m`.
std::string Parsed(const MailServer& server, const std::string& expression) {
  const TempDir dir;
  WriteFile(dir / "read.py",
            "import email, email.policy, sys\n"
            "m = email.message_from_bytes(open(sys.argv[1], 'rb').read(), "
            "policy=email.policy.default)\n"
            "sys.stdout.write(str(" +
                expression + "))\n");
  const std::string command =
      "/usr/bin/python3 " + (dir / "read.py") + " " + server.PathOf(1) + " > " + (dir / "out");
  REQUIRE(std::system(command.c_str()) == 0);
  return ReadFile(dir / "out");
}

TEST_CASE("Mail: arrives whole, with both texts, the code and the file", "[integration]") {
  MailServer server;
  const TempDir dir;
  std::string bytes(300'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 + i / 251);
  WriteFile(dir / "package", bytes);
  outbound::Mail mail = SomeMail();
  mail.attachments.push_back({dir / "package", "shop-weixin-1.2.3.zip"});
  std::vector<std::string> lines;
  const auto sent = Send(ServerAt(server), mail,
                         {.on_line = [&](const std::string& line) { lines.push_back(line); }});
  INFO(sent.message);
  REQUIRE(sent.end == SendEnd::kSent);
  REQUIRE(server.Mails().size() == 1);
  CHECK_THAT(server.Mails()[0], Contains("X-Recipients: mei@example.com, li@example.com"));
  CHECK(Parsed(server, "m['subject']") == mail.subject);
  CHECK(
      Parsed(server, "(m['from'], m['to'], m['date'], m['message-id'])") ==
      "('farm@example.com', 'mei@example.com, li@example.com', 'Tue, 14 Nov 2023 22:13:20 +0000', "
      "'<task-1.1@example.com>')");
  CHECK(Parsed(server, "m.get_body(('plain',)).get_content().replace(chr(13), '')") == mail.text);
  CHECK_THAT(Parsed(server, "m.get_body(('html',)).get_content()"), Contains("你好"));
  CHECK(Parsed(server,
               "[p['content-id'] for p in m.walk() if p.get_content_type() == 'image/png']") ==
        "['<code>']");
  CHECK(Parsed(server, "[p.get_filename() for p in m.iter_attachments() if p.get_filename()]") ==
        "['shop-weixin-1.2.3.zip']");
  CHECK(Parsed(server,
               "len([p for p in m.iter_attachments() if p.get_filename()][0].get_content())") ==
        std::to_string(bytes.size()));
  // The conversation is told, and nothing of the mail.
  CHECK(std::count(lines.begin(), lines.end(), "> RCPT TO:<li@example.com>") == 1);
  CHECK(std::count(lines.begin(), lines.end(), "< 250 2.0.0 taken") == 1);
  for (const std::string& line : lines) CHECK_THAT(line, !Contains("cid:code"));
}

TEST_CASE("Mail: when one recipient is refused nobody gets it", "[integration]") {
  MailServer server;
  server.SetFault("refuse-rcpt");
  const auto sent = Send(ServerAt(server), SomeMail(), {});
  CHECK(sent.end == SendEnd::kRefused);
  CHECK_FALSE(sent.bad_login);
  CHECK(sent.server_words == "550 5.1.1 mei@example.com is unknown here");
  CHECK(server.Mails().empty());
}

TEST_CASE("Mail: a no after the last byte is a no", "[integration]") {
  MailServer server;
  server.SetFault("refuse-data");
  const auto sent = Send(ServerAt(server), SomeMail(), {});
  CHECK(sent.end == SendEnd::kRefused);
  CHECK(sent.server_words == "552 5.3.4 too large for this mailbox");
}

TEST_CASE("Mail: without an answer to the last byte nobody knows", "[integration]") {
  MailServer server;
  server.SetFault("drop-data");
  const auto sent = Send(ServerAt(server), SomeMail(), {});
  CHECK(sent.end == SendEnd::kUnknown);
  CHECK(server.Mails().size() == 1);
}

TEST_CASE("Mail: a server that says nothing costs the deadline, and nothing was sent",
          "[integration]") {
  MailServer server;
  server.SetFault("tarpit");
  const auto sent = Send(ServerAt(server), SomeMail(), {.deadline = std::chrono::seconds(1)});
  CHECK(sent.end == SendEnd::kNotSent);
}

TEST_CASE("Mail: can be canceled while the server says nothing", "[integration]") {
  MailServer server;
  server.SetFault("tarpit");
  const auto sent = Send(ServerAt(server), SomeMail(), {.canceled = [] { return true; }});
  CHECK(sent.end == SendEnd::kNotSent);
  CHECK(sent.message == "it was canceled");
}

TEST_CASE("Mail: a server without TLS gets neither login nor mail", "[integration]") {
  MailServer server;
  outbound::Server demanding = ServerAt(server);
  demanding.plain = false;
  demanding.user = "farm";
  demanding.password = crypto::SecretBytes::CopyOf("a secret word");
  const auto sent = Send(demanding, SomeMail(), {});
  CHECK(sent.end == SendEnd::kNotSent);
  CHECK(server.Mails().empty());
}

TEST_CASE("Mail: TLS and login, by STARTTLS and from the first byte", "[integration]") {
  const TlsAuthority authority("mail");
  const TlsAuthority other("other");
  for (const bool from_first_byte : {false, true}) {
    CAPTURE(from_first_byte);
    std::vector<std::string> options{"--login", "farm", "a secret word"};
    if (from_first_byte) options.emplace_back("--smtps");
    MailServer server(options, authority.server);
    outbound::Server right;
    right.url = (from_first_byte ? "smtps://" : "smtp://") + server.address();
    right.user = "farm";
    right.password = crypto::SecretBytes::CopyOf("a secret word");
    right.ca_pem = authority.authority;
    std::string lines;
    const auto note = [&](const std::string& line) { lines += line + "\n"; };
    const auto sent = Send(right, SomeMail(), {.on_line = note});
    INFO(sent.message << "\n" << lines);
    CHECK(sent.end == SendEnd::kSent);
    // "farm", the password, and both, in base64.
    for (const char* secret :
         {"ZmFybQ==", "YSBzZWNyZXQgd29yZA==", "AGZhcm0AYSBzZWNyZXQgd29yZA=="}) {
      CHECK_THAT(lines, !Contains(secret));
    }

    right.password = crypto::SecretBytes::CopyOf("another word");
    lines.clear();
    const auto refused = Send(right, SomeMail(), {.on_line = note});
    INFO(refused.message << "\n" << lines);
    CHECK(refused.end == SendEnd::kRefused);
    CHECK(refused.bad_login);

    right.ca_pem = other.authority;
    CHECK(Send(right, SomeMail(), {}).end == SendEnd::kNotSent);
    CHECK(server.Mails().size() == 1);
  }
}

}  // namespace
}  // namespace slipway::testing
