/** Small tools for building and changing the page without markup strings. */

/** A new element. `properties` are set as properties, `data` and `attributes` as such; children are nodes or texts. */
export function element(tag, { data = {}, attributes = {}, ...properties } = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  Object.assign(node.dataset, data);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** The element with this id; a missing one is a mistake in the template and stops the page. */
export function byId(id) {
  const node = document.getElementById(id);
  if (node === null) throw new Error(`the page has no element #${id}`);
  return node;
}

/** Changes text only when it differs, so that nothing is laid out or announced again for no reason. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Runs `draw` once in the next frame however often it is called. */
export function oncePerFrame(draw) {
  let scheduled = false;
  return () => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      draw();
    });
  };
}
