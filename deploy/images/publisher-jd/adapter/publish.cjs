'use strict';
require('./common/supervise.cjs').run(require('./platform.cjs'));
