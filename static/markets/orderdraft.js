/**
 * An order form read strictly: texts in, either a draft ready to send or an error for each field.
 *
 * The draft's texts are what the user typed, checked; its units serve the preview. The checks repeat the published
 * filters so that the user learns of a mistake before sending; the server checks again and has the last word.
 */

import { DecimalError, floorToStep, divide, formatDecimal, multiplyUp, onStep, parseDecimal, percentOf } from "./decimal.js";

/**
 * `form` = {side: BUY|SELL, type: LIMIT|MARKET, by: quantity|total, price, quantity, total} (texts).
 * Result: {errors: {price?, quantity?, total?}, draft: null | {side, type, price, quantity, total}} with units or null.
 */
export function readDraft(form, market) {
  const errors = {};
  const read = (field, places) => {
    try {
      return parseDecimal(form[field].trim(), places);
    } catch (error) {
      if (!(error instanceof DecimalError)) throw error;
      errors[field] = error.code === "EMPTY" ? emptyText(field) : error.message;
      return null;
    }
  };
  const limit = form.type === "LIMIT";
  const price = limit ? read("price", market.pricePlaces) : null;
  const byTotal = !limit && form.by === "total";
  const quantity = byTotal ? null : read("quantity", market.quantityPlaces);
  const total = byTotal ? read("total", market.totalPlaces) : null;
  if (price !== null) put(errors, "price", priceError(price, market));
  if (quantity !== null) put(errors, "quantity", quantityError(quantity, market, limit));
  if (total !== null) put(errors, "total", notionalError(total, market));
  if (price !== null && quantity !== null && !errors.price && !errors.quantity) {
    put(errors, "total", notionalError(multiplyUp(price, quantity), market));
  }
  const ready = Object.keys(errors).length === 0;
  return { errors, draft: ready ? Object.freeze({ side: form.side, type: form.type, price, quantity, total }) : null };
}

/** What an order takes from the available balance: {asset, units}. `marketCost` is the walk's cost of a market buy. */
export function neededFunds(draft, market, marketCost) {
  if (draft.side === "SELL") {
    return draft.quantity === null ? null : { asset: market.base, units: draft.quantity };
  }
  if (draft.type === "LIMIT") return { asset: market.quote, units: multiplyUp(draft.price, draft.quantity) };
  return { asset: market.quote, units: draft.total ?? marketCost };
}

/** The greatest quantity on the lot grid that `percent` of an available balance covers. */
export function quantityForPercent(side, percent, available, price, market) {
  const share = percentOf(available, percent);
  return floorToStep(side === "SELL" ? share : divide(share, price), market.lot);
}

/** Quantity text for a total at a price, on the lot grid, rounded down; empty text when there is none. */
export function quantityTextForTotal(totalUnits, price, market) {
  const quantity = floorToStep(divide(totalUnits, price), market.lot);
  return quantity > 0n ? formatDecimal(quantity, 0) : "";
}

/** Parameters of order.place. Amounts go out as plain decimal texts made from the exact units. */
export function orderParameters(draft, market, clientOrderId) {
  const params = { symbol: market.symbol, side: draft.side, type: draft.type };
  if (draft.type === "LIMIT") {
    params.timeInForce = "GTC";
    params.price = formatDecimal(draft.price, 0);
  }
  if (draft.quantity !== null) params.quantity = formatDecimal(draft.quantity, 0);
  else params.quoteOrderQty = formatDecimal(draft.total, 0);
  params.newClientOrderId = clientOrderId;
  params.newOrderRespType = "FULL";
  return params;
}

function priceError(price, market) {
  if (price === 0n) return "Price must be above zero.";
  if (market.priceMin > 0n && price < market.priceMin) return `Lowest price is ${formatDecimal(market.priceMin, 0)}.`;
  if (market.priceMax > 0n && price > market.priceMax) return `Highest price is ${formatDecimal(market.priceMax, 0)}.`;
  if (!onStep(price, market.tick)) return `Price moves in steps of ${formatDecimal(market.tick, 0)}.`;
  return null;
}

function quantityError(quantity, market, limit) {
  if (quantity === 0n) return "Amount must be above zero.";
  const min = limit ? market.quantityMin : greater(market.quantityMin, market.marketQuantityMin);
  const max = limit || market.marketQuantityMax === 0n ? market.quantityMax : market.marketQuantityMax;
  if (quantity < min) return `Smallest amount is ${formatDecimal(min, 0)} ${market.base}.`;
  if (max > 0n && quantity > max) return `Largest amount is ${formatDecimal(max, 0)} ${market.base}.`;
  if (!onStep(quantity, market.lot)) return `Amount moves in steps of ${formatDecimal(market.lot, 0)}.`;
  return null;
}

function notionalError(total, market) {
  if (total === 0n) return "Total must be above zero.";
  if (total < market.notionalMin) return `Smallest order is ${formatDecimal(market.notionalMin, 0)} ${market.quote}.`;
  if (market.notionalMax > 0n && total > market.notionalMax) {
    return `Largest order is ${formatDecimal(market.notionalMax, 0)} ${market.quote}.`;
  }
  return null;
}

function emptyText(field) {
  return { price: "Enter a price.", quantity: "Enter an amount.", total: "Enter a total." }[field];
}

function put(errors, field, text) {
  if (text !== null) errors[field] = text;
}

function greater(left, right) {
  return left > right ? left : right;
}
