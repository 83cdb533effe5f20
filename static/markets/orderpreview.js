/** What an order would cost and bring, estimated against the visible book. The engine decides; this only informs. */

import { formatDecimal, multiply } from "./decimal.js";
import { feeOn, walkQuantity, walkTotal } from "./estimate.js";

/**
 * `fees` = {maker, taker} in units (0.001 = 0.1 %).
 * Result: {walk, total, received, fee, note}; total in quote, received and fee in what the side receives. For a limit
 * order the part that would trade at once pays the taker fee, the part that rests the maker fee.
 */
export function previewOrder(draft, book, market, fees) {
  const levels = draft.side === "BUY" ? book.asks : book.bids;
  const buying = draft.side === "BUY";
  const walk = draft.total === null
    ? walkQuantity(levels, draft.side, draft.quantity, draft.price)
    : walkTotal(levels, draft.total, market.lot);
  const limit = draft.type === "LIMIT";
  const rests = limit ? draft.quantity - walk.filled : 0n;
  const restTotal = limit ? multiply(draft.price, rests) : 0n;
  const taken = buying ? walk.filled : walk.cost;
  const resting = buying ? rests : restTotal;
  const fee = feeOn(taken, fees.taker) + feeOn(resting, fees.maker);
  return {
    walk,
    total: walk.cost + restTotal,
    received: taken + resting - fee,
    fee,
    note: limit ? limitNote(walk, rests, market) : marketNote(draft, walk, market),
  };
}

function limitNote(walk, rests, market) {
  if (walk.filled === 0n) return "Rests in the book until it is met.";
  if (rests === 0n) return "Would fill at once.";
  return `Would fill ${formatDecimal(walk.filled, 0)} at once and rest with ${formatDecimal(rests, 0)} ${market.base}.`;
}

function marketNote(draft, walk, market) {
  if (walk.filled === 0n) return "Nothing in the book to fill this order.";
  const short = draft.quantity !== null && walk.filled < draft.quantity;
  if (short) return `The book holds only ${formatDecimal(walk.filled, 0)} ${market.base}; the rest would expire.`;
  const way = draft.side === "BUY" ? "up" : "down";
  return `Would fill ${way} to ${formatDecimal(walk.worst, market.pricePlaces, { group: true })}.`;
}
