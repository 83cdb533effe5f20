import test from "node:test";
import assert from "node:assert/strict";

import { candleFromEvent, candleFromRow, joinOlder, movingAverage } from "../../../static/markets/candles.js";
import { formatDecimal, parseDecimal } from "../../../static/markets/decimal.js";
import { addFill, fillText } from "../../../static/markets/fillnotices.js";
import { auctionText, bannerOf, countdownText, haltText, readState, shortWord } from "../../../static/markets/marketstate.js";
import { changePercent } from "../../../static/markets/markettable.js";
import { previewOrder } from "../../../static/markets/orderpreview.js";
import { silenceText } from "../../../static/markets/silence.js";

const levels = (...rows) => rows.map(([price, quantity]) => ({ price: parseDecimal(price), quantity: parseDecimal(quantity) }));
const book = {
  bids: levels(["50950", "0.5"], ["50940", "1"], ["50930", "2.5"]),
  asks: levels(["51000", "1.2"], ["51100", "0.8"], ["51200", "0.3"]),
};
const market = { base: "BTC", quote: "USDT", lot: parseDecimal("0.00001"), pricePlaces: 2 };
const fees = { maker: parseDecimal("0.001"), taker: parseDecimal("0.002") };
const draft = (changes) => ({
  side: "BUY", kind: "LIMIT", type: "LIMIT", timeInForce: "GTC", price: null, quantity: null, total: null, stop: null,
  stopLimit: null, trail: null, profit: null, loss: null, ...changes,
});
const text = (units) => formatDecimal(units, 0);

test("a limit order that rests pays the maker fee on what it receives", () => {
  const preview = previewOrder(draft({ price: parseDecimal("50900"), quantity: parseDecimal("2") }), book, market, fees);
  assert.equal(text(preview.total), "101800");
  assert.equal(text(preview.fee), "0.002");
  assert.equal(text(preview.received), "1.998");
  assert.match(preview.note, /^Rests/);
});

test("a limit order that takes and rests pays both fees and the book's prices", () => {
  const preview = previewOrder(draft({ price: parseDecimal("51100"), quantity: parseDecimal("2.5") }), book, market, fees);
  assert.equal(text(preview.total), text(parseDecimal("61200") + parseDecimal("40880") + parseDecimal("25550")));
  assert.equal(text(preview.fee), "0.0045");
  assert.match(preview.note, /fill 2 at once and rest with 0.5 BTC/);
});

test("a market sell receives quote less the taker fee", () => {
  const preview = previewOrder(draft({ side: "SELL", kind: "MARKET", type: "MARKET", quantity: parseDecimal("0.7") }), book, market, fees);
  assert.equal(text(preview.received), "35591.674");
  assert.equal(preview.note, "Would fill down to 50,940.00.");
});

test("a market order beyond the book says what would expire", () => {
  const preview = previewOrder(draft({ kind: "MARKET", type: "MARKET", quantity: parseDecimal("9") }), book, market, fees);
  assert.equal(preview.note, "The book holds only 2.3 BTC; the rest would expire.");
  const empty = previewOrder(draft({ kind: "MARKET", type: "MARKET", total: parseDecimal("9") }), { bids: [], asks: [] }, market, fees);
  assert.equal(empty.note, "Nothing in the book to fill this order.");
  assert.equal(text(empty.received), "0");
});

test("every state but open trading has its words", () => {
  const market = (state, status) => ({ state, status });
  assert.equal(bannerOf(market("OPEN", "TRADING")), null);
  assert.equal(shortWord(market("OPEN", "TRADING")), "");
  for (const [state, status] of [["HALTED", "HALT"], ["AUCTION", "HALT"], ["CANCEL_ONLY", "CANCEL_ONLY"], ["CLOSED", "BREAK"], ["PRE_LAUNCH", "BREAK"], ["POST_ONLY", "TRADING"]]) {
    assert.ok(bannerOf(market(state, status)) !== null, state);
    assert.ok(shortWord(market(state, status)) !== "", state);
  }
  assert.match(bannerOf(market("AUCTION", "HALT"))[1], /auction/i);
});

test("a halt says why, and how long it lasts", () => {
  const told = { status: "HALT", marketState: "HALTED", cause: "BREAKER", until: 60_000, resumesAt: 120_000 };
  const state = readState(told);
  assert.match(bannerOf(state)[1], /moved too fast/);
  assert.equal(countdownText(state, 0), "Call auction in 1:00, reopens in 2:00.");
  assert.equal(countdownText(state, 59_001), "Call auction in 0:01, reopens in 1:01.");
  assert.equal(countdownText(state, 500_000), "Call auction in 0:00, reopens in 0:00.");
  assert.equal(countdownText(readState({ ...told, until: 120_000 }), 115_000), "Reopens in 0:05.");
  assert.equal(countdownText(readState({ status: "HALT", marketState: "HALTED", cause: "STAFF" }), 0), "");
  assert.match(bannerOf(readState({ status: "HALT", marketState: "HALTED", cause: "STAFF" }))[1], /^Trading is halted\. /);
});

test("an auction shows what would trade", () => {
  const told = { status: "HALT", marketState: "AUCTION", cause: "BREAKER", until: 30_000, resumesAt: 30_000 };
  const priced = { ...told, indicativePrice: "50950.00000000", indicativeQty: "1.25000000" };
  assert.equal(auctionText(readState(priced), market), "Indicative price 50,950.00 USDT, 1.25 BTC would trade.");
  assert.equal(auctionText(readState(told), market), "No orders would trade yet.");
  assert.equal(auctionText(readState({ status: "TRADING", marketState: "OPEN" }), market), "");
  assert.equal(countdownText(readState(told), 0), "Reopens in 0:30.");
});

test("silence of market data is what the exchange says", () => {
  const told = { status: "TRADING", marketState: "OPEN" };
  assert.equal(silenceText(readState({ ...told, staleSince: null }).staleSinceMs), "");
  assert.equal(silenceText(readState(told).staleSinceMs), "");
  const { staleSinceMs } = readState({ ...told, staleSince: new Date(2026, 10, 22, 14, 5, 9).getTime() });
  assert.match(silenceText(staleSinceMs), /^Market data has been silent since 14:05:09: /);
});

test("24 h change", () => {
  const percent = (open, last) => changePercent(parseDecimal(open), parseDecimal(last));
  assert.equal(text(percent("50000", "51000")), "2");
  assert.equal(text(percent("50000", "49000")), "-2");
  assert.equal(percent("0", "1"), null);
});

test("candles from rows and events are the same", () => {
  const bar = { time: 60, open: 1, high: 2, low: 0.5, close: 1.5, volume: 3 };
  assert.deepEqual(candleFromRow([60000, "1.0", "2.0", "0.5", "1.5", "3.0", 119999]), bar);
  assert.deepEqual(candleFromEvent({ t: 60000, o: "1.0", h: "2.0", l: "0.5", c: "1.5", v: "3.0" }), bar);
});

test("older pages join without repeating a bar", () => {
  const bars = (...times) => times.map((time) => ({ time }));
  assert.deepEqual(joinOlder(bars(1, 2, 3), bars(3, 4)), bars(1, 2, 3, 4));
  assert.deepEqual(joinOlder(bars(1), []), bars(1));
});

test("moving average", () => {
  const closes = [1, 2, 3, 4].map((close, time) => ({ time, close }));
  assert.deepEqual(movingAverage(closes, 2), [{ time: 1, value: 1.5 }, { time: 2, value: 2.5 }, { time: 3, value: 3.5 }]);
  assert.deepEqual(movingAverage(closes, 9), []);
});

test("fills of one order are one sentence", () => {
  const market = { base: "BTC", quote: "USDT", pricePlaces: 2 };
  const fill = (price, quantity) => ({ price: parseDecimal(price), quantity: parseDecimal(quantity) });
  const first = addFill(undefined, fill("50950", "0.5"));
  assert.equal(fillText(first, "SELL", market), "Sold 0.5 BTC at 50,950.00 USDT");
  const second = addFill(first, fill("50940", "0.2"));
  assert.equal(fillText(second, "SELL", market), "Sold 0.7 BTC at about 50,947.14 USDT on average (2 fills)");
  const same = addFill(first, fill("50950", "0.5"));
  assert.equal(fillText(same, "BUY", market), "Bought 1 BTC at 50,950.00 USDT on average (2 fills)");
});

test("an order that waits is counted at its price and says what starts it", () => {
  const half = parseDecimal("0.5");
  const note = (changes) => previewOrder(draft({ kind: "STOP", quantity: half, ...changes }), book, market, fees).note;
  const stop = parseDecimal("49000");
  assert.equal(note({ side: "SELL", type: "STOP_LOSS", stop }), "Waits until the price falls to 49,000.00, then it becomes a market order.");
  assert.equal(
    note({ type: "STOP_LOSS_LIMIT", stop: parseDecimal("52000"), price: parseDecimal("52100") }),
    "Waits until the price rises to 52,000.00, then it becomes a limit order at 52,100.00.",
  );
  assert.match(note({ side: "SELL", type: "STOP_LOSS", trail: 125n }), /^From now on: when the price falls 1\.25 % below its highest/);
  const preview = previewOrder(draft({ kind: "STOP", side: "SELL", type: "STOP_LOSS", quantity: half, stop }), book, market, fees);
  assert.deepEqual([text(preview.total), text(preview.fee), preview.exact], ["24500", "49", false]);
  const oco = { kind: "OCO", side: "SELL", quantity: half, price: parseDecimal("55000"), stop };
  assert.equal(note(oco), "Rests at 55,000.00. If the price falls to 49,000.00, a market order follows instead.");
});

test("immediate and post-only orders say what would happen", () => {
  const note = (changes) => previewOrder(draft({ quantity: parseDecimal("2"), ...changes }), book, market, fees).note;
  assert.match(note({ price: parseDecimal("51000"), timeInForce: "IOC" }), /fill 1\.2 BTC at once; the rest would expire/);
  assert.match(note({ price: parseDecimal("51000"), timeInForce: "FOK" }), /would expire/);
  assert.match(note({ price: parseDecimal("51000"), type: "LIMIT_MAKER" }), /refuse/);
  assert.match(note({ price: parseDecimal("50900"), type: "LIMIT_MAKER" }), /^Rests/);
});

test("an auction trades nothing at once, and what follows an order is said", () => {
  const auction = (changes) => previewOrder(draft({ price: parseDecimal("51200"), quantity: parseDecimal("1"), ...changes }), book, market, fees, { collects: true });
  const { total, fee, note } = auction({});
  assert.deepEqual([total, fee], [parseDecimal("51200"), parseDecimal("0.002")]);
  assert.match(note, /^Collected for the auction/);
  const followed = previewOrder(draft({ price: parseDecimal("50000"), quantity: parseDecimal("1"), profit: parseDecimal("55000"), loss: parseDecimal("45000") }), book, market, fees);
  assert.equal(
    followed.note,
    "Rests in the book until it is met. Once all of it is filled, sells 0.998 BTC at 55,000.00, or at the market if the price falls to 45,000.00.",
  );
});

test("the prices at which the market would halt", () => {
  const told = (changes) => readState({ status: "TRADING", marketState: "OPEN", ...changes });
  assert.equal(haltText(told({}), market), "");
  assert.equal(haltText(told({ haltAbove: "52500.01000000", haltBelow: "47500.00000000" }), market), "47,500.00 – 52,500.01");
  assert.equal(haltText(told({ haltAbove: "52500.01000000" }), market), "… – 52,500.01");
});
