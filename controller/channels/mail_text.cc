#include "controller/channels/mail_text.h"

#include <fmt/format.h>

namespace slipway::channels {

MailText MailTextOf(const Facts& facts, std::string_view language, bool attached) {
  const Words words(language);
  const std::string how = attached ? words("The package is attached, and can also be had here:",
                                           "安装包见附件，也可从此处下载：")
                                   : words("The package can be had here:", "安装包请从此处下载：");
  const char* const scan =
      words("To open the page on a phone, scan this code:", "如需在手机上打开，请扫描此二维码：");
  std::string careful =
      words("Whoever has this link can download the package.", "持有此链接者均可下载安装包。");
  if (facts.asks_password) {
    careful = words("The page asks for a password, which you get on another way.",
                    "打开该页面需要密码，密码将以其他方式告知。");
  }
  if (!facts.cipher.empty()) careful += " " + HowToOpen(facts.cipher, words);
  MailText mail;
  mail.subject = fmt::format("{} {} ({})", facts.application, facts.version, facts.platform);
  const auto line = [&](const char* label, const std::string& value) {
    if (!value.empty()) mail.text += fmt::format("{}: {}\n", label, value);
  };
  line(words("Application", "应用"), facts.application);
  line(words("Version", "版本"), facts.version);
  line(words("Platform", "平台"), facts.platform);
  line(words("Commit", "提交"), facts.commit);
  line(words("Description", "说明"), facts.description);
  line(words("Submitted by", "提交人"), facts.submitted_by);
  line(words("File", "文件"), fmt::format("{} ({})", facts.file_name, SizeText(facts.bytes)));
  line("SHA-256", facts.sha256.Hex());
  line(words("Encrypted with", "加密算法"), facts.cipher);
  mail.text +=
      fmt::format("\n{}\n{}\n{}: {}\n\n{}\n", how, facts.link, words("Available until", "有效期至"),
                  TimeText(facts.expires_at), careful);
  mail.html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"{}\"><body style=\"font-family:sans-serif\">\n"
      "<table cellpadding=\"4\" style=\"text-align:left\">\n{}</table>\n"
      "<p>{}<br><a href=\"{}\">{}</a></p>\n<p>{}</p>\n"
      "<p><img src=\"cid:code\" alt=\"QR\" width=\"232\" height=\"232\"></p>\n"
      "<p>{}</p>\n</body></html>\n",
      words.tag(), FactRows(facts, words), how, Escaped(facts.link), Escaped(facts.link), scan,
      careful);
  return mail;
}

}  // namespace slipway::channels
