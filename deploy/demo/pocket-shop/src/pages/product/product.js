const { productById, localized } = require('../../data/products.js');
const { textsFor } = require('../../lib/i18n.js');
const { formatFen } = require('../../lib/money.js');

Page({
  data: { t: {}, product: null, price: '', quantity: 1 },

  onLoad({ id }) {
    const { language } = getApp().globalData;
    const product = productById(id);
    if (!product) {
      wx.navigateBack();
      return;
    }
    const shown = localized(product, language);
    wx.setNavigationBarTitle({ title: shown.name });
    this.setData({ t: textsFor(language), product: shown, price: formatFen(product.fen) });
  },

  changeQuantity({ detail }) {
    this.setData({ quantity: detail.value });
  },

  addToCart() {
    getApp().globalData.cart.add(this.data.product.id, this.data.quantity);
    wx.showToast({ title: this.data.t.added });
  },
});
