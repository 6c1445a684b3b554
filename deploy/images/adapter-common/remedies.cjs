// What a person can do about a failure, in English and Chinese: what holds for every platform, with the
// platform's own words put in, and what the platform adds or says better.
'use strict';

// names: {platform, platformZh, host, versions, versionsZh}: how people call the platform, the host that
// is reached, and the page of its console that lists uploaded versions.
const common = ({ id, platform, platformZh, host, versions, versionsZh }) => ({
  request: ['This is the farm\'s fault, not the product\'s: ask its operator to read the log of the agent.',
    '这是构建农场的问题，与产品无关：请联系管理员查看 agent 日志。'],
  options: [`Correct the options under platforms.${id}.publish in slipway.yaml.`,
    `请改正 slipway.yaml 中 platforms.${id}.publish 下的选项。`],
  output: ['Check "output" in slipway.yaml and what the build script leaves there; it must be a mini program\'s root.',
    '请检查 slipway.yaml 的 output 以及构建脚本的输出目录：它必须是小程序的根目录。'],
  appid: ['Make app_id in slipway.yaml and appid in project.config.json the same.',
    '请让 slipway.yaml 的 app_id 与 project.config.json 的 appid 保持一致。'],
  version: ['Use three numbers with dots, for example 1.4.2.',
    '版本号请使用三段数字，例如 1.4.2。'],
  compile: ['Fix the file named above and submit again.',
    '请修改上面提到的文件，然后重新提交。'],
  refused: [`${platform} refused this version and published nothing; its own words are above.`,
    `${platformZh}平台拒绝了此版本，没有发布任何内容；平台的原话见上。`],
  proxy: [`Check the proxy of this publish target and that it may connect to ${host}:443.`,
    `请检查该发布目标的代理设置，以及代理是否允许访问 ${host}:443。`],
  tls: ['The server\'s certificate is not trusted. If a proxy inspects TLS, give its CA certificate to this publish target.',
    '服务器证书不受信任。如果代理会解密 TLS，请为该发布目标配置代理的 CA 证书。'],
  network: [`${host} could not be reached properly. Nothing was published; try again later, and check proxy and firewall.`,
    `无法正常访问 ${host}。没有发布任何内容；请稍后重试，并检查代理和防火墙。`],
  unknown: [`The upload began and no clear answer came: it may or may not be published. Look at ${versions}, then tell the farm what you saw. It will not try again by itself.`,
    `上传已开始但没有得到明确答复：可能已发布，也可能没有。请在${versionsZh}中查看，再把结果告知农场；农场不会自动重试。`],
  interrupted: ['Nothing was published. Submit again; if it repeats, give the publish a longer deadline or the agent more memory.',
    '没有发布任何内容。请重新提交；如果再次出现，请延长发布时限或增加 agent 内存。'],
  'no-question': ['This credential cannot be tried alone: make a preview, or publish; nothing was sent.',
    '此凭据无法单独验证：请直接预览或发布。没有发送任何内容。'],
  client: ['The platform\'s client failed in a way the farm does not know. Nothing was published; its own words are above.',
    '平台客户端出现未知错误。没有发布任何内容；客户端的原话见上。'],
});

function remedyFor(platform, outcome) {
  const [remedy, remedyZh] = { ...common({ id: platform.name, ...platform.words }), ...platform.remedies }[outcome.remedy];
  return { remedy, remedyZh };
}

module.exports = { remedyFor };
