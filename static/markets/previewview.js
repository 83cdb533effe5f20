/** The order form's preview lines and the estimates that stand as placeholders in its fields. */

import { formatDecimal, formatRoundedDown } from "./decimal.js";
import { byId, setText } from "./dom.js";
import { averagePrice } from "./estimate.js";

const NO_ESTIMATE = "–";

/** Draws a preview (or none, null) of an order of this side; orders with a limit have exact costs, others estimates. */
export function showPreview(preview, { market, side }) {
  const inBase = (units) => `${formatDecimal(units, market.quantityPlaces, { group: true })} ${market.base}`;
  const inQuote = (units) => `${formatRoundedDown(units, market.pricePlaces, { group: true })} ${market.quote}`;
  const buying = side === "BUY";
  setText(byId("preview-pay-label"), buying ? "Cost" : "Proceeds");
  setText(byId("preview-note"), preview?.note ?? "");
  if (preview === null) {
    for (const line of ["pay", "fee", "receive"]) setText(byId(`preview-${line}`), NO_ESTIMATE);
    return;
  }
  setText(byId("preview-pay"), `${preview.exact ? "" : "≈ "}${inQuote(preview.total)}`);
  setText(byId("preview-fee"), `≈ ${formatDecimal(preview.fee, 2)} ${buying ? market.base : market.quote}`);
  setText(byId("preview-receive"), `≈ ${buying ? inBase(preview.received) : inQuote(preview.received)}`);
}

/** Estimates in the fields that a market order leaves open; others leave none. `by` = the amount typed last. */
export function showEstimates(preview, inputs, { market, kind, by }) {
  const average = kind !== "MARKET" || preview === null ? null : averagePrice(preview.walk);
  const text = (units, places) => `≈ ${formatRoundedDown(units, places)}`;
  inputs.price.placeholder = kind !== "MARKET" ? "" : average === null ? "Best market price" : text(average, market.pricePlaces);
  inputs.quantity.placeholder = average !== null && by === "total" ? text(preview.walk.filled, market.quantityPlaces) : "";
  inputs.total.placeholder = average !== null && by === "quantity" ? text(preview.walk.cost, market.pricePlaces) : "";
}
