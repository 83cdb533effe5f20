import test from "node:test";
import assert from "node:assert/strict";

import { Applied, LocalBook } from "../../../static/markets/localbook.js";
import { formatDecimal, parseDecimal } from "../../../static/markets/decimal.js";

const diff = (U, u, b = [], a = []) => ({ U, u, b, a });
const side = (levels) => levels.map((level) => `${formatDecimal(level.price, 0)}x${formatDecimal(level.quantity, 0)}`).join(" ");
const snapshot = {
  lastUpdateId: 10,
  bids: [["50950.00000000", "0.50000000"], ["50940.00000000", "1.00000000"], ["50930.00000000", "2.50000000"]],
  asks: [["51000.00000000", "1.20000000"], ["51100.00000000", "0.80000000"], ["51200.00000000", "0.30000000"]],
};

test("events before the snapshot are buffered, old ones dropped, the rest applied", () => {
  const book = new LocalBook();
  assert.equal(book.applyDiff(diff(7, 9, [["50950.00000000", "9.00000000"]])), Applied.BUFFERED);
  assert.equal(book.applyDiff(diff(10, 11, [["50950.00000000", "0.00000000"]])), Applied.BUFFERED);
  assert.equal(book.applyDiff(diff(12, 12, [], [["50999.00000000", "0.10000000"]])), Applied.BUFFERED);
  assert.equal(book.applySnapshot(snapshot), true);
  book.check();
  assert.equal(side(book.bids), "50940x1 50930x2.5");
  assert.equal(side(book.asks), "50999x0.1 51000x1.2 51100x0.8 51200x0.3");
  assert.equal(book.updateId, 12);
});

test("a snapshot older than the buffer is refused and the buffer kept", () => {
  const book = new LocalBook();
  book.applyDiff(diff(20, 22, [["1.00000000", "1.00000000"]]));
  assert.equal(book.applySnapshot(snapshot), false);
  assert.equal(book.live, false);
  assert.equal(book.applySnapshot({ ...snapshot, lastUpdateId: 19 }), true);
  assert.equal(book.updateId, 22);
});

test("a snapshot right before the first event is contiguous", () => {
  const book = new LocalBook();
  book.applyDiff(diff(11, 12));
  assert.equal(book.applySnapshot(snapshot), true);
  assert.equal(book.updateId, 12);
});

test("live: repeats ignored, continuation applied, a gap reported", () => {
  const book = new LocalBook();
  book.applySnapshot(snapshot);
  assert.equal(book.applyDiff(diff(9, 10, [["1.00000000", "1.00000000"]])), Applied.IGNORED);
  assert.equal(book.applyDiff(diff(11, 14, [["50950.00000000", "0.40000000"]])), Applied.APPLIED);
  assert.equal(side(book.bids.slice(0, 1)), "50950x0.4");
  assert.equal(book.applyDiff(diff(16, 16)), Applied.GAP);
  assert.equal(book.updateId, 14);
});

test("a gap inside the buffer starts over", () => {
  const book = new LocalBook();
  book.applyDiff(diff(11, 12));
  book.applyDiff(diff(14, 15));
  assert.equal(book.applySnapshot(snapshot), false);
  assert.equal(book.live, false);
  assert.equal(book.buffer.length, 0);
});

test("the buffer is bounded", () => {
  const book = new LocalBook();
  let last = Applied.BUFFERED;
  for (let id = 1; id <= 601; id += 1) last = book.applyDiff(diff(id, id));
  assert.equal(last, Applied.GAP);
  assert.equal(book.buffer.length, 600);
});

test("removing a level that is not there changes nothing", () => {
  const book = new LocalBook();
  book.applySnapshot(snapshot);
  book.applyDiff(diff(11, 11, [["1.00000000", "0.00000000"]]));
  assert.equal(book.bids.length, 3);
});

test("a random run equals a plain map", () => {
  const seed = 20261121;
  let state = seed;
  const random = (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % bound;
  };
  const book = new LocalBook();
  book.applySnapshot({ lastUpdateId: 0, bids: [], asks: [] });
  const plain = { b: new Map(), a: new Map() };
  for (let id = 1; id <= 3000; id += 1) {
    const key = random(2) === 0 ? "b" : "a";
    const price = `${(key === "b" ? 100 : 200) + random(60)}.${random(10)}0000000`;
    const quantity = random(3) === 0 ? "0.00000000" : `${random(9)}.5`;
    if (quantity === "0.00000000") plain[key].delete(parseDecimal(price));
    else plain[key].set(parseDecimal(price), parseDecimal(quantity));
    const event = diff(id, id);
    event[key] = [[price, quantity]];
    assert.equal(book.applyDiff(event), Applied.APPLIED);
    book.check();
  }
  for (const [levels, map] of [[book.bids, plain.b], [book.asks, plain.a]]) {
    assert.equal(levels.length, map.size, `seed ${seed}`);
    for (const level of levels) assert.equal(map.get(level.price), level.quantity, `seed ${seed}`);
  }
});
