#include "controller/cli/platform_key.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "common/crypto/private_key.h"

namespace slipway::cli {
namespace {

namespace json = boost::json;

constexpr std::string_view kHeader = "-----BEGIN PRIVATE KEY-----";
constexpr std::string_view kPkcs1Header = "-----BEGIN RSA PRIVATE KEY-----";

std::string WhyNoWeixinKey(std::string_view key, Text text) {
  switch (crypto::ClassifyPrivateKey(key)) {
    case crypto::PrivateKeyKind::kRsa: return "";
    case crypto::PrivateKeyKind::kOtherAlgorithm:
      return text("a private key, but not an RSA key, which weixin's upload key is",
                  "是私钥，但不是 RSA 密钥；微信的上传密钥是 RSA 密钥");
    case crypto::PrivateKeyKind::kEncrypted:
      return text("the private key is behind a password, which nobody could type at a publish",
                  "私钥带有密码，发布时无人能输入");
    case crypto::PrivateKeyKind::kPublic:
      return text("a public key or certificate, not the private key", "是公钥或证书，不是私钥");
    case crypto::PrivateKeyKind::kNone: break;
  }
  return text("no private key in PEM form (-----BEGIN RSA PRIVATE KEY-----), or a damaged one",
              "不是 PEM 格式的私钥（-----BEGIN RSA PRIVATE KEY-----），或已损坏");
}

std::string WhyNoAlipayIdentity(std::string_view identity, Text text) {
  boost::system::error_code error;
  const json::value parsed =
      json::parse(json::string_view(identity.data(), identity.size()), error);
  if (error) return text("not JSON, which an identity file is", "不是 JSON；身份文件是 JSON");
  const auto member = [](const json::value* in, const char* name) {
    const json::object* object = in == nullptr ? nullptr : in->if_object();
    return object == nullptr ? nullptr : object->if_contains(name);
  };
  const json::value* pair = member(member(&parsed, "alipay"), "authentication");
  const json::value* key = member(pair, "privateKey");
  const json::value* tool = member(pair, "toolId");
  if (key == nullptr || !key->is_string() || tool == nullptr || !tool->is_string()) {
    return text("alipay.authentication lacks privateKey or toolId",
                "alipay.authentication 缺少 privateKey 或 toolId");
  }
  const std::string_view pem(key->get_string().data(), key->get_string().size());
  if (pem.find(kPkcs1Header) != std::string_view::npos) {
    return text("privateKey is in PKCS#1 form, the platform's client takes PKCS#8 only",
                "privateKey 是 PKCS#1 格式，平台客户端只接受 PKCS#8");
  }
  // The platform's own tools leave header and trailer out; OpenSSL wants lines then.
  if (pem.find(kHeader) == std::string_view::npos) return "";
  return crypto::ClassifyPrivateKey(pem) == crypto::PrivateKeyKind::kRsa
             ? ""
             : text("privateKey is not an RSA private key", "privateKey 不是 RSA 私钥");
}

std::string WhyNoDouyinToken(std::string_view token, Text text) {
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.remove_suffix(1);
  const bool plain =
      std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c <= '~'; });
  return plain && !token.empty() ? ""
                                 : text("not a token: it must be one line without blanks",
                                        "不是 token：应为不含空格的一行");
}

}  // namespace

std::optional<UnusableKey> CheckPlatformKey(std::string_view platform, std::string_view key,
                                            Text text) {
  UnusableKey bad;
  if (platform == "weixin") {
    bad = {WhyNoWeixinKey(key, text),
           text("Give the code upload key that the WeChat console handed out "
                "(private.<app id>.key), unchanged.",
                "请使用微信公众平台下发的代码上传密钥文件（private.<app id>.key），不要改动。")};
  } else if (platform == "alipay") {
    bad = {WhyNoAlipayIdentity(key, text),
           text("Give the JSON identity file: {\"alipay\": {\"authentication\": "
                "{\"privateKey\": …, \"toolId\": …}}}.",
                "请使用 JSON 身份文件：{\"alipay\": {\"authentication\": "
                "{\"privateKey\": …, \"toolId\": …}}}。")};
  } else if (platform == "douyin") {
    bad = {WhyNoDouyinToken(key, text),
           text("Give a file with the app's CI token and nothing else.",
                "请使用只含此小程序 CI token 的文件。")};
  }
  if (bad.why.empty()) return std::nullopt;
  return bad;
}

}  // namespace slipway::cli
