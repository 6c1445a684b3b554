// In the place of the compiler that Baidu's servers hand out.
'use strict';
const { byToken, send } = require('../../../../../../../node_modules/talk.cjs');

process.once('message', ({ token, ...query }) => {
  send('smartprogram.baidu.com', query, byToken(token)).then((reply) => ({ reply }), (error) => ({ error: error.message }))
    .then((message) => process.send(message, () => process.disconnect()));
});
