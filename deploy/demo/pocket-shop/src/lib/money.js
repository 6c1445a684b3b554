// Prices are whole fen, so that sums never round.
function formatFen(fen) {
  const sign = fen < 0 ? '-' : '';
  const yuan = Math.floor(Math.abs(fen) / 100);
  const rest = String(Math.abs(fen) % 100).padStart(2, '0');
  return `${sign}¥${yuan}.${rest}`;
}

module.exports = { formatFen };
