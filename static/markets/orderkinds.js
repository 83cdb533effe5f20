/**
 * The kinds of order that the form offers, and which fields each of them asks for. Pure.
 *
 * A choice = {side: BUY|SELL, kind: LIMIT|MARKET|STOP|OCO, trigger: STOP_LOSS|TAKE_PROFIT|TRAILING, as: LIMIT|MARKET,
 * postOnly}. `trigger` and `as` count for STOP only, `postOnly` for LIMIT only.
 */

export const FIELDS = ["stop", "trail", "price", "stopLimit", "quantity", "total", "visible", "profit", "loss"];

const OF_STOP = { STOP_LOSS: ["stop"], TAKE_PROFIT: ["stop"], TRAILING: ["trail", "stop"] };
const IN_FORCE = {
  GTC: { timeInForce: "GTC", lifeMs: null },
  HOUR: { timeInForce: "GTD", lifeMs: 3_600_000 },
  DAY: { timeInForce: "GTD", lifeMs: 86_400_000 },
  WEEK: { timeInForce: "GTD", lifeMs: 7 * 86_400_000 },
  IOC: { timeInForce: "IOC", lifeMs: null },
  FOK: { timeInForce: "FOK", lifeMs: null },
};

/** Whether the order names a price that it does not go beyond. */
export function hasLimit(choice) {
  return choice.kind === "LIMIT" || choice.kind === "OCO" || (choice.kind === "STOP" && choice.as === "LIMIT");
}

/** Fields that the form shows for a choice. */
export function fieldsOf(choice) {
  if (choice.kind === "MARKET") return ["price", "quantity", "total"];
  const limit = hasLimit(choice) ? ["price"] : [];
  const total = hasLimit(choice) ? ["total"] : [];
  if (choice.kind === "STOP") return [...OF_STOP[choice.trigger], ...limit, "quantity", ...total];
  if (choice.kind === "OCO") return ["price", "stop", "stopLimit", "quantity", "total"];
  return ["price", "quantity", "total", "visible", "profit", "loss"];
}

/** Fields that may stay empty: an activation price, the limit of an OCO's stop, an iceberg's visible part, what follows. */
export function optionalFields(choice) {
  if (choice.kind === "OCO") return ["stopLimit"];
  if (choice.kind === "LIMIT") return ["visible", "profit", "loss"];
  return choice.kind === "STOP" && choice.trigger === "TRAILING" ? ["stop"] : [];
}

/**
 * The exchange's word for a choice. A trailing order with an activation price waits for it on the winning side, as a
 * take-profit does; without one it follows the price at once.
 */
export function typeOf(choice, hasActivation) {
  if (choice.kind === "LIMIT") return choice.postOnly ? "LIMIT_MAKER" : "LIMIT";
  if (choice.kind !== "STOP") return choice.kind;
  const winning = choice.trigger === "TAKE_PROFIT" || (choice.trigger === "TRAILING" && hasActivation);
  return `${winning ? "TAKE_PROFIT" : "STOP_LOSS"}${choice.as === "LIMIT" ? "_LIMIT" : ""}`;
}

/** {timeInForce, lifeMs} of an entry of the form's list; post-only orders are there to rest. */
export function inForce(choice) {
  const found = IN_FORCE[choice.timeInForce] ?? IN_FORCE.GTC;
  return choice.postOnly && ["IOC", "FOK"].includes(found.timeInForce) ? IN_FORCE.GTC : found;
}

/** Whether a condition waits for the price to rise; otherwise it waits for a fall. */
export function firesOnRise(side, type) {
  return type.startsWith("STOP_LOSS") === (side === "BUY");
}

/** Kinds that the market takes, in the order of the form. */
export function kindsOf(market) {
  const takes = (type) => market.orderTypes.includes(type);
  return ["LIMIT", "MARKET", "STOP", "OCO"].filter(
    (kind) => ({ STOP: takes("STOP_LOSS_LIMIT") || takes("STOP_LOSS"), OCO: market.takesOco })[kind] ?? takes(kind),
  );
}
