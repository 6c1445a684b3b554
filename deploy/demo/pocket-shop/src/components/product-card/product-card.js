const { formatFen } = require('../../lib/money.js');

Component({
  properties: { product: Object },
  data: { price: '' },
  observers: {
    product(product) {
      if (product) this.setData({ price: formatFen(product.fen) });
    },
  },
  methods: {
    open() {
      this.triggerEvent('open', { id: this.data.product.id });
    },
  },
});
