const texts = require('./texts.js');

const FALLBACK = 'zh-CN';

function detectLanguage() {
  const { language } = wx.getAppBaseInfo ? wx.getAppBaseInfo() : wx.getSystemInfoSync();
  return language && language.startsWith('en') ? 'en' : FALLBACK;
}

// All texts of one language, ready for setData.
function textsFor(language) {
  return texts[language] || texts[FALLBACK];
}

module.exports = { detectLanguage, textsFor };
