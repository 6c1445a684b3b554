'use strict';
require('./hold.cjs').holdProcess(process.env.SLIPWAY_HOLD);
