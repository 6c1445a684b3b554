'use strict';
exports.CLIPreview = require('./upload.js').CLIPreview;
