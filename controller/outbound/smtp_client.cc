#include "controller/outbound/smtp_client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <memory>
#include <string_view>

#include "absl/strings/escaping.h"
#include "controller/outbound/curl_handles.h"

namespace slipway::outbound {
namespace {

constexpr long kConnectSeconds = 30;
// A server that says nothing and takes nothing for so long is given up.
// It may look into the whole mail before it answers.
constexpr long kSilentSeconds = 300;
// It need not say farewell.
constexpr long kFarewellSeconds = 5;
constexpr std::size_t kLongestLine = 500;

struct EndMime {
  void operator()(curl_mime* mime) const { curl_mime_free(mime); }
};
using Mime = std::unique_ptr<curl_mime, EndMime>;

// RFC 2047: whole characters in words of at most 75 bytes.
std::string HeaderText(std::string_view text) {
  const auto plain = [](char c) { return c >= ' ' && c < 127; };
  if (std::all_of(text.begin(), text.end(), plain) && text.size() < 60 &&
      text.find("=?") == std::string_view::npos) {
    return std::string(text);
  }
  std::string words;
  while (!text.empty()) {
    std::size_t length = std::min<std::size_t>(text.size(), 42);
    while (length < text.size() && length > 1 && (text[length] & 0xC0) == 0x80) --length;
    if (!words.empty()) words += "\r\n ";
    words += "=?UTF-8?B?" + absl::Base64Escape(absl::string_view(text.data(), length)) + "?=";
    text.remove_prefix(length);
  }
  return words;
}

// RFC 5322, in UTC.
std::string DateText(WallTime date) {
  static constexpr std::array<const char*, 7> kDays{"Sun", "Mon", "Tue", "Wed",
                                                    "Thu", "Fri", "Sat"};
  static constexpr std::array<const char*, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = ToUnixMicros(date) / 1'000'000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{}, {} {} {} {:02}:{:02}:{:02} +0000", kDays.at(utc.tm_wday), utc.tm_mday,
                     kMonths.at(utc.tm_mon), utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
                     utc.tm_sec);
}

// What the conversation has come to.
class Conversation {
 public:
  explicit Conversation(const SendOptions& options) : options_(options) {}

  void Heard(std::string_view bytes) {
    ForEachLine(bytes, [this](std::string_view line) {
      options_.on_line("< " + std::string(line));
      // What is said to a farewell decides nothing.
      if (quitting_) return;
      // "250-…" goes on, "250 …" ends an answer.
      if (line.size() >= 3 && line.find_first_not_of("0123456789") >= 3) {
        code_ = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
      }
      words_ = line;
      if (data_sent_ && code_ >= 400) refused_after_data_ = true;
    });
  }
  void Said(std::string_view bytes) {
    ForEachLine(bytes, [this](std::string_view line) {
      if (line.substr(0, 4) == "AUTH") logging_in_ = true;
      // What follows AUTH is the login, piece by piece.
      const bool command = line.substr(0, 4) == "EHLO" || line.substr(0, 4) == "HELO" ||
                           line.substr(0, 4) == "MAIL" || line.substr(0, 4) == "RCPT" ||
                           line == "STARTTLS" || line == "DATA" || line == "QUIT";
      if (line == "QUIT") quitting_ = true;
      // Until then the last answer was one to the login.
      if (command && !quitting_) logging_in_ = false;
      options_.on_line(command ? "> " + std::string(line) : "> (login)");
    });
  }
  void SentBody() { data_sent_ = true; }

  [[nodiscard]] bool canceled() const { return options_.canceled(); }
  [[nodiscard]] bool logging_in() const { return logging_in_; }
  // The body, or a part of it, was on its way.
  [[nodiscard]] bool body_begun() const { return data_sent_; }
  [[nodiscard]] bool refused_after_body() const { return refused_after_data_; }
  [[nodiscard]] int code() const { return code_; }
  [[nodiscard]] const std::string& words() const { return words_; }

 private:
  template <typename Take>
  static void ForEachLine(std::string_view bytes, const Take& take) {
    while (!bytes.empty()) {
      const auto end = bytes.find('\n');
      std::string_view line = bytes.substr(0, end);
      if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
      if (!line.empty()) take(line.substr(0, kLongestLine));
      if (end == std::string_view::npos) return;
      bytes.remove_prefix(end + 1);
    }
  }

  const SendOptions& options_;
  bool logging_in_ = false;
  bool quitting_ = false;
  bool data_sent_ = false;
  bool refused_after_data_ = false;
  int code_ = 0;
  std::string words_;
};

int OnDebug(CURL*, curl_infotype type, char* data, std::size_t size, void* conversation) {
  auto& heard = *static_cast<Conversation*>(conversation);
  const std::string_view bytes(data, size);
  if (type == CURLINFO_HEADER_IN) heard.Heard(bytes);
  if (type == CURLINFO_HEADER_OUT) heard.Said(bytes);
  if (type == CURLINFO_DATA_OUT) heard.SentBody();
  return 0;
}

int OnProgress(void* conversation, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Conversation*>(conversation)->canceled() ? 1 : 0;
}

bool AddParts(curl_mime* mime, CURL* easy, const Mail& mail) {
  bool ok = true;
  const auto part = [&](curl_mime* of, std::string_view data, const char* type) {
    curl_mimepart* const added = curl_mime_addpart(of);
    ok = ok && added != nullptr && curl_mime_data(added, data.data(), data.size()) == CURLE_OK &&
         curl_mime_type(added, type) == CURLE_OK && curl_mime_encoder(added, "base64") == CURLE_OK;
    return added;
  };
  const auto container = [&](curl_mime* of, const char* type) {
    curl_mime* const inner = curl_mime_init(easy);
    curl_mimepart* const holder = curl_mime_addpart(of);
    ok = ok && inner != nullptr && holder != nullptr &&
         curl_mime_subparts(holder, inner) == CURLE_OK && curl_mime_type(holder, type) == CURLE_OK;
    return inner;
  };
  curl_mime* const related = container(mime, "multipart/related");
  if (!ok) return false;
  curl_mime* const either = container(related, "multipart/alternative");
  if (!ok) return false;
  part(either, mail.text, "text/plain; charset=utf-8");
  part(either, mail.html, "text/html; charset=utf-8");
  if (!mail.code_png.empty()) {
    curl_mimepart* const image = part(related, mail.code_png, "image/png");
    List headers;
    headers.Add("Content-ID: <code>");
    headers.Add("Content-Disposition: inline; filename=\"code.png\"");
    ok = ok && curl_mime_headers(image, headers.Release(), 1) == CURLE_OK;
  }
  for (const Attachment& attachment : mail.attachments) {
    curl_mimepart* const file = curl_mime_addpart(mime);
    ok = ok && file != nullptr && curl_mime_filedata(file, attachment.path.c_str()) == CURLE_OK &&
         curl_mime_filename(file, attachment.name.c_str()) == CURLE_OK &&
         curl_mime_type(file, "application/octet-stream") == CURLE_OK &&
         curl_mime_encoder(file, "base64") == CURLE_OK;
  }
  return ok;
}

SendOutcome Judge(CURLcode code, const char* error, const Conversation& heard) {
  SendOutcome outcome;
  outcome.server_words = heard.words();
  if (code == CURLE_OK) {
    outcome.end = SendEnd::kSent;
    return outcome;
  }
  const std::string why = error[0] != '\0' ? error : curl_easy_strerror(code);
  if (heard.body_begun() && !heard.refused_after_body()) {
    outcome.end = SendEnd::kUnknown;
    outcome.message = fmt::format("the mail was on its way when the attempt ended: {}", why);
    return outcome;
  }
  const bool refused = heard.code() >= 400;
  outcome.end = refused ? SendEnd::kRefused : SendEnd::kNotSent;
  outcome.bad_login = code == CURLE_LOGIN_DENIED || (refused && heard.logging_in());
  outcome.message = heard.canceled() ? "it was canceled" : why;
  return outcome;
}

}  // namespace

SendOutcome Send(const Server& server, const Mail& mail, const SendOptions& options) {
  EnsureCurl();
  // Outlive the handle, whose end still says farewell to the server.
  Conversation conversation(options);
  std::array<char, CURL_ERROR_SIZE> error{};
  const Easy easy(curl_easy_init());
  SendOutcome broken{.end = SendEnd::kNotSent, .message = "no memory for the mail"};
  if (!easy) return broken;
  CURL* const handle = easy.get();
  const std::string from = "<" + mail.from + ">";
  List to;
  std::string to_header;
  for (const std::string& address : mail.to) {
    to.Add("<" + address + ">");
    to_header += (to_header.empty() ? "" : ",\r\n ") + address;
  }
  List headers;
  headers.Add("Date: " + DateText(mail.date));
  headers.Add("From: " + mail.from);
  headers.Add("To: " + to_header);
  headers.Add("Message-ID: <" + mail.message_id + ">");
  headers.Add("Subject: " + HeaderText(mail.subject));
  // No out-of-office answers.
  headers.Add("Auto-Submitted: auto-generated");
  const Mime mime(curl_mime_init(handle));
  if (!mime || !AddParts(mime.get(), handle, mail)) return broken;

  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(options.deadline).count();
  curl_easy_setopt(handle, CURLOPT_URL, server.url.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  UseOwnWay(handle, server.ca_pem);
  curl_easy_setopt(handle, CURLOPT_USE_SSL,
                   static_cast<long>(server.plain ? CURLUSESSL_NONE : CURLUSESSL_ALL));
  if (!server.user.empty()) {
    curl_easy_setopt(handle, CURLOPT_USERNAME, server.user.c_str());
    std::string password(server.password.view());
    curl_easy_setopt(handle, CURLOPT_PASSWORD, password.c_str());
    crypto::Wipe(password.data(), password.size());
  }
  curl_easy_setopt(handle, CURLOPT_MAIL_FROM, from.c_str());
  curl_easy_setopt(handle, CURLOPT_MAIL_RCPT, to.get());
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(handle, CURLOPT_MIMEPOST, mime.get());
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(handle, CURLOPT_SERVER_RESPONSE_TIMEOUT, kSilentSeconds);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(milliseconds));
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, error.data());
  curl_easy_setopt(handle, CURLOPT_VERBOSE, 1L);
  curl_easy_setopt(handle, CURLOPT_DEBUGFUNCTION, &OnDebug);
  curl_easy_setopt(handle, CURLOPT_DEBUGDATA, &conversation);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, &OnProgress);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &conversation);
  SendOutcome outcome = Judge(curl_easy_perform(handle), error.data(), conversation);
  curl_easy_setopt(handle, CURLOPT_SERVER_RESPONSE_TIMEOUT, kFarewellSeconds);
  return outcome;
}

}  // namespace slipway::outbound
