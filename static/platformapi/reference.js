// The page of every address of the platform API: Swagger UI with the description, in this session.

const root = document.getElementById('reference');
const page = document.documentElement;

/** The token of the CSRF cookie, empty without one. */
function csrfToken(name) {
  const pair = document.cookie.split('; ').find((each) => each.startsWith(`${name}=`));
  return pair === undefined ? '' : pair.slice(name.length + 1);
}

/** Swagger UI has a dark theme of its own, by a class. */
function followTheme() {
  page.classList.toggle('dark-mode', page.dataset.theme !== 'light');
}

/** Texts of the description as text: they hold no markup, and no string becomes any. */
function plainTexts(system) {
  const Plain = ({ source }) => system.React.createElement('p', { className: 'markdown reference-text' }, source);
  return { wrapComponents: { Markdown: () => Plain } };
}

followTheme();
new MutationObserver(followTheme).observe(page, { attributeFilter: ['data-theme'] });

globalThis.SwaggerUIBundle({
  url: root.dataset.description,
  domNode: root,
  presets: [globalThis.SwaggerUIBundle.presets.apis],
  plugins: [plainTexts],
  layout: 'BaseLayout',
  deepLinking: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: -1,
  validatorUrl: null,
  requestInterceptor(request) {
    const own = new URL(request.url, location.href).origin === location.origin;
    if (own && !['GET', 'HEAD', undefined].includes(request.method)) {
      request.headers['X-CSRFToken'] = csrfToken(root.dataset.csrfCookie);
    }
    return request;
  },
});
