/**
 * A market as the page needs it, read from one entry of exchangeInfo.symbols. All steps and bounds are BigInt units;
 * a bound of 0 is no bound, as the filters define it.
 */

import { parseDecimal, placesOf } from "./decimal.js";

export function readMarket(entry) {
  const filters = new Map(entry.filters.map((filter) => [filter.filterType, filter]));
  const price = boundsOf(filters.get("PRICE_FILTER"), "minPrice", "maxPrice", "tickSize");
  const lot = boundsOf(filters.get("LOT_SIZE"), "minQty", "maxQty", "stepSize");
  const marketLot = boundsOf(filters.get("MARKET_LOT_SIZE"), "minQty", "maxQty", "stepSize");
  const notional = filters.get("NOTIONAL") ?? filters.get("MIN_NOTIONAL") ?? {};
  return Object.freeze({
    symbol: entry.symbol,
    base: entry.baseAsset,
    quote: entry.quoteAsset,
    status: entry.status,
    state: entry.marketState ?? entry.status,
    simulated: entry.simulated === true,
    tick: price.step,
    priceMin: price.min,
    priceMax: price.max,
    pricePlaces: placesOf(price.step),
    lot: lot.step,
    quantityMin: lot.min,
    quantityMax: lot.max,
    marketQuantityMin: marketLot.min,
    marketQuantityMax: marketLot.max,
    quantityPlaces: placesOf(lot.step),
    totalPlaces: entry.quoteAssetPrecision ?? 8,
    notionalMin: bound(notional.minNotional),
    notionalMax: bound(notional.maxNotional),
    acceptsMarketByTotal: entry.quoteOrderQtyMarketAllowed === true,
    orderTypes: entry.orderTypes,
    stopBuyBuffer: bound(entry.stopBuyBuffer),
    takesOco: entry.ocoAllowed === true,
    takesOto: entry.otoAllowed === true,
    takesTrailing: entry.allowTrailingStop === true,
    takesIcebergs: entry.icebergAllowed === true,
    icebergParts: BigInt(filters.get("ICEBERG_PARTS")?.limit ?? 0),
    trailing: trailingOf(filters.get("TRAILING_DELTA")),
  });
}

/** Bounds of a trailing distance in percent; a filter counts in hundredths of a percent. */
function trailingOf(filter) {
  const percent = (basisPoints) => BigInt(basisPoints) * 10n ** 6n;
  return { min: percent(filter?.minTrailingBelowDelta ?? 1), max: percent(filter?.maxTrailingBelowDelta ?? 9999) };
}

function boundsOf(filter, min, max, step) {
  return { min: bound(filter?.[min]), max: bound(filter?.[max]), step: bound(filter?.[step]) };
}

function bound(text) {
  return text === undefined ? 0n : parseDecimal(text);
}
