import test from "node:test";
import assert from "node:assert/strict";

import { averagePrice, feeOn, walkQuantity, walkTotal } from "../../../static/markets/estimate.js";
import { formatDecimal, parseDecimal } from "../../../static/markets/decimal.js";
import { readMarket } from "../../../static/markets/market.js";
import {
  neededFunds,
  orderParameters,
  quantityForPercent,
  quantityTextForTotal,
  readDraft,
} from "../../../static/markets/orderdraft.js";
import { refusalOf } from "../../../static/markets/refusals.js";

const market = readMarket({
  symbol: "BTCUSDT",
  status: "TRADING",
  baseAsset: "BTC",
  quoteAsset: "USDT",
  quoteAssetPrecision: 8,
  quoteOrderQtyMarketAllowed: true,
  orderTypes: ["LIMIT", "MARKET"],
  filters: [
    { filterType: "PRICE_FILTER", minPrice: "0.01000000", maxPrice: "1000000.00000000", tickSize: "0.01000000" },
    { filterType: "LOT_SIZE", minQty: "0.00001000", maxQty: "9000.00000000", stepSize: "0.00001000" },
    { filterType: "MARKET_LOT_SIZE", minQty: "0.00000000", maxQty: "100.00000000", stepSize: "0.00000000" },
    { filterType: "NOTIONAL", minNotional: "5.00000000", maxNotional: "9000000.00000000" },
  ],
});
const form = (changes) => ({ side: "BUY", type: "LIMIT", by: "quantity", price: "50950", quantity: "0.5", total: "", ...changes });
const levels = (...rows) => rows.map(([price, quantity]) => ({ price: parseDecimal(price), quantity: parseDecimal(quantity) }));

test("the market is read from its filters", () => {
  assert.equal(market.pricePlaces, 2);
  assert.equal(market.quantityPlaces, 5);
  assert.equal(market.state, "TRADING");
  assert.equal(market.notionalMin, parseDecimal("5"));
});

test("a good limit order becomes the exact request", () => {
  const { errors, draft } = readDraft(form({ price: " 50950.10 " }), market);
  assert.deepEqual(errors, {});
  assert.deepEqual(orderParameters(draft, market, "web-1"), {
    symbol: "BTCUSDT", side: "BUY", type: "LIMIT", timeInForce: "GTC", price: "50950.1", quantity: "0.5",
    newClientOrderId: "web-1", newOrderRespType: "FULL",
  });
  assert.deepEqual(neededFunds(draft, market, null), { asset: "USDT", units: parseDecimal("25475.05") });
});

test("market orders carry a quantity or a total, never both, and no price", () => {
  const byQuantity = readDraft(form({ type: "MARKET", price: "nonsense" }), market).draft;
  assert.equal(orderParameters(byQuantity, market, "x").quantity, "0.5");
  assert.equal("price" in orderParameters(byQuantity, market, "x"), false);
  const byTotal = readDraft(form({ type: "MARKET", by: "total", total: "100.5", quantity: "nonsense" }), market).draft;
  assert.equal(orderParameters(byTotal, market, "x").quoteOrderQty, "100.5");
  assert.equal("quantity" in orderParameters(byTotal, market, "x"), false);
});

test("every bad number is refused beside its own field", () => {
  for (const text of ["", " ", "+1", "-1", "1e3", "NaN", "1_0", "\u0661", ".5", "5.", "0x1", "1,5", "00.1", "0"]) {
    for (const field of ["price", "quantity"]) {
      const { errors, draft } = readDraft(form({ [field]: text }), market);
      assert.equal(draft, null, `${field} ${text}`);
      assert.deepEqual(Object.keys(errors), [field], `${field} ${text}`);
    }
    const { errors, draft } = readDraft(form({ type: "MARKET", by: "total", total: text }), market);
    assert.equal(draft, null, text);
    assert.deepEqual(Object.keys(errors), ["total"]);
  }
});

test("filters are checked with their figures named", () => {
  const errorsOf = (changes) => readDraft(form(changes), market).errors;
  assert.match(errorsOf({ price: "50950.123" }).price, /2 decimals/);
  assert.match(errorsOf({ price: "0.001" }).price, /2 decimals/);
  assert.match(errorsOf({ price: "1000000.01" }).price, /1000000/);
  assert.match(errorsOf({ quantity: "0.000001" }).quantity, /5 decimals/);
  assert.match(errorsOf({ quantity: "9001" }).quantity, /9000 BTC/);
  assert.match(errorsOf({ type: "MARKET", quantity: "101" }).quantity, /100 BTC/);
  assert.match(errorsOf({ price: "1", quantity: "1" }).total, /5 USDT/);
  assert.match(errorsOf({ price: "1000000", quantity: "9000" }).total, /9000000 USDT/);
  assert.match(errorsOf({ type: "MARKET", by: "total", total: "4.99" }).total, /5 USDT/);
  const coarse = { ...market, tick: parseDecimal("0.05") };
  assert.match(readDraft(form({ price: "50950.01" }), coarse).errors.price, /0\.05/);
});

test("percent buttons never ask for more than there is", () => {
  const all = quantityForPercent("BUY", 100, parseDecimal("100"), parseDecimal("50950.37"), market);
  assert.equal(formatDecimal(all, 0), "0.00196");
  assert.equal(formatDecimal(quantityForPercent("SELL", 25, parseDecimal("1.23456789"), 0n, market), 0), "0.30864");
  assert.equal(quantityForPercent("BUY", 50, parseDecimal("100"), 0n, market), 0n);
  assert.equal(quantityTextForTotal(parseDecimal("100"), parseDecimal("50950.37"), market), "0.00196");
  assert.equal(quantityTextForTotal(0n, parseDecimal("50950.37"), market), "");
});

test("the worked example T2 as an estimate", () => {
  const bids = levels(["50950", "0.5"], ["50940", "1.0"], ["50930", "2.5"]);
  const walk = walkQuantity(bids, "SELL", parseDecimal("0.7"), null);
  assert.equal(formatDecimal(walk.cost, 2), "35663.00");
  assert.equal(formatDecimal(averagePrice(walk), 2).slice(0, 8), "50947.14");
  assert.equal(walk.worst, parseDecimal("50940"));
  const limited = walkQuantity(bids, "SELL", parseDecimal("0.7"), parseDecimal("50950"));
  assert.equal(limited.filled, parseDecimal("0.5"));
  assert.equal(averagePrice(walkQuantity([], "SELL", 1n, null)), null);
});

test("a budget buys whole lots only", () => {
  const asks = levels(["51000", "1.2"], ["51100", "0.8"]);
  const walk = walkTotal(asks, parseDecimal("61710.00"), market.lot);
  assert.equal(formatDecimal(walk.filled, 0), "1.20998");
  assert.equal(walk.cost <= parseDecimal("61710"), true);
  assert.equal(walkTotal(asks, parseDecimal("0.1"), market.lot).filled, 0n);
});

test("fees round up", () => {
  assert.equal(feeOn(parseDecimal("0.00000001"), parseDecimal("0.001")), 1n);
  assert.equal(feeOn(parseDecimal("0.5"), parseDecimal("0.001")), parseDecimal("0.0005"));
  assert.equal(feeOn(parseDecimal("0.5"), 0n), 0n);
});

test("refusals name the field", () => {
  assert.equal(refusalOf({ code: -1013, msg: "Filter failure: PERCENT_PRICE_BY_SIDE" }).field, "price");
  assert.equal(refusalOf({ code: -1013, msg: "Filter failure: LOT_SIZE" }).field, "quantity");
  assert.equal(refusalOf({ code: -2010, msg: "Account has insufficient balance for requested action." }).field, "amount");
  assert.equal(refusalOf({ code: -2010, msg: "Market is closed." }).field, "form");
  assert.equal(refusalOf({ code: -1100, msg: "Illegal characters found in parameter 'quantity'; legal range is ..." }).field, "quantity");
  assert.equal(refusalOf({ code: -1001, msg: "Internal error; unable to process your request. Please try again." }).field, "form");
  assert.deepEqual(refusalOf({ code: -9, msg: "Something new." }), { field: "form", text: "Something new." });
  assert.equal(refusalOf({ code: -9 }).text, "The exchange refused this request (code -9).");
});
