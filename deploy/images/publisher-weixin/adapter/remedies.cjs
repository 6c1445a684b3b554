// What a person can do about a failure, in English and Chinese.
'use strict';

const remedies = {
  request: ['This is the farm\'s fault, not the product\'s: ask its operator to read the log of the agent.',
    '这是构建农场的问题，与产品无关：请联系管理员查看 agent 日志。'],
  options: ['Correct the options under platforms.weixin.publish in slipway.yaml.',
    '请改正 slipway.yaml 中 platforms.weixin.publish 下的选项。'],
  output: ['Check "output" in slipway.yaml and what the build script leaves there; it must be a mini program\'s root.',
    '请检查 slipway.yaml 的 output 以及构建脚本的输出目录：它必须是小程序的根目录。'],
  appid: ['Make app_id in slipway.yaml and appid in project.config.json the same.',
    '请让 slipway.yaml 的 app_id 与 project.config.json 的 appid 保持一致。'],
  version: ['Use 1 to 64 letters, digits and dots, for example 1.4.2.',
    '版本号请使用 1 到 64 个字母、数字或点，例如 1.4.2。'],
  compiler: ['Let the build script compile these files, and remove the setting from the product\'s project.config.json; only "typescript" and "sass" may be compiled while publishing.',
    '请在构建脚本中完成这些文件的编译，并从产物的 project.config.json 中删除该设置；发布时只允许 "typescript" 和 "sass"。'],
  compile: ['Fix the file named above and submit again.',
    '请修改上面提到的文件，然后重新提交。'],
  keyfile: ['Download the upload key of this app (Development › Development settings › Mini program code upload) and seal that file anew: slipway credentials seal.',
    '请在公众平台“开发管理 › 开发设置 › 小程序代码上传”重新下载上传密钥，并用 slipway credentials seal 重新加密保存。'],
  key: ['The key does not belong to this app or has been reset: download the current upload key in the WeChat console and seal it anew: slipway credentials seal.',
    '密钥与此小程序不匹配或已被重置：请在公众平台下载当前的上传密钥，并用 slipway credentials seal 重新加密保存。'],
  ip: ['Add the address named above to the IP allow-list next to the upload key in the WeChat console, or route the publish through an allowed proxy.',
    '请把上述 IP 加入公众平台上传密钥旁的“IP 白名单”，或通过白名单内的代理发布。'],
  size: ['Move pages into subpackages, or images and data out of the package; the limit is WeChat\'s.',
    '请使用分包，或把图片和数据移出代码包；该限制由微信平台规定。'],
  refused: ['WeChat refused this version and published nothing; its own words are above.',
    '微信平台拒绝了此版本，没有发布任何内容；平台的原话见上。'],
  proxy: ['Check the proxy of this publish target and that it may connect to servicewechat.com:443.',
    '请检查该发布目标的代理设置，以及代理是否允许访问 servicewechat.com:443。'],
  tls: ['The server\'s certificate is not trusted. If a proxy inspects TLS, give its CA certificate to this publish target.',
    '服务器证书不受信任。如果代理会解密 TLS，请为该发布目标配置代理的 CA 证书。'],
  network: ['servicewechat.com could not be reached properly. Nothing was published; try again later, and check proxy and firewall.',
    '无法正常访问 servicewechat.com。没有发布任何内容；请稍后重试，并检查代理和防火墙。'],
  unknown: ['The upload began and no clear answer came: it may or may not be published. Look at Version management in the WeChat console, then tell the farm what you saw. It will not try again by itself.',
    '上传已开始但没有得到明确答复：可能已发布，也可能没有。请在公众平台“版本管理”中查看，再把结果告知农场；农场不会自动重试。'],
  interrupted: ['Nothing was published. Submit again; if it repeats, give the publish a longer deadline or the agent more memory.',
    '没有发布任何内容。请重新提交；如果再次出现，请延长发布时限或增加 agent 内存。'],
  client: ['The platform\'s client failed in a way the farm does not know. Nothing was published; its own words are above.',
    '平台客户端出现未知错误。没有发布任何内容；客户端的原话见上。'],
};

function remedyFor(outcome) {
  const [remedy, remedyZh] = remedies[outcome.remedy];
  return { remedy, remedyZh };
}

module.exports = { remedyFor };
