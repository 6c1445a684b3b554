// swan-toolkit 3.23.0 as its source reads: the compiler is a process of its own which sends the product, what
// fails is printed, and the process ends with 1.
'use strict';
const childProcess = require('child_process');
const fs = require('fs');
const path = require('path');
const { PNG } = require('../../../../talk.cjs');

class Sdk {
  constructor(params) { this.params = params; }

  async run(kind) {
    const { token, projectPath, desc, releaseVersion, minSwanVersion } = this.params;
    const { appid } = JSON.parse(fs.readFileSync(path.join(projectPath, 'project.swan.json')));
    if (!/^3\./.test(minSwanVersion)) {
      console.error(`\nmin-swan-version 参数异常，未找对对应版本基础库，参考版本列表： ["3.350.6"]`);
      process.exit(1);
    }
    if (desc === 'compile error') {
      console.error('\n# compile error');
      console.error(new Error('pages/index/index.swan: 标签未闭合'));
      process.exit(1);
    }
    if (desc === 'no configuration') throw new Error('Read compileOptimizations configuration file failed!');
    const vendor = path.join(process.env.SWAN_IDE_CLI_ROOT, 'vendor/comp-bin-linux');
    const compiler = childProcess.fork(path.join(vendor, fs.readdirSync(vendor)[0], 'compiler/src/entry/index.js'), [], { stdio: 'pipe', execArgv: [] });
    compiler.send({ appId: String(appid), version: releaseVersion ?? '', kind, token });
    const { error, reply } = await new Promise((resolve) => {
      compiler.once('message', resolve);
      compiler.once('exit', (status) => resolve({ error: `编译进程异常退出(${status})，请重试` }));
    });
    if (error) {
      console.error('\n# upload error');
      console.error('upload', new Error(error));
      process.exit(1);
    }
    return reply;
  }
}

exports.CLIUpload = class CLIUpload extends Sdk {
  async upload() {
    const { link } = await this.run('upload');
    return { fileSize: 3000, schemeUrl: link, schemeUrlBase64: `data:image/png;base64,${PNG}`, warningList: [] };
  }
};
exports.CLIPreview = class CLIPreview extends Sdk {
  async preview() {
    const { link } = await this.run('preview');
    return { list: [{ title: '', url: link, urlBase64: `data:image/png;base64,${PNG}` }] };
  }
};
