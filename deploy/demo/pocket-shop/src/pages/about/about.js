const { textsFor } = require('../../lib/i18n.js');
const buildInfo = require('../../lib/build-info.js');

Page({
  data: { t: {}, buildInfo },

  onShow() {
    this.setData({ t: textsFor(getApp().globalData.language) });
  },

  switchLanguage() {
    const app = getApp();
    app.setLanguage(app.globalData.language === 'en' ? 'zh-CN' : 'en');
    this.onShow();
  },
});
