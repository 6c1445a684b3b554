Component({
  properties: {
    value: { type: Number, value: 1 },
    min: { type: Number, value: 0 },
    max: { type: Number, value: 99 },
  },
  methods: {
    change({ currentTarget }) {
      const next = this.data.value + Number(currentTarget.dataset.by);
      if (next < this.data.min || next > this.data.max) return;
      this.setData({ value: next });
      this.triggerEvent('change', { value: next });
    },
  },
});
