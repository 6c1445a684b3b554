const { products, localized } = require('../../data/products.js');
const { textsFor } = require('../../lib/i18n.js');

Page({
  data: { t: {}, products: [] },

  onShow() {
    const { language } = getApp().globalData;
    this.setData({ t: textsFor(language), products: products.map((product) => localized(product, language)) });
  },

  open({ detail }) {
    wx.navigateTo({ url: `/pages/product/product?id=${detail.id}` });
  },
});
