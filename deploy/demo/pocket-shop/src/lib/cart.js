// The cart: product id → quantity. `save` is called with a copy after every change.
const MAX_QUANTITY = 99;

function createCart(initial, save) {
  const lines = { ...initial };

  function set(id, quantity) {
    const wanted = Math.max(0, Math.min(MAX_QUANTITY, Math.floor(quantity)));
    if (wanted === 0) delete lines[id];
    else lines[id] = wanted;
    save({ ...lines });
    return wanted;
  }

  return {
    add: (id, quantity = 1) => set(id, (lines[id] || 0) + quantity),
    set,
    clear() {
      Object.keys(lines).forEach((id) => delete lines[id]);
      save({});
    },
    quantity: (id) => lines[id] || 0,
    count: () => Object.values(lines).reduce((sum, quantity) => sum + quantity, 0),
    entries: () => Object.entries(lines).map(([id, quantity]) => ({ id, quantity })),
  };
}

module.exports = { createCart, MAX_QUANTITY };
