import test from "node:test";
import assert from "node:assert/strict";

import { BalanceStore } from "../../../static/markets/balances.js";
import { MAX_MS, retryDelayMs } from "../../../static/markets/backoff.js";
import { parseDecimal } from "../../../static/markets/decimal.js";
import { OrderStore } from "../../../static/markets/orders.js";

const row = (changes) => ({
  symbol: "BTCUSDT", orderId: 7, clientOrderId: "a", side: "BUY", type: "LIMIT", status: "NEW", price: "50950.00000000",
  origQty: "1.00000000", origQuoteOrderQty: "0.00000000", executedQty: "0.00000000", cummulativeQuoteQty: "0.00000000",
  time: 1000, updateTime: 1000, ...changes,
});
const report = (changes) => ({
  e: "executionReport", s: "BTCUSDT", i: 7, c: "a", C: "", S: "BUY", o: "LIMIT", x: "NEW", X: "NEW", p: "50950.00000000",
  q: "1.00000000", Q: "0.00000000", z: "0.00000000", Z: "0.00000000", l: "0.00000000", L: "0.00000000", Y: "0.00000000",
  n: "0", N: null, t: -1, m: false, O: 1000, T: 1000, ...changes,
});
const fill = report({
  x: "TRADE", X: "PARTIALLY_FILLED", z: "0.50000000", Z: "25475.00000000", l: "0.50000000", L: "50950.00000000",
  Y: "25475.00000000", n: "0.00050000", N: "BTC", t: 3, T: 2000,
});

test("a fill changes the order and adds one trade", () => {
  const store = new OrderStore();
  store.takeReport(report(), 1);
  const { trade } = store.takeReport(fill, 2);
  assert.equal(trade.fee, "0.00050000");
  store.takeReport(fill, 3);
  assert.equal(store.ownTrades().length, 1);
  assert.equal(store.open()[0].filled, parseDecimal("0.5"));
});

test("a lagging list never undoes an event, in any order of arrival", () => {
  for (const order of [["list", "event"], ["event", "list"]]) {
    const store = new OrderStore();
    for (const step of order) {
      if (step === "list") store.takeOrders([row()]);
      else store.takeReport(fill, 5);
    }
    assert.equal(store.open()[0].status, "PARTIALLY_FILLED", order.join());
  }
});

test("a closed order stays closed", () => {
  const store = new OrderStore();
  store.takeReport(report({ x: "CANCELED", X: "CANCELED", c: "cancel-1", C: "a", T: 3000 }), 1);
  store.takeOrders([row({ updateTime: 9000 })]);
  assert.equal(store.open().length, 0);
  assert.equal(store.closed()[0].clientOrderId, "a");
  assert.equal(store.findByClientId("a").status, "CANCELED");
  assert.equal(store.findByClientId("zz"), null);
});

test("orders that closed while away leave the open list, newer ones stay", () => {
  const store = new OrderStore();
  store.takeOrders([row(), row({ orderId: 8, clientOrderId: "b" })]);
  store.takeReport(report({ i: 9, c: "c" }), 500);
  store.dropOpenMissingFrom([row({ orderId: 8 })], 400);
  assert.deepEqual(store.open().map((order) => order.orderId), [9, 8]);
});

test("a rejected report has no order and leaves no row", () => {
  const store = new OrderStore();
  store.takeReport(report({ i: -1, x: "REJECTED", X: "REJECTED" }), 1);
  assert.equal(store.closed().length + store.open().length, 0);
});

test("an own trade on both sides is two rows", () => {
  const store = new OrderStore();
  const base = { symbol: "BTCUSDT", id: 4, price: "1.0", qty: "1.0", quoteQty: "1.0", commission: "0", commissionAsset: "BTC", time: 5, isMaker: false };
  store.takeTrades([{ ...base, orderId: 1, isBuyer: true }, { ...base, orderId: 2, isBuyer: false }]);
  assert.equal(store.ownTrades("BTCUSDT").length, 2);
  assert.equal(store.ownTrades("ETHUSDT").length, 0);
});

test("the history is bounded and open orders are never dropped", () => {
  const store = new OrderStore();
  store.takeOrders([row()]);
  for (let id = 100; id < 900; id += 1) store.takeOrders([row({ orderId: id, status: "FILLED" })]);
  assert.equal(store.orders.size, 500);
  assert.equal(store.open().length, 1);
  assert.equal(store.closed()[0].orderId, 899);
});

test("balances: an event after the question beats the answer, one before it does not", () => {
  const answer = (btc, usdt) => ({
    balances: [{ asset: "BTC", free: btc, locked: "0.00000000" }, { asset: "USDT", free: usdt, locked: "0.00000000" }],
  });
  const store = new BalanceStore();
  assert.equal(store.loaded, false);
  store.takePosition({ B: [{ a: "USDT", f: "7.00000000", l: "0.00000000" }] });
  const mark = store.mark();
  store.takePosition({ B: [{ a: "BTC", f: "0.50000000", l: "0.10000000" }] });
  store.takeAccount(answer("9.00000000", "1.00000000"), mark);
  assert.equal(store.loaded, true);
  assert.deepEqual([store.of("BTC").free, store.of("BTC").locked], [parseDecimal("0.5"), parseDecimal("0.1")]);
  assert.equal(store.of("USDT").free, parseDecimal("1"));
  assert.equal(store.of("LTC").free, 0n);
  store.takeAccount(answer("9.00000000", "0.00000000"), store.mark());
  assert.equal(store.of("BTC").free, parseDecimal("9"));
  assert.deepEqual(store.held().map(([asset]) => asset), ["BTC"]);
});

test("back-off grows, is bounded and spreads", () => {
  assert.equal(retryDelayMs(1, 0), 250);
  assert.equal(retryDelayMs(1, 0.999), 500);
  assert.equal(retryDelayMs(3, 0), 1000);
  assert.equal(retryDelayMs(50, 0.999) <= MAX_MS, true);
  for (let attempt = 2; attempt < 10; attempt += 1) {
    assert.equal(retryDelayMs(attempt, 0.5) >= retryDelayMs(attempt - 1, 0.5), true);
  }
});
