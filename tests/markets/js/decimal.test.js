import test from "node:test";
import assert from "node:assert/strict";

import {
  DecimalError,
  divide,
  floorToStep,
  formatDecimal,
  formatRoundedDown,
  multiply,
  multiplyUp,
  onStep,
  parseDecimal,
  parseSigned,
  percentOf,
  placesOf,
  shareForDrawing,
  toDrawing,
} from "../../../static/markets/decimal.js";

const refused = (text, places, code) =>
  assert.throws(
    () => parseDecimal(text, places),
    (error) => error instanceof DecimalError && error.code === code,
    `${String(text)} must be refused as ${code}`,
  );

test("good numbers become exact units", () => {
  const cases = [
    ["0", 0n],
    ["1", 100000000n],
    ["0.1", 10000000n],
    ["0.00000001", 1n],
    ["50950.00000000", 5095000000000n],
    ["999999999999999999.99999999", 99999999999999999999999999n],
    ["1.100000000000000000", 110000000n],
  ];
  for (const [text, units] of cases) assert.equal(parseDecimal(text), units, text);
});

test("bad numbers are refused with a reason", () => {
  const bad = [
    " ", "+1", "-1", "-0", "1e3", "1E400", "NaN", "Infinity", "0x1", "1_0", "\u0661", "\uff11", "00.1", "01", ".5",
    "5.", ".", "1.2.3", "1 ", " 1", "1\n", "9".repeat(19), "9".repeat(40), "1." + "0".repeat(19), "true", "null", "[1]",
  ];
  for (const text of bad) refused(text, 8, "FORMAT");
  for (const text of ["1,5", "50,950", "1 000", "50,950.25"]) refused(text, 8, "SEPARATOR");
  for (const value of ["", undefined, null, 1, 1n, true, ["1"]]) refused(value, 8, "EMPTY");
});

test("digits beyond the allowed places are refused, zeros there are not", () => {
  refused("1.001", 2, "PRECISION");
  refused("1.5", 0, "PRECISION");
  refused("0.000000001", 8, "PRECISION");
  assert.equal(parseDecimal("1.500", 1), 150000000n);
});

test("a huge text is refused quickly", () => {
  const started = performance.now();
  refused("1".repeat(1_000_000), 8, "FORMAT");
  refused("1,".repeat(500_000) + "1", 8, "SEPARATOR");
  assert.ok(performance.now() - started < 1000);
});

test("signed server texts", () => {
  assert.equal(parseSigned("-12.50000000"), -1250000000n);
  assert.equal(parseSigned("12.5"), 1250000000n);
});

test("format keeps every digit that is not zero", () => {
  assert.equal(formatDecimal(5095000000000n, 2), "50950.00");
  assert.equal(formatDecimal(5095000000000n, 2, { group: true }), "50,950.00");
  assert.equal(formatDecimal(5095000000001n, 2), "50950.00000001");
  assert.equal(formatDecimal(0n, 0), "0");
  assert.equal(formatDecimal(1n, 0), "0.00000001");
  assert.equal(formatDecimal(-1250000000n, 2), "-12.50");
  assert.equal(formatDecimal(123456789012345678900000000n, 0, { group: true }), "1,234,567,890,123,456,789");
  assert.equal(formatRoundedDown(199999999n, 2), "1.99");
});

test("format and parse are inverse for random amounts", () => {
  let state = 12345n;
  for (let round = 0; round < 2000; round += 1) {
    state = (state * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n);
    const units = state >> BigInt(round % 60);
    for (const places of [0, 2, 8]) assert.equal(parseDecimal(formatDecimal(units, places)), units);
  }
});

test("steps", () => {
  assert.equal(placesOf(parseDecimal("0.01")), 2);
  assert.equal(placesOf(parseDecimal("0.00001000")), 5);
  assert.equal(placesOf(parseDecimal("1")), 0);
  assert.equal(placesOf(parseDecimal("0.05")), 2);
  assert.equal(placesOf(0n), 8);
  assert.equal(floorToStep(parseDecimal("1.237"), parseDecimal("0.01")), parseDecimal("1.23"));
  assert.equal(floorToStep(7n, 0n), 7n);
  assert.ok(onStep(parseDecimal("0.15"), parseDecimal("0.05")));
  assert.ok(!onStep(parseDecimal("0.16"), parseDecimal("0.05")));
});

test("the worked example T2: 0.5 at 50950 and 0.2 at 50940", () => {
  const proceeds = multiply(parseDecimal("50950"), parseDecimal("0.5")) + multiply(parseDecimal("50940"), parseDecimal("0.2"));
  assert.equal(formatDecimal(proceeds, 2), "35663.00");
});

test("rounding goes the stated way", () => {
  const price = parseDecimal("0.00000003");
  const quantity = parseDecimal("0.5");
  assert.equal(multiply(price, quantity), 1n);
  assert.equal(multiplyUp(price, quantity), 2n);
  assert.equal(divide(parseDecimal("100"), parseDecimal("3")), 3333333333n);
  assert.equal(divide(parseDecimal("100"), 0n), 0n);
  assert.equal(percentOf(101n, 25), 25n);
});

test("products stay exact far beyond 2^53", () => {
  assert.equal(multiply(parseDecimal("987654321.12345678"), parseDecimal("123456789.87654321")), 12193263199359853564700503n);
});

test("drawing values", () => {
  assert.equal(toDrawing(5095050000000n), 50950.5);
  assert.equal(shareForDrawing(1n, 4n), 0.25);
  assert.equal(shareForDrawing(1n, 0n), 0);
});
