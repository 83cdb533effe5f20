import test from "node:test";
import assert from "node:assert/strict";

import { blockRequest, previewQuery, readBlock } from "../../../static/markets/blockorder.js";
import { parseDecimal } from "../../../static/markets/decimal.js";
import { orderRequest, readDraft } from "../../../static/markets/orderdraft.js";
import { OrderStore } from "../../../static/markets/orders.js";
import { refusalOf } from "../../../static/markets/refusals.js";

const units = parseDecimal;
const market = {
  symbol: "BTCUSDT", base: "BTC", quote: "USDT", tick: units("0.01"), lot: units("0.00001"), pricePlaces: 2,
  quantityPlaces: 5, totalPlaces: 8, priceMin: units("0.01"), priceMax: units("1000000"), quantityMin: units("0.00001"),
  quantityMax: units("9000"), marketQuantityMin: 0n, marketQuantityMax: 0n, notionalMin: 0n, notionalMax: 0n,
  icebergParts: 10n, trailing: { min: units("0.1"), max: units("20") },
};
const fees = { maker: units("0.001"), taker: units("0.001") };
const equal = { id: 4, asks: false, accounts: [{ id: 1002, name: "One (1002)" }, { id: 1003, name: "Two (1003)" }] };
const asking = { ...equal, id: 5, asks: true };
const limit = { side: "BUY", kind: "LIMIT", timeInForce: "GTC", by: "quantity", price: "50000", quantity: "0.3" };
const read = (changes, rule = equal, texts = []) => {
  const form = { ...limit, ...changes };
  return readBlock(readDraft(form, market), form, rule, texts, market);
};

test("a block order is the single order with the rule's number", () => {
  const { errors, draft, block } = read({ timeInForce: "DAY" });
  assert.deepEqual(errors, {});
  const single = orderRequest(draft, market, "web-1", 1000, fees);
  const { method, params } = blockRequest(single, block);
  assert.equal(method, "blockOrder.place");
  assert.deepEqual(params, { ...single.params, allocationId: 4 });
  assert.equal(params.goodTillDate, 86_401_000);
});

test("a rule that asks sends a plain amount for each account, nothing typed is none", () => {
  const { draft, block } = read({}, asking, [" 0.2 ", ""]);
  const { params } = blockRequest(orderRequest(draft, market, "web-1", 1000, fees), block);
  assert.equal(params.allocationQuantities, '["0.2","0"]');
});

test("what cannot be a block order says why, and nothing is drafted", () => {
  for (const [changes, field, text] of [
    [{ kind: "OCO", stop: "51000" }, "allocation", /limit order or a market sale/],
    [{ kind: "STOP", trigger: "STOP_LOSS", as: "LIMIT", stop: "51000" }, "allocation", /limit order or a market sale/],
    [{ kind: "MARKET" }, "allocation", /names its price/],
    [{ kind: "MARKET", side: "SELL", by: "total", total: "100" }, "allocation", /its amount, not its total/],
    [{ visible: "0.1" }, "visible", /shows all of it/],
    [{ profit: "52000" }, "profit", /Nothing can follow/],
    [{ loss: "48000" }, "loss", /Nothing can follow/],
    [{ quantity: "x" }, "quantity", /./],
  ]) {
    const { errors, draft, block } = read(changes);
    assert.match(errors[field], text, JSON.stringify(changes));
    assert.deepEqual([draft, block], [null, null]);
  }
  assert.deepEqual(read({ kind: "MARKET", side: "SELL" }).errors, {});
});

test("what accounts ask for is read strictly and named by account", () => {
  for (const [texts, text] of [
    [["", ""], /Enter how much/], [["0", "0.00"], /Enter how much/], [["1e3", "1"], /^One \(1002\): /], [["1", "-1"], /^Two \(1003\): /],
    [["0.000001", "1"], /^One \(1002\): /], [["1", "\u0661"], /^Two \(1003\): /],
  ]) {
    const { errors, block } = read({}, asking, texts);
    assert.match(errors.allocation, text, texts.join());
    assert.equal(block, null);
  }
  assert.match(readBlock({ errors: {}, draft: {} }, limit, asking, ["0.00003", "1"], { ...market, lot: units("0.00002") }).errors.allocation, /steps of 0.00002/);
});

test("the preview is for half of the order in whole lots, for all of it where that is none", () => {
  assert.equal(previewQuery(units("0.30001"), [units("2"), 0n], market).query, "symbol=BTCUSDT&quantity=0.30001&filled=0.15&asked=2&asked=0");
  assert.deepEqual(previewQuery(units("0.00001"), null, market), {
    query: "symbol=BTCUSDT&quantity=0.00001&filled=0.00001", filled: units("0.00001"),
  });
});

test("shares of a block order only grow, and other orders have none", () => {
  const store = new OrderStore();
  const row = (accountId, executedQty) => ({ orderId: 7, accountId, quantity: "0.15000000", executedQty });
  store.takeShares([row(1002, "0.05"), row(1003, "0.05")]);
  store.takeShares([row(1002, "0.05"), row(1003, "0.00")]);
  assert.deepEqual(store.shares.get(7).map((share) => share.filled), [units("0.05"), units("0.05")]);
  store.takeShares([row(1002, "0.15"), row(1003, "0.15")]);
  assert.deepEqual(store.shares.get(7)[1], { account: 1003, quantity: units("0.15"), filled: units("0.15") });
  assert.deepEqual([...store.shares.keys()], [7]);
});

test("a refusal of a block order is about its accounts", () => {
  const poor = { code: -2010, msg: "Account has insufficient balance for requested action." };
  assert.equal(refusalOf(poor).field, "amount");
  assert.equal(refusalOf(poor, { block: true }).field, "allocation");
  assert.match(refusalOf({ code: -2010, msg: "The account has no such allocation rule." }, { block: true }).text, /Reload/);
});
