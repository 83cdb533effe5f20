/**
 * An order form read strictly: texts in, either a draft ready to send or an error for each field.
 *
 * The draft's texts are what the user typed, checked; its units serve the preview. The checks repeat the published
 * filters so that the user learns of a mistake before sending; the server checks again and has the last word.
 */

import { DecimalError, floorToStep, divide, formatDecimal, multiplyUp, onStep, parseDecimal, percentOf } from "./decimal.js";
import { feeOn } from "./estimate.js";
import { fieldsOf, hasLimit, inForce, optionalFields, typeOf } from "./orderkinds.js";

const PRICES = ["price", "stop", "stopLimit", "profit", "loss"];
/** Orders that follow a limit order once it is filled. */
const FOLLOWERS = ["profit", "loss"];
/** A hundredth of a percent, in units of a percent. */
const BASIS_POINT = 10n ** 6n;
const ONE = 10n ** 8n;

/**
 * `form` = a choice of orderkinds.js, its timeInForce, `by`: quantity|total, and a text for each field.
 * Result: {errors: {field: text}, draft: null | the order}, in which every amount is units or null, `trail` is in basis
 * points, and `lifeMs` says for how long a GTD order lives.
 */
export function readDraft(form, market) {
  const errors = {};
  const shown = fieldsOf(form);
  const optional = optionalFields(form);
  const places = { quantity: market.quantityPlaces, visible: market.quantityPlaces, total: market.totalPlaces, trail: 2 };
  const read = (field) => {
    const text = form[field]?.trim() ?? "";
    if (!shown.includes(field) || (text === "" && optional.includes(field))) return null;
    try {
      return parseDecimal(text, places[field] ?? market.pricePlaces);
    } catch (error) {
      if (!(error instanceof DecimalError)) throw error;
      errors[field] = error.code === "EMPTY" ? EMPTY[field] : error.message;
      return null;
    }
  };
  const byTotal = form.kind === "MARKET" && form.by === "total";
  const draft = {
    kind: form.kind, side: form.side, ...inForce(form), trail: null, total: null, price: null,
    quantity: byTotal ? null : read("quantity"),
  };
  if (byTotal) draft.total = read("total");
  if (form.kind !== "MARKET") draft.price = read("price");
  for (const field of ["stop", "stopLimit", "visible", "profit", "loss"]) draft[field] = read(field);
  const trail = read("trail");
  draft.type = typeOf(form, draft.stop !== null);

  for (const field of PRICES) if (draft[field] !== null) put(errors, field, priceError(draft[field], market));
  if (draft.quantity !== null) put(errors, "quantity", quantityError(draft.quantity, market, hasLimit(form)));
  if (draft.total !== null) put(errors, "total", notionalError(draft.total, market));
  if (trail !== null) {
    put(errors, "trail", trailError(trail, market));
    draft.trail = trail / BASIS_POINT;
  }
  if (draft.visible !== null && draft.quantity !== null) put(errors, "visible", visibleError(draft, market));
  if (draft.price !== null && draft.quantity !== null && !errors.price && !errors.quantity) {
    put(errors, "total", notionalError(multiplyUp(draft.price, draft.quantity), market));
  }
  if (form.kind === "OCO") put(errors, "stop", sidesError(draft));
  for (const field of FOLLOWERS) if (draft[field] !== null) put(errors, field, followerError(draft, field));
  return { errors, draft: Object.keys(errors).length === 0 ? Object.freeze(draft) : null };
}

/**
 * What an order takes from the available balance: {asset, units}, units null where nobody knows yet. `marketCost` is
 * the walk's cost of a market buy. An OCO holds its larger leg.
 */
export function neededFunds(draft, market, marketCost) {
  if (draft.side === "SELL") {
    return draft.quantity === null ? null : { asset: market.base, units: draft.quantity };
  }
  if (draft.kind === "MARKET") return { asset: market.quote, units: draft.total ?? marketCost };
  const legs = draft.kind === "OCO" ? [draft.price, draft.stopLimit ?? buffered(draft.stop, market)] : [draft.price ?? buffered(draft.stop, market)];
  const price = legs.reduce((most, leg) => (leg !== null && (most === null || leg > most) ? leg : most), null);
  return { asset: market.quote, units: price === null ? marketCost : multiplyUp(price, draft.quantity) };
}

/** The price for which a market buy that waits for its trigger holds money; null stays null. */
export function buffered(stop, market) {
  return stop === null ? null : multiplyUp(stop, ONE + market.stopBuyBuffer);
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

/** Whether other orders follow this one. */
export function bringsOthers(draft) {
  return FOLLOWERS.some((field) => draft[field] !== null);
}

/** What may be sold once a purchase is filled: a fee comes out of what it brings. A sale is bought back whole. */
export function followingQuantity(draft, market, fees) {
  if (draft.side === "SELL") return draft.quantity;
  return floorToStep(draft.quantity - feeOn(draft.quantity, greater(fees.maker, fees.taker)), market.lot);
}

/**
 * The request {method, params} that places a draft. Amounts go out as plain decimal texts made from the exact units.
 * `goodTillDate` counts from `nowMs`; `fees` = {maker, taker} in units.
 */
export function orderRequest(draft, market, clientOrderId, nowMs, fees) {
  if (bringsOthers(draft)) return followedRequest(draft, market, clientOrderId, fees);
  if (draft.kind === "OCO") return { method: "orderList.place.oco", params: ocoParameters(draft, market, clientOrderId) };
  const params = { symbol: market.symbol, side: draft.side, type: draft.type };
  const limit = ["LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"].includes(draft.type);
  if (limit) params.timeInForce = draft.kind === "LIMIT" ? draft.timeInForce : "GTC";
  if (draft.kind === "LIMIT" && draft.lifeMs !== null) params.goodTillDate = nowMs + draft.lifeMs;
  put(params, "stopPrice", plain(draft.stop));
  if (draft.trail !== null) params.trailingDelta = Number(draft.trail);
  put(params, "price", plain(draft.price));
  put(params, "quantity", plain(draft.quantity));
  put(params, "quoteOrderQty", plain(draft.total));
  put(params, "icebergQty", plain(draft.visible));
  params.newClientOrderId = clientOrderId;
  params.newOrderRespType = "FULL";
  return { method: "order.place", params };
}

/** The working order, and the pending one or two on the other side of the market (OTO, OTOCO). */
function followedRequest(draft, market, clientOrderId, fees) {
  const params = {
    symbol: market.symbol, listClientOrderId: clientOrderId, workingType: draft.type, workingSide: draft.side,
    workingPrice: plain(draft.price), workingQuantity: plain(draft.quantity), workingClientOrderId: `${clientOrderId}-w`,
  };
  if (draft.type === "LIMIT") params.workingTimeInForce = draft.timeInForce;
  put(params, "workingIcebergQty", plain(draft.visible));
  params.pendingSide = draft.side === "BUY" ? "SELL" : "BUY";
  params.pendingQuantity = plain(followingQuantity(draft, market, fees));
  params.newOrderRespType = "RESULT";
  const { profit, loss } = draft;
  if (profit !== null && loss !== null) {
    const [limit, stop] = draft.side === "BUY" ? ["pendingAbove", "pendingBelow"] : ["pendingBelow", "pendingAbove"];
    Object.assign(params, {
      [`${limit}Type`]: "LIMIT_MAKER", [`${limit}Price`]: plain(profit), [`${limit}ClientOrderId`]: `${clientOrderId}-l`,
      [`${stop}Type`]: "STOP_LOSS", [`${stop}StopPrice`]: plain(loss), [`${stop}ClientOrderId`]: `${clientOrderId}-s`,
    });
    return { method: "orderList.place.otoco", params };
  }
  params.pendingClientOrderId = `${clientOrderId}-p`;
  if (profit !== null) Object.assign(params, { pendingType: "LIMIT", pendingPrice: plain(profit), pendingTimeInForce: "GTC" });
  else Object.assign(params, { pendingType: "STOP_LOSS", pendingStopPrice: plain(loss) });
  return { method: "orderList.place.oto", params };
}

/** The limit leg takes the profit, so it is above the market for a sell and below it for a buy; the stop is opposite. */
function ocoParameters(draft, market, clientOrderId) {
  const [limit, stop] = draft.side === "SELL" ? ["above", "below"] : ["below", "above"];
  const params = {
    symbol: market.symbol, side: draft.side, quantity: plain(draft.quantity), listClientOrderId: clientOrderId,
    [`${limit}Type`]: "LIMIT_MAKER", [`${limit}Price`]: plain(draft.price), [`${limit}ClientOrderId`]: `${clientOrderId}-l`,
    [`${stop}Type`]: draft.stopLimit === null ? "STOP_LOSS" : "STOP_LOSS_LIMIT", [`${stop}StopPrice`]: plain(draft.stop),
    [`${stop}ClientOrderId`]: `${clientOrderId}-s`, newOrderRespType: "RESULT",
  };
  if (draft.stopLimit !== null) {
    params[`${stop}Price`] = plain(draft.stopLimit);
    params[`${stop}TimeInForce`] = "GTC";
  }
  return params;
}

function plain(units) {
  return units === null ? null : formatDecimal(units, 0);
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

function visibleError({ visible, quantity }, market) {
  const grid = quantityError(visible, market, true);
  if (grid !== null) return grid;
  if (visible > quantity) return "No more can be visible than the whole amount.";
  if (market.icebergParts > 0n && visible * market.icebergParts < quantity) {
    const least = (quantity + market.icebergParts - 1n) / market.icebergParts;
    return `At least ${formatDecimal(least + (market.lot - (least % market.lot)) % market.lot, 0)} must be visible.`;
  }
  return null;
}

function trailError(trail, market) {
  const { min, max } = market.trailing;
  if (trail < min) return `Smallest distance is ${formatDecimal(min, 0)} %.`;
  if (trail > max) return `Largest distance is ${formatDecimal(max, 0)} %.`;
  return null;
}

/** The limit and the stop of an OCO stand on either side of the market. */
function sidesError({ side, price, stop }) {
  if (price === null || stop === null) return null;
  if (side === "SELL" && stop >= price) return "For a sale the stop must be below the limit price.";
  if (side === "BUY" && stop <= price) return "For a purchase the stop must be above the limit price.";
  return null;
}

/** A profit lies on the winning side of the order's own price, a loss on the other. */
function followerError(draft, field) {
  const { side, price, timeInForce } = draft;
  if (timeInForce === "GTD") return "Nothing can follow an order with an end: choose 'Until canceled'.";
  const above = (side === "BUY") === (field === "profit");
  if (price === null || (above ? draft[field] > price : draft[field] < price)) return null;
  return `Must be ${above ? "above" : "below"} the price.`;
}

const EMPTY = {
  price: "Enter a price.", quantity: "Enter an amount.", total: "Enter a total.", stop: "Enter a trigger price.",
  trail: "Enter a distance in percent.",
};

function put(target, name, value) {
  if (value !== null) target[name] ??= value;
}

function greater(left, right) {
  return left > right ? left : right;
}
