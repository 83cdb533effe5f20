/**
 * Server refusals in the trader's words, and the field each belongs to.
 *
 * Codes and texts are those of the trading API. A refusal that is not listed is shown as the server wrote it.
 */

const FILTERS = {
  PRICE_FILTER: ["price", "This price is off the market's price steps or bounds."],
  PERCENT_PRICE_BY_SIDE: ["price", "This price is too far from the last trade."],
  LOT_SIZE: ["quantity", "This amount is off the market's amount steps or bounds."],
  MARKET_LOT_SIZE: ["quantity", "This amount is outside the bounds for market orders."],
  NOTIONAL: ["total", "The order's total is outside the market's bounds."],
  MIN_NOTIONAL: ["total", "The order's total is too small for this market."],
  MAX_NUM_ORDERS: ["form", "You have the most open orders that this market allows. Cancel one first."],
  MAX_POSITION: ["quantity", "This order would exceed the largest position allowed."],
};

const TEXTS = {
  "Account has insufficient balance for requested action.": ["amount", "Not enough available balance for this order."],
  "Market is closed.": ["form", "This market does not take new orders right now."],
  "Duplicate order sent.": ["form", "This order was sent already. Check your open orders."],
  "Order would immediately match and take.": ["price", "Only orders that rest in the book are taken right now. This one would trade."],
  "Unknown order sent.": ["form", "This order is no longer open."],
};

const CODES = {
  [-1001]: ["form", "The exchange did not take this request. Nothing happened; try again in a moment."],
  [-1003]: ["form", "Too many requests. Wait a moment before trying again."],
  [-1015]: ["form", "Too many orders in a short time. Wait a moment before trying again."],
  [-1021]: ["form", "The request took too long to arrive. Nothing happened; try again."],
};

/** Code of an answer that leaves the outcome unknown: the order may or may not exist. */
export const UNKNOWN_OUTCOME = -1007;

/** {field: price|quantity|total|amount|form, text} of an error {code, msg}. `amount` = the amount field in use. */
export function refusalOf(error) {
  const filter = /^Filter failure: ([A-Z_]+)/.exec(error.msg ?? "");
  const [field, text] = (filter && FILTERS[filter[1]]) ?? TEXTS[error.msg] ?? CODES[error.code] ?? [parameterField(error.msg), error.msg];
  return { field, text: text || `The exchange refused this request (code ${error.code}).` };
}

function parameterField(message) {
  const name = /[Pp]arameter '([A-Za-z]+)'/.exec(message ?? "")?.[1];
  return { price: "price", quantity: "quantity", quoteOrderQty: "total" }[name] ?? "form";
}
