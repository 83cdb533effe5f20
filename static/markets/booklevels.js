/**
 * What is shown of the book: levels merged to a price step, with running totals.
 *
 * Bids merge downwards and asks upwards, so a merged level never looks better than the orders in it.
 */

import { SCALE } from "./decimal.js";

/** Steps that the user can choose from: the tick times 1, 10, 100, 1000, while they stay below 1 % of the price. */
export function groupingSteps(tick, lastPrice) {
  const steps = [tick];
  for (const factor of [10n, 100n, 1000n]) {
    const step = tick * factor;
    if (lastPrice > 0n && step * 100n <= lastPrice) steps.push(step);
  }
  return steps;
}

/**
 * The best `count` levels of a side, best first: {price, quantity, total}. `total` is the running sum of quantities.
 */
export function visibleLevels(levels, side, step, count) {
  const rows = [];
  let total = 0n;
  for (const level of levels) {
    const price = mergedPrice(level.price, side, step);
    const last = rows[rows.length - 1];
    if (last !== undefined && last.price === price) {
      last.quantity += level.quantity;
      total += level.quantity;
      last.total = total;
    } else {
      if (rows.length === count) break;
      total += level.quantity;
      rows.push({ price, quantity: level.quantity, total });
    }
  }
  return rows;
}

function mergedPrice(price, side, step) {
  const rest = price % step;
  if (rest === 0n) return price;
  return side === "bid" ? price - rest : price - rest + step;
}

/** Whether the best bid meets the best ask, as it may while an auction collects orders. */
export function isCrossed(bids, asks) {
  return bids.length > 0 && asks.length > 0 && bids[0].price >= asks[0].price;
}

/** {spread, percent}: price units, and units of one percent of the middle price. Null without both sides. */
export function spreadOf(bids, asks) {
  if (bids.length === 0 || asks.length === 0) return null;
  const spread = asks[0].price - bids[0].price;
  const middle = (asks[0].price + bids[0].price) / 2n;
  return { spread, percent: middle > 0n ? (spread * 100n * 10n ** BigInt(SCALE)) / middle : 0n };
}
