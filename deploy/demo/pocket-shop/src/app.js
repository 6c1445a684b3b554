const { createCart } = require('./lib/cart.js');
const { detectLanguage } = require('./lib/i18n.js');

App({
  onLaunch() {
    this.globalData.language = wx.getStorageSync('language') || detectLanguage();
    this.globalData.cart = createCart(wx.getStorageSync('cart') || {}, (lines) => wx.setStorageSync('cart', lines));
  },

  setLanguage(language) {
    this.globalData.language = language;
    wx.setStorageSync('language', language);
  },

  globalData: { language: 'zh-CN', cart: null },
});
