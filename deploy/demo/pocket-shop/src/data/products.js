const products = [
  { id: 'longjing', fen: 12800, colour: '#8fae6b', name: { 'zh-CN': '明前龙井', en: 'Longjing, early spring' }, text: { 'zh-CN': '清明前采摘，豆香清爽，50 克。', en: 'Picked before Qingming; fresh, with a note of chestnut. 50 g.' } },
  { id: 'yancha', fen: 9600, colour: '#8a5a3b', name: { 'zh-CN': '武夷岩茶', en: 'Wuyi rock oolong' }, text: { 'zh-CN': '炭焙两道，岩韵厚实，80 克。', en: 'Charcoal-roasted twice; deep and mineral. 80 g.' } },
  { id: 'gaiwan', fen: 6800, colour: '#dcd6c6', name: { 'zh-CN': '白瓷盖碗', en: 'White gaiwan' }, text: { 'zh-CN': '薄胎白瓷，110 毫升。', en: 'Thin white porcelain, 110 ml.' } },
  { id: 'tray', fen: 15900, colour: '#b58b5a', name: { 'zh-CN': '竹茶盘', en: 'Bamboo tea tray' }, text: { 'zh-CN': '整竹拼接，可储水。', en: 'Solid bamboo, with a basin below.' } },
];

const productById = (id) => products.find((product) => product.id === id);

// A product as a page shows it in one language.
const localized = (product, language) => ({ ...product, name: product.name[language], text: product.text[language] });

module.exports = { products, productById, localized };
