/**
 * What an order would do against the visible book right now. Estimates for the preview only: the engine decides.
 */

import { SCALE, divide, floorToStep, multiply } from "./decimal.js";

const ONE = 10n ** BigInt(SCALE);

/**
 * Walks one side (best first) for `quantity`, not beyond `limit` (null = any price).
 * {filled, cost, worst}: base units, quote units rounded down, last price touched or null.
 */
export function walkQuantity(levels, side, quantity, limit) {
  let rest = quantity;
  let cost = 0n;
  let worst = null;
  for (const level of levels) {
    if (rest === 0n || (limit !== null && beyond(level.price, side, limit))) break;
    const part = rest < level.quantity ? rest : level.quantity;
    cost += multiply(level.price, part);
    rest -= part;
    worst = level.price;
  }
  return { filled: quantity - rest, cost, worst };
}

/** Walks one side for a quote budget, in whole lots. Same result as `walkQuantity`. */
export function walkTotal(levels, total, lot) {
  let rest = total;
  let filled = 0n;
  let worst = null;
  for (const level of levels) {
    const affordable = floorToStep(divide(rest, level.price), lot);
    const part = affordable < level.quantity ? affordable : level.quantity;
    if (part === 0n) break;
    rest -= multiply(level.price, part);
    filled += part;
    worst = level.price;
    if (part < level.quantity) break;
  }
  return { filled, cost: total - rest, worst };
}

/** Average price of a walk in quote units for one base unit, rounded down; null when nothing fills. */
export function averagePrice(walk) {
  return walk.filled > 0n ? (walk.cost * ONE) / walk.filled : null;
}

/** A fee on what is received, rounded up, as the engine takes it. `rate` in units (0.001 = 0.1 %). */
export function feeOn(received, rate) {
  return rate > 0n ? (received * rate + ONE - 1n) / ONE : 0n;
}

function beyond(price, side, limit) {
  return side === "BUY" ? price > limit : price < limit;
}
