import test from "node:test";
import assert from "node:assert/strict";

import { averagePrice, feeOn, walkQuantity, walkTotal } from "../../../static/markets/estimate.js";
import { formatDecimal, parseDecimal } from "../../../static/markets/decimal.js";
import { readMarket } from "../../../static/markets/market.js";
import {
  neededFunds,
  orderRequest,
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
  orderTypes: ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"],
  ocoAllowed: true,
  otoAllowed: true,
  stopBuyBuffer: "0.0200",
  allowTrailingStop: true,
  icebergAllowed: true,
  filters: [
    { filterType: "PRICE_FILTER", minPrice: "0.01000000", maxPrice: "1000000.00000000", tickSize: "0.01000000" },
    { filterType: "LOT_SIZE", minQty: "0.00001000", maxQty: "9000.00000000", stepSize: "0.00001000" },
    { filterType: "MARKET_LOT_SIZE", minQty: "0.00000000", maxQty: "100.00000000", stepSize: "0.00000000" },
    { filterType: "ICEBERG_PARTS", limit: 100 },
    { filterType: "TRAILING_DELTA", minTrailingBelowDelta: 10, maxTrailingBelowDelta: 2000 },
    { filterType: "NOTIONAL", minNotional: "5.00000000", maxNotional: "9000000.00000000" },
  ],
});
const form = (changes) => ({
  side: "BUY", kind: "LIMIT", trigger: "STOP_LOSS", as: "LIMIT", timeInForce: "GTC", postOnly: false, by: "quantity",
  price: "50950", quantity: "0.5", total: "", stop: "", stopLimit: "", trail: "", visible: "", profit: "", loss: "",
  ...changes,
});
const FEES = { maker: parseDecimal("0.001"), taker: parseDecimal("0.002") };
const NOW = 1_700_000_000_000;
const request = (draft, id) => orderRequest(draft, market, id, NOW, FEES);
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
  assert.deepEqual(request(draft, "web-1").params, {
    symbol: "BTCUSDT", side: "BUY", type: "LIMIT", timeInForce: "GTC", price: "50950.1", quantity: "0.5",
    newClientOrderId: "web-1", newOrderRespType: "FULL",
  });
  assert.deepEqual(neededFunds(draft, market, null), { asset: "USDT", units: parseDecimal("25475.05") });
});

test("market orders carry a quantity or a total, never both, and no price", () => {
  const byQuantity = readDraft(form({ kind: "MARKET", price: "nonsense" }), market).draft;
  assert.equal(request(byQuantity, "x").params.quantity, "0.5");
  assert.equal("price" in request(byQuantity, "x").params, false);
  const byTotal = readDraft(form({ kind: "MARKET", by: "total", total: "100.5", quantity: "nonsense" }), market).draft;
  assert.equal(request(byTotal, "x").params.quoteOrderQty, "100.5");
  assert.equal("quantity" in request(byTotal, "x").params, false);
});

test("every bad number is refused beside its own field", () => {
  for (const text of ["", " ", "+1", "-1", "1e3", "NaN", "1_0", "\u0661", ".5", "5.", "0x1", "1,5", "00.1", "0"]) {
    for (const field of ["price", "quantity"]) {
      const { errors, draft } = readDraft(form({ [field]: text }), market);
      assert.equal(draft, null, `${field} ${text}`);
      assert.deepEqual(Object.keys(errors), [field], `${field} ${text}`);
    }
    const { errors, draft } = readDraft(form({ kind: "MARKET", by: "total", total: text }), market);
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
  assert.match(errorsOf({ kind: "MARKET", quantity: "101" }).quantity, /100 BTC/);
  assert.match(errorsOf({ price: "1", quantity: "1" }).total, /5 USDT/);
  assert.match(errorsOf({ price: "1000000", quantity: "9000" }).total, /9000000 USDT/);
  assert.match(errorsOf({ kind: "MARKET", by: "total", total: "4.99" }).total, /5 USDT/);
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

test("post-only, time in force and the visible part of an iceberg", () => {
  const order = (changes) => request(readDraft(form(changes), market).draft, "x").params;
  const maker = order({ postOnly: true, visible: "0.1", timeInForce: "IOC" });
  assert.deepEqual([maker.type, maker.icebergQty, "timeInForce" in maker], ["LIMIT_MAKER", "0.1", false]);
  assert.equal(order({ timeInForce: "FOK" }).timeInForce, "FOK");
  const day = order({ timeInForce: "DAY" });
  assert.deepEqual([day.timeInForce, day.goodTillDate], ["GTD", NOW + 86_400_000]);
  assert.equal(order({ postOnly: true, timeInForce: "HOUR" }).goodTillDate, NOW + 3_600_000);
  const errorsOf = (visible) => readDraft(form({ visible }), market).errors.visible;
  assert.match(errorsOf("0.6"), /whole amount/);
  assert.match(errorsOf("0.00499"), /At least 0\.005 /);
  assert.match(errorsOf("0.000001"), /5 decimals/);
  assert.equal(errorsOf("0.005"), undefined);
});

test("stop orders become the exchange's types, with what they hold", () => {
  const stop = (changes) => readDraft(form({ kind: "STOP", stop: "49000", price: "48900", ...changes }), market).draft;
  const names = (changes) => Object.keys(request(stop(changes), "x").params);
  assert.equal(stop({ side: "SELL" }).type, "STOP_LOSS_LIMIT");
  assert.equal(stop({ trigger: "TAKE_PROFIT", as: "MARKET" }).type, "TAKE_PROFIT");
  assert.deepEqual(names({}), ["symbol", "side", "type", "timeInForce", "stopPrice", "price", "quantity", "newClientOrderId", "newOrderRespType"]);
  assert.deepEqual(names({ as: "MARKET" }), ["symbol", "side", "type", "stopPrice", "quantity", "newClientOrderId", "newOrderRespType"]);
  assert.deepEqual(neededFunds(stop({}), market, null), { asset: "USDT", units: parseDecimal("24450") });
  assert.deepEqual(neededFunds(stop({ as: "MARKET" }), market, null), { asset: "USDT", units: parseDecimal("24990") });
  assert.match(readDraft(form({ kind: "STOP", stop: "" }), market).errors.stop, /trigger/);
  assert.match(readDraft(form({ kind: "STOP", stop: "49000.001" }), market).errors.stop, /2 decimals/);
});

test("trailing distances are percent in the form and basis points in the request", () => {
  const trailing = (changes) => readDraft(form({ kind: "STOP", trigger: "TRAILING", as: "MARKET", side: "SELL", trail: "1.25", ...changes }), market);
  const now = request(trailing({}).draft, "x").params;
  assert.deepEqual([now.type, now.trailingDelta, "stopPrice" in now], ["STOP_LOSS", 125, false]);
  const later = request(trailing({ stop: "55000" }).draft, "x").params;
  assert.deepEqual([later.type, later.stopPrice], ["TAKE_PROFIT", "55000"]);
  for (const [text, pattern] of [["", /percent/], ["0.09", /Smallest distance is 0\.1 %/], ["20.01", /Largest distance is 20 %/], ["1.255", /2 decimals/], ["-1", /digits/]]) {
    assert.match(trailing({ trail: text }).errors.trail, pattern, text);
  }
});

test("an OCO is one request of two legs, on either side of the market", () => {
  const oco = (changes) => readDraft(form({ kind: "OCO", price: "55000", stop: "45000", stopLimit: "", side: "SELL", ...changes }), market);
  const sale = request(oco({}).draft, "list");
  assert.equal(sale.method, "orderList.place.oco");
  assert.deepEqual(sale.params, {
    symbol: "BTCUSDT", side: "SELL", quantity: "0.5", listClientOrderId: "list", aboveType: "LIMIT_MAKER",
    abovePrice: "55000", aboveClientOrderId: "list-l", belowType: "STOP_LOSS", belowStopPrice: "45000",
    belowClientOrderId: "list-s", newOrderRespType: "RESULT",
  });
  const purchase = request(oco({ side: "BUY", price: "45000", stop: "55000", stopLimit: "55100" }).draft, "l").params;
  assert.deepEqual(
    [purchase.belowType, purchase.belowPrice, purchase.aboveType, purchase.aboveStopPrice, purchase.abovePrice, purchase.aboveTimeInForce],
    ["LIMIT_MAKER", "45000", "STOP_LOSS_LIMIT", "55000", "55100", "GTC"],
  );
  assert.deepEqual(
    neededFunds(oco({ side: "BUY", price: "45000", stop: "55000", stopLimit: "55100" }).draft, market, null),
    { asset: "USDT", units: parseDecimal("27550") },
  );
  assert.match(oco({ stop: "56000" }).errors.stop, /below/);
  assert.match(oco({ side: "BUY" }).errors.stop, /above/);
});

test("what follows a limit order goes with it, for what is left of it after the fee", () => {
  const order = (changes) => readDraft(form({ price: "50000", quantity: "0.5", ...changes }), market);
  const both = request(order({ profit: "55000", loss: "45000", visible: "0.1" }).draft, "id");
  assert.equal(both.method, "orderList.place.otoco");
  assert.deepEqual(both.params, {
    symbol: "BTCUSDT", listClientOrderId: "id", workingType: "LIMIT", workingSide: "BUY", workingPrice: "50000",
    workingQuantity: "0.5", workingClientOrderId: "id-w", workingTimeInForce: "GTC", workingIcebergQty: "0.1",
    pendingSide: "SELL", pendingQuantity: "0.499", newOrderRespType: "RESULT", pendingAboveType: "LIMIT_MAKER",
    pendingAbovePrice: "55000", pendingAboveClientOrderId: "id-l", pendingBelowType: "STOP_LOSS",
    pendingBelowStopPrice: "45000", pendingBelowClientOrderId: "id-s",
  });
  const profit = request(order({ profit: "55000", postOnly: true }).draft, "id");
  assert.equal(profit.method, "orderList.place.oto");
  assert.deepEqual(
    [profit.params.workingType, profit.params.workingTimeInForce, profit.params.pendingType, profit.params.pendingPrice],
    ["LIMIT_MAKER", undefined, "LIMIT", "55000"],
  );
  const sale = request(order({ side: "SELL", profit: "45000", loss: "55000" }).draft, "id").params;
  assert.deepEqual(
    [sale.pendingSide, sale.pendingQuantity, sale.pendingBelowPrice, sale.pendingAboveStopPrice], ["BUY", "0.5", "45000", "55000"],
  );
  const stop = request(order({ loss: "45000" }).draft, "id").params;
  assert.deepEqual([stop.pendingType, stop.pendingStopPrice, stop.pendingTimeInForce], ["STOP_LOSS", "45000", undefined]);
  assert.match(order({ profit: "49000" }).errors.profit, /above/);
  assert.match(order({ loss: "50000" }).errors.loss, /below/);
  assert.match(order({ side: "SELL", profit: "51000" }).errors.profit, /below/);
  assert.match(order({ loss: "45000", timeInForce: "DAY" }).errors.loss, /end/);
  assert.deepEqual(neededFunds(order({ loss: "45000" }).draft, market, null), { asset: "USDT", units: parseDecimal("25000") });
});

test("refusals of the new kinds name their fields", () => {
  assert.equal(refusalOf({ code: -2010, msg: "Order would trigger immediately." }).field, "stop");
  assert.equal(refusalOf({ code: -1013, msg: "Filter failure: ICEBERG_PARTS" }).field, "visible");
  assert.equal(refusalOf({ code: -1013, msg: "Filter failure: TRAILING_DELTA" }).field, "trail");
});
