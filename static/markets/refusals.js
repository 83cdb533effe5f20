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
  ICEBERG_PARTS: ["visible", "Too little would be visible: show more of the amount."],
  TRAILING_DELTA: ["trail", "This distance is outside the market's bounds."],
  MAX_NUM_ALGO_ORDERS: ["form", "You have the most waiting stop orders that this market allows. Cancel one first."],
  MAX_NUM_ICEBERG_ORDERS: ["form", "You have the most icebergs that this market allows. Cancel one first."],
  MAX_NUM_ORDER_LISTS: ["form", "You have the most OCO orders that this market allows. Cancel one first."],
  MAX_NUM_ORDERS: ["form", "You have the most open orders that this market allows. Cancel one first."],
  MAX_POSITION: ["quantity", "This order would exceed the largest position allowed."],
};

const TEXTS = {
  "Account has insufficient balance for requested action.": ["amount", "Not enough available balance for this order."],
  "Market is closed.": ["form", "This market does not take new orders right now."],
  "Duplicate order sent.": ["form", "This order was sent already. Check your open orders."],
  "Order would immediately match and take.": ["price", "This order would trade at once, and only one that rests in the book is taken."],
  "Order would trigger immediately.": ["stop", "The price is past this trigger already, so the order would start at once."],
  "The relationship of the prices for the orders is not correct.": ["stop", "The limit price and the stop must be on either side of the last price."],
  "This action is disabled on this account.": ["form", "This account is frozen: it cancels orders and takes no new ones."],
  "Unknown order sent.": ["form", "This order is no longer open."],
};

/** What a refusal means for an order of several accounts. */
const BLOCK_TEXTS = {
  "Account has insufficient balance for requested action.": ["allocation", "One of the accounts has not enough available balance for its share."],
  "The account has no such allocation rule.": ["allocation", "This rule is not there any more. Reload the page."],
  "The requested quantities do not fit the allocation rule.": ["allocation", "The rule has changed. Reload the page."],
};

const CODES = {
  [-1001]: ["form", "The exchange did not take this request. Nothing happened; try again in a moment."],
  [-1003]: ["form", "Too many requests. Wait a moment before trying again."],
  [-1015]: ["form", "Too many orders in a short time. Wait a moment before trying again."],
  [-1021]: ["form", "The request took too long to arrive. Nothing happened; try again."],
};

/** Code of an answer that leaves the outcome unknown: the order may or may not exist. */
export const UNKNOWN_OUTCOME = -1007;

/**
 * {field: price|quantity|total|amount|allocation|form, text} of an error {code, msg}. `amount` = the amount field in use;
 * `block`: the order was a block order.
 */
export function refusalOf(error, { block = false } = {}) {
  const filter = /^Filter failure: ([A-Z_]+)/.exec(error.msg ?? "");
  const [field, text] = (filter && FILTERS[filter[1]]) ?? (block ? BLOCK_TEXTS[error.msg] : undefined) ?? TEXTS[error.msg] ?? CODES[error.code] ?? [parameterField(error.msg), error.msg];
  return { field, text: text || `The exchange refused this request (code ${error.code}).` };
}

function parameterField(message) {
  const name = /[Pp]arameter '([A-Za-z]+)'/.exec(message ?? "")?.[1];
  const fields = { price: "price", quantity: "quantity", quoteOrderQty: "total", stopPrice: "stop", trailingDelta: "trail", icebergQty: "visible" };
  return fields[name] ?? "form";
}
