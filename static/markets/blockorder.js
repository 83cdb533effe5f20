/**
 * Block orders (T12): one order for the accounts of an allocation rule, which divides what fills. Pure.
 *
 * A rule = {id, asks, accounts: [{id, name}], previewUrl}, its accounts in the order that settles ties; `asks`: each order
 * says how much each account asks for.
 */

import { DecimalError, floorToStep, formatDecimal, onStep, parseDecimal } from "./decimal.js";

const NOT_WITH_IT = {
  visible: "A block order shows all of it.", profit: "Nothing can follow a block order.", loss: "Nothing can follow a block order.",
};

/**
 * `read` = {errors, draft} of readDraft for `form`, `texts` what was typed for each account of a rule that asks.
 * Result: {errors, draft, block}, draft and block null together; block = {ruleId, asked: null | units by account}.
 */
export function readBlock(read, form, rule, texts, market) {
  const errors = { ...read.errors };
  const wrongKind = kindError(form);
  if (wrongKind !== null) errors.allocation = wrongKind;
  for (const [field, text] of Object.entries(NOT_WITH_IT)) if ((read.draft?.[field] ?? null) !== null) errors[field] = text;
  const asked = rule.asks ? readAsked(rule, texts, market, errors) : null;
  if (Object.keys(errors).length > 0) return { errors, draft: null, block: null };
  return { errors, draft: read.draft, block: { ruleId: rule.id, asked } };
}

/** The request that places the order of `request` (orderRequest) for the accounts of the rule. */
export function blockRequest({ params }, { ruleId, asked }) {
  const requested = asked === null ? {} : { allocationQuantities: JSON.stringify(asked.map((units) => formatDecimal(units, 0))) };
  return { method: "blockOrder.place", params: { ...params, allocationId: ruleId, ...requested } };
}

/** Query of the preview of an order: what each account gets of all of it, and of an example, half of it that fills. */
export function previewQuery(quantity, asked, market) {
  const half = floorToStep(quantity / 2n, market.lot);
  const filled = half > 0n ? half : quantity;
  const query = new URLSearchParams({ symbol: market.symbol, quantity: formatDecimal(quantity, 0), filled: formatDecimal(filled, 0) });
  for (const units of asked ?? []) query.append("asked", formatDecimal(units, 0));
  return { query: query.toString(), filled };
}

/** What each account has to pay at most must be known when the order is accepted. */
function kindError({ kind, side, by }) {
  if (kind !== "LIMIT" && kind !== "MARKET") return "A block order is a limit order or a market sale.";
  if (kind === "MARKET" && side === "BUY") return "A purchase as a block order names its price: choose 'Limit'.";
  return kind === "MARKET" && by === "total" ? "A block order names its amount, not its total." : null;
}

function readAsked(rule, texts, market, errors) {
  const asked = rule.accounts.map(({ name }, index) => {
    const text = texts[index].trim();
    if (text === "") return 0n;
    try {
      const units = parseDecimal(text, market.quantityPlaces);
      if (!onStep(units, market.lot)) errors.allocation ??= `${name}: amounts move in steps of ${formatDecimal(market.lot, 0)}.`;
      return units;
    } catch (error) {
      if (!(error instanceof DecimalError)) throw error;
      errors.allocation ??= `${name}: ${error.message}`;
      return 0n;
    }
  });
  if (asked.every((units) => units === 0n)) errors.allocation ??= "Enter how much each account asks for.";
  return asked;
}
