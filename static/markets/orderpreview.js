/** What an order would cost and bring, estimated against the visible book. The engine decides; this only informs. */

import { formatDecimal, multiply } from "./decimal.js";
import { feeOn, walkQuantity, walkTotal } from "./estimate.js";
import { bringsOthers, followingQuantity } from "./orderdraft.js";
import { firesOnRise } from "./orderkinds.js";

/**
 * `fees` = {maker, taker} in units (0.001 = 0.1 %).
 * Result: {walk, total, received, fee, note, exact}; total in quote, received and fee in what the side receives. For a
 * limit order the part that would trade at once pays the taker fee, the part that rests the maker fee. An order that
 * waits for its trigger is counted at its limit, else at its trigger price. `collects`: a call auction does, so that
 * nothing trades at once.
 */
export function previewOrder(draft, book, market, fees, { collects = false } = {}) {
  const levels = draft.side === "BUY" ? book.asks : book.bids;
  const buying = draft.side === "BUY";
  const waits = draft.kind === "STOP" || draft.kind === "OCO";
  const atPrice = draft.price ?? draft.stop;
  if (waits && atPrice !== null) return waiting(draft, atPrice, market, fees);
  const walk = draft.total === null
    ? walkQuantity(levels, draft.side, draft.quantity, draft.price)
    : walkTotal(levels, draft.total, market.lot);
  const limit = draft.kind === "LIMIT";
  if (limit && collects) return collected(draft, market, fees);
  const rests = limit && !isImmediate(draft) ? draft.quantity - walk.filled : 0n;
  const restTotal = limit ? multiply(draft.price, rests) : 0n;
  const taken = buying ? walk.filled : walk.cost;
  const resting = buying ? rests : restTotal;
  const fee = feeOn(taken, fees.taker) + feeOn(resting, fees.maker);
  const note = waits ? conditionNote(draft, market) : limit ? limitNote(draft, walk, rests, market) + followNote(draft, market, fees) : marketNote(draft, walk, market);
  return { walk, total: walk.cost + restTotal, received: taken + resting - fee, fee, note, exact: limit };
}

/** The most that an order of an auction may cost, or the least that it brings. */
function collected(draft, market, fees) {
  const total = multiply(draft.price, draft.quantity);
  const gross = draft.side === "BUY" ? draft.quantity : total;
  const fee = feeOn(gross, fees.taker > fees.maker ? fees.taker : fees.maker);
  const note = `Collected for the auction: it trades at the auction's price or rests.${followNote(draft, market, fees)}`;
  return { walk: { filled: 0n, cost: 0n, worst: null }, total, received: gross - fee, fee, note, exact: true };
}

/** What follows a limit order once all of it is filled. */
function followNote(draft, market, fees) {
  if (!bringsOthers(draft)) return "";
  const at = (price) => formatDecimal(price, market.pricePlaces, { group: true });
  const what = `${draft.side === "BUY" ? "sells" : "buys back"} ${formatDecimal(followingQuantity(draft, market, fees), 0)} ${market.base}`;
  const way = draft.side === "BUY" ? "falls" : "rises";
  const profit = draft.profit === null ? [] : [`at ${at(draft.profit)}`];
  const loss = draft.loss === null ? [] : [`at the market if the price ${way} to ${at(draft.loss)}`];
  return ` Once all of it is filled, ${what} ${[...profit, ...loss].join(", or ")}.`;
}

function waiting(draft, price, market, fees) {
  const total = multiply(price, draft.quantity);
  const gross = draft.side === "BUY" ? draft.quantity : total;
  const fee = feeOn(gross, draft.kind === "OCO" ? fees.maker : fees.taker);
  const walk = { filled: 0n, cost: total, worst: null };
  return { walk, total, received: gross - fee, fee, note: conditionNote(draft, market), exact: draft.price !== null };
}

function conditionNote(draft, market) {
  const at = (price) => formatDecimal(price, market.pricePlaces, { group: true });
  const then = `it becomes a ${draft.price === null ? "market order" : `limit order at ${at(draft.price)}`}`;
  if (draft.kind === "OCO") {
    const way = draft.side === "SELL" ? "falls" : "rises";
    const stop = draft.stopLimit === null ? "a market order follows" : `a limit order at ${at(draft.stopLimit)} follows`;
    return `Rests at ${at(draft.price)}. If the price ${way} to ${at(draft.stop)}, ${stop} instead.`;
  }
  if (draft.trail !== null) {
    const distance = `${formatDecimal(draft.trail * 10n ** 6n, 0)} %`;
    const from = draft.stop === null ? "From now on" : `Once the price reaches ${at(draft.stop)}`;
    const turn = draft.side === "SELL" ? `falls ${distance} below its highest` : `rises ${distance} above its lowest`;
    return `${from}: when the price ${turn}, ${then}.`;
  }
  return `Waits until the price ${firesOnRise(draft.side, draft.type) ? "rises" : "falls"} to ${at(draft.stop)}, then ${then}.`;
}

function limitNote(draft, walk, rests, market) {
  if (draft.type === "LIMIT_MAKER") {
    return walk.filled > 0n ? "Would trade at once, so post-only would refuse it." : "Rests in the book; refused if it would trade at once.";
  }
  if (draft.timeInForce === "FOK" && walk.filled < draft.quantity) return "The visible book cannot fill all of it: it would expire.";
  if (draft.timeInForce === "IOC" && walk.filled < draft.quantity) {
    return walk.filled === 0n ? "Nothing at this price: it would expire." : `Would fill ${formatDecimal(walk.filled, 0)} ${market.base} at once; the rest would expire.`;
  }
  if (walk.filled === 0n) return "Rests in the book until it is met.";
  if (rests === 0n) return "Would fill at once.";
  return `Would fill ${formatDecimal(walk.filled, 0)} at once and rest with ${formatDecimal(rests, 0)} ${market.base}.`;
}

function isImmediate(draft) {
  return draft.timeInForce === "IOC" || draft.timeInForce === "FOK";
}

function marketNote(draft, walk, market) {
  if (walk.filled === 0n) return "Nothing in the book to fill this order.";
  const short = draft.quantity !== null && walk.filled < draft.quantity;
  if (short) return `The book holds only ${formatDecimal(walk.filled, 0)} ${market.base}; the rest would expire.`;
  const way = draft.side === "BUY" ? "up" : "down";
  return `Would fill ${way} to ${formatDecimal(walk.worst, market.pricePlaces, { group: true })}.`;
}
