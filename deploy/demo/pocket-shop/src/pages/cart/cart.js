const { productById, localized } = require('../../data/products.js');
const { textsFor } = require('../../lib/i18n.js');
const { formatFen } = require('../../lib/money.js');

Page({
  data: { t: {}, lines: [], total: '' },

  onShow() {
    this.refresh();
  },

  refresh() {
    const { language, cart } = getApp().globalData;
    const lines = cart.entries()
      .filter(({ id }) => productById(id))
      .map(({ id, quantity }) => {
        const product = productById(id);
        return { ...localized(product, language), quantity, sum: formatFen(product.fen * quantity) };
      });
    const total = lines.reduce((fen, line) => fen + line.fen * line.quantity, 0);
    this.setData({ t: textsFor(language), lines, total: formatFen(total) });
  },

  changeQuantity({ detail, currentTarget }) {
    getApp().globalData.cart.set(currentTarget.dataset.id, detail.value);
    this.refresh();
  },

  order() {
    wx.showModal({
      title: this.data.t.orderDone,
      showCancel: false,
      success: () => {
        getApp().globalData.cart.clear();
        this.refresh();
      },
    });
  },
});
