/**
 * Exact decimals for money on the page.
 *
 * An amount is a BigInt counted in units of 10^-SCALE. Text from the server or from a field becomes units by
 * `parseDecimal`, and units become text by `formatDecimal`; nothing between the two is ever a Number. `toDrawing` is
 * the one way out to floating point and serves pixels only: what it returns is never sent back.
 *
 * The accepted text is the platform's money pattern, ASCII only: no sign, no exponent, no grouping, no bare point.
 */

export const SCALE = 8;

const ONE = 10n ** BigInt(SCALE);
const PATTERN = /^(0|[1-9][0-9]{0,17})(?:\.([0-9]{1,18}))?$/;

/** Why a text is not an amount. `code` is stable: EMPTY, SEPARATOR, FORMAT or PRECISION. */
export class DecimalError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "DecimalError";
    this.code = code;
  }
}

/**
 * Units of a decimal text, or DecimalError.
 *
 * `places` is the number of decimals the field allows (at most SCALE). Zeros beyond it are accepted, since they change
 * nothing; any other digit there is an error and is never rounded away.
 */
export function parseDecimal(text, places = SCALE) {
  if (typeof text !== "string" || text.length === 0) {
    throw new DecimalError("EMPTY", "Enter an amount.");
  }
  const match = PATTERN.exec(text);
  if (match === null) {
    if (/^[0-9]+(?:[,' ][0-9]+)+(?:\.[0-9]+)?$/.test(text)) {
      throw new DecimalError("SEPARATOR", "Use a point for decimals and no thousands separators.");
    }
    throw new DecimalError("FORMAT", "Use digits and one point only, for example 0.25.");
  }
  const fraction = match[2] ?? "";
  if (/[1-9]/.test(fraction.slice(places))) {
    const allowed = places === 0 ? "No decimals are allowed." : `At most ${places} decimals are allowed.`;
    throw new DecimalError("PRECISION", allowed);
  }
  return BigInt(match[1]) * ONE + BigInt(fraction.slice(0, SCALE).padEnd(SCALE, "0"));
}

/** Units of a signed server text such as a price change ("-12.50000000"). Fields never use this. */
export function parseSigned(text) {
  return text.startsWith("-") ? -parseDecimal(text.slice(1)) : parseDecimal(text);
}

/** Decimals that a step such as "0.01000000" leaves visible: 2. A step of zero means all of them. */
export function placesOf(stepUnits) {
  if (stepUnits <= 0n) return SCALE;
  let places = SCALE;
  let step = stepUnits;
  while (places > 0 && step % 10n === 0n) {
    step /= 10n;
    places -= 1;
  }
  return places;
}

/**
 * Text of an amount with at least `places` decimals. Digits beyond `places` are kept while they are not zero, so the
 * text always says exactly what the units say. `group` sets commas between thousands, for display only.
 */
export function formatDecimal(units, places = SCALE, { group = false } = {}) {
  const negative = units < 0n;
  const digits = (negative ? -units : units).toString().padStart(SCALE + 1, "0");
  let whole = digits.slice(0, -SCALE);
  if (group) whole = whole.replace(/\B(?=(?:[0-9]{3})+$)/g, ",");
  let end = SCALE;
  const fraction = digits.slice(-SCALE);
  while (end > places && fraction[end - 1] === "0") end -= 1;
  const text = end > 0 ? `${whole}.${fraction.slice(0, end)}` : whole;
  return negative ? `-${text}` : text;
}

/** Text of an amount rounded down to `places` decimals, for dense columns. Never put into a field or a request. */
export function formatRoundedDown(units, places, options = {}) {
  return formatDecimal(floorToStep(units, 10n ** BigInt(SCALE - places)), places, options);
}

/** The greatest multiple of `step` that is not above `units` (both positive). A step of zero changes nothing. */
export function floorToStep(units, step) {
  return step > 0n ? units - (units % step) : units;
}

/** True when `units` lies on the grid of `step`. */
export function onStep(units, step) {
  return step <= 0n || units % step === 0n;
}

/** Quote units of `quantity` at `price`, rounded down. Exact wherever tick times lot is a whole unit. */
export function multiply(price, quantity) {
  return (price * quantity) / ONE;
}

/** As `multiply`, rounded up: what a buyer must have, what a fee takes. */
export function multiplyUp(price, quantity) {
  return (price * quantity + ONE - 1n) / ONE;
}

/** Base units that `quote` units buy at `price`, rounded down; 0 when there is no price. */
export function divide(quote, price) {
  return price > 0n ? (quote * ONE) / price : 0n;
}

/** `percent` (0-100, a whole number) of an amount, rounded down. */
export function percentOf(units, percent) {
  return (units * BigInt(percent)) / 100n;
}

/** Floating point for drawing. Never send it anywhere. */
export function toDrawing(units) {
  return Number(units) / Number(ONE);
}

/** The share of `part` in `whole` from 0 to 1, for drawing bars. */
export function shareForDrawing(part, whole) {
  return whole > 0n ? Number((part * 10000n) / whole) / 10000 : 0;
}
