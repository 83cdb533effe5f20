import test from "node:test";
import assert from "node:assert/strict";

import { groupingSteps, isCrossed, spreadOf, visibleLevels } from "../../../static/markets/booklevels.js";
import { formatDecimal, parseDecimal } from "../../../static/markets/decimal.js";

const levels = (...rows) => rows.map(([price, quantity]) => ({ price: parseDecimal(price), quantity: parseDecimal(quantity) }));
const text = (rows) => rows.map((row) => [row.price, row.quantity, row.total].map((units) => formatDecimal(units, 0)).join(" "));

test("running totals, best first", () => {
  const rows = visibleLevels(levels(["50950", "0.5"], ["50940", "1"], ["50930", "2.5"]), "bid", parseDecimal("0.01"), 2);
  assert.deepEqual(text(rows), ["50950 0.5 0.5", "50940 1 1.5"]);
});

test("bids merge down, asks merge up", () => {
  const step = parseDecimal("10");
  const bids = visibleLevels(levels(["50959", "1"], ["50951", "2"], ["50949", "4"]), "bid", step, 5);
  assert.deepEqual(text(bids), ["50950 3 3", "50940 4 7"]);
  const asks = visibleLevels(levels(["51000", "1"], ["51001", "2"], ["51009", "4"]), "ask", step, 5);
  assert.deepEqual(text(asks), ["51000 1 1", "51010 6 7"]);
});

test("the last shown level is complete even when it merges many", () => {
  const rows = visibleLevels(levels(["9", "1"], ["8", "1"], ["7", "1"]), "bid", parseDecimal("10"), 1);
  assert.deepEqual(text(rows), ["0 3 3"]);
});

test("grouping steps stop below one percent of the price", () => {
  const steps = (tick, price) => groupingSteps(parseDecimal(tick), parseDecimal(price)).map((units) => formatDecimal(units, 0));
  assert.deepEqual(steps("0.01", "50000"), ["0.01", "0.1", "1", "10"]);
  assert.deepEqual(steps("0.01", "30"), ["0.01", "0.1"]);
  assert.deepEqual(steps("0.01", "0"), ["0.01"]);
});

test("spread in units and percent", () => {
  const spread = spreadOf(levels(["50950", "1"]), levels(["51000", "1"]));
  assert.equal(formatDecimal(spread.spread, 2), "50.00");
  assert.equal(formatDecimal(spread.percent, 2).slice(0, 4), "0.09");
  assert.equal(spreadOf([], levels(["51000", "1"])), null);
  assert.equal(isCrossed(levels(["50950", "1"]), levels(["51000", "1"])), false);
  assert.equal(isCrossed(levels(["51000", "1"]), levels(["51000", "1"])), true);
  assert.equal(isCrossed([], levels(["51000", "1"])), false);
});
