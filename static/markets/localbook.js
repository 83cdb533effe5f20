/**
 * The local order book: one REST snapshot kept up to date by the depth stream.
 *
 * Layout: two arrays of {price, quantity} (BigInt units), best price first, so that reading the top is a slice.
 * Rules, as published for the depth stream: open the stream and buffer; fetch a snapshot; drop buffered events with
 * u <= lastUpdateId; apply the rest in order; an event with U > id + 1 is a gap and the book starts over. Quantities
 * are absolute, zero removes a level, ids never go back.
 * Invariants (`check`): prices strictly ordered, quantities positive.
 */

import { parseDecimal } from "./decimal.js";

/** Most diff events kept while the snapshot is on its way: a minute at ten a second. */
const BUFFER_MAX = 600;

export const Applied = Object.freeze({
  BUFFERED: "BUFFERED",
  APPLIED: "APPLIED",
  IGNORED: "IGNORED",
  GAP: "GAP",
});

export class LocalBook {
  constructor() {
    this.restart();
  }

  /** Forgets everything and buffers events until the next snapshot. */
  restart() {
    this.live = false;
    this.updateId = 0;
    this.bids = [];
    this.asks = [];
    this.buffer = [];
  }

  /**
   * Takes a depth event {U, u, b, a}. GAP means that events were lost: the caller restarts and fetches a snapshot.
   */
  applyDiff(event) {
    if (!this.live) {
      if (this.buffer.length >= BUFFER_MAX) return Applied.GAP;
      this.buffer.push(event);
      return Applied.BUFFERED;
    }
    if (event.u <= this.updateId) return Applied.IGNORED;
    if (event.U > this.updateId + 1) return Applied.GAP;
    setLevels(this.bids, event.b, descending);
    setLevels(this.asks, event.a, ascending);
    this.updateId = event.u;
    return Applied.APPLIED;
  }

  /**
   * Takes a REST snapshot {lastUpdateId, bids, asks}. False when it is older than the buffered events, or when these
   * have a gap: fetch another one. The buffer is kept in the first case, since it is still contiguous.
   */
  applySnapshot(snapshot) {
    const first = this.buffer[0];
    if (first !== undefined && snapshot.lastUpdateId + 1 < first.U) return false;
    const pending = this.buffer;
    this.restart();
    setLevels(this.bids, snapshot.bids, descending);
    setLevels(this.asks, snapshot.asks, ascending);
    this.updateId = snapshot.lastUpdateId;
    this.live = true;
    for (const event of pending) {
      if (this.applyDiff(event) === Applied.GAP) {
        this.restart();
        return false;
      }
    }
    return true;
  }

  /** Asserts the invariants; tests call it after every step. */
  check() {
    for (const [levels, compare] of [[this.bids, descending], [this.asks, ascending]]) {
      levels.forEach((level, index) => {
        if (level.quantity <= 0n) throw new Error(`empty level at ${level.price}`);
        if (index > 0 && compare(levels[index - 1].price, level.price) >= 0) throw new Error(`order at ${level.price}`);
      });
    }
  }
}

function ascending(left, right) {
  return left < right ? -1 : left > right ? 1 : 0;
}

function descending(left, right) {
  return ascending(right, left);
}

/** Sets absolute quantities in a side; O(log n) to find, O(n) to move. */
function setLevels(levels, rows, compare) {
  for (const [priceText, quantityText] of rows) {
    const price = parseDecimal(priceText);
    const quantity = parseDecimal(quantityText);
    let low = 0;
    let high = levels.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(levels[middle].price, price) < 0) low = middle + 1;
      else high = middle;
    }
    const found = low < levels.length && levels[low].price === price;
    if (quantity === 0n) {
      if (found) levels.splice(low, 1);
    } else if (found) levels[low].quantity = quantity;
    else levels.splice(low, 0, { price, quantity });
  }
}
