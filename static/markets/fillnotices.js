/** One message for the fills of an order, however many there are: a market order through ten levels is one event to a trader. */

import { SCALE, formatDecimal, formatRoundedDown } from "./decimal.js";
import { notify } from "./notices.js";

/** Adds a fill to a summary {quantity, value, count}, or starts one; value = sum of price times quantity, unscaled. */
export function addFill(summary, trade) {
  const { quantity, value, count } = summary ?? { quantity: 0n, value: 0n, count: 0 };
  return { quantity: quantity + trade.quantity, value: value + trade.price * trade.quantity, count: count + 1 };
}

/** "Bought 0.7 BTC at 50,950.00 USDT", or with the average price and the number of fills. */
export function fillText(summary, side, market) {
  const verb = side === "BUY" ? "Bought" : "Sold";
  const amount = `${verb} ${formatDecimal(summary.quantity, 0)} ${market.base}`;
  const price = summary.value / summary.quantity;
  const exact = price * summary.quantity === summary.value && price % 10n ** BigInt(SCALE - market.pricePlaces) === 0n;
  const shown = `${formatRoundedDown(price, market.pricePlaces, { group: true })} ${market.quote}`;
  if (summary.count === 1) return `${amount} at ${shown}`;
  return `${amount} at ${exact ? "" : "about "}${shown} on average (${summary.count} fills)`;
}

const shown = new Map();

/** Tells of a fill; fills of the same order while its message is shown add up in it. */
export function notifyFill(trade, market) {
  const key = `fill ${trade.symbol} ${trade.orderId}`;
  const summary = addFill(shown.get(key), trade);
  shown.set(key, summary);
  notify("success", fillText(summary, trade.side, market), { key, onGone: () => shown.delete(key) });
}
