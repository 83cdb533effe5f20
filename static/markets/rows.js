/**
 * Table rows that stay the same elements while they say the same.
 *
 * Replacing a row between press and release of the pointer would swallow the click on its button, and would drop the
 * keyboard's focus; own orders change often enough for both.
 */

import { element } from "./dom.js";

/**
 * Brings a table's body to `rows`, each {key, cells}: texts or nodes in the order of the columns. A row is made anew
 * only when its text changed. Cells carry their column's name for the phone layout, where rows become cards.
 */
export function fillTable(table, rows) {
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const body = table.tBodies[0];
  const present = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  rows.forEach(({ key, cells }, index) => {
    const fresh = makeRow(String(key), cells, names);
    const known = present.get(fresh.dataset.key);
    const row = known !== undefined && known.textContent === fresh.textContent ? known : fresh;
    present.delete(fresh.dataset.key);
    if (known !== undefined && row !== known) known.replaceWith(row);
    if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] ?? null);
  });
  for (const gone of present.values()) gone.remove();
}

function makeRow(key, cells, names) {
  return element("tr", { data: { key } }, ...cells.map((cell, index) => element("td", { data: { label: names[index] } }, cell)));
}
