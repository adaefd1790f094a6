// The colours of a light and of a dark page. Each is a property that the page can set, as `--keyturn-accent`.
const COLOURS = {
  surface: ["#fff", "#22201d"],
  sunken: ["#f5f4f1", "#191816"],
  text: ["#1f1d1a", "#f1eee8"],
  muted: ["#5e5a54", "#b3ada3"],
  line: ["#e0dcd4", "#3a3732"],
  control: ["#8a847a", "#888176"],
  accent: ["#2250b5", "#9dbcff"],
  "on-accent": ["#fff", "#10203f"],
  danger: ["#a8201a", "#ffaba3"],
  success: ["#1c6b3c", "#93d8aa"],
  warning: ["#855000", "#f3c77c"],
};

function colours(of: (light?: string, dark?: string) => string | undefined): string {
  const all = Object.entries(COLOURS).map(([name, pair]) => `--${name}:var(--keyturn-${name},${of(...pair)});`);
  return `:host{${all.join("")}}`;
}

// Dense, because it is sent as it is. Browsers have `light-dark` since 2024. Older ones take all pages for light ones.
const CSS = `
:host{--radius:var(--keyturn-radius,.75rem);--small:calc(var(--radius) * .6);--gap:var(--keyturn-gap,1rem);
display:block;container-type:inline-size;color:var(--text);font-family:var(--keyturn-font,inherit);line-height:1.5;
overflow-wrap:anywhere}
:host([hidden]),[hidden]{display:none !important}
*{box-sizing:border-box;margin:0}
ul{padding:0;list-style:none}
ol{padding-inline-start:1.375em}
a,summary{color:var(--accent)}
summary{inline-size:fit-content;padding-block:.375rem}
.status{position:absolute;inline-size:1px;block-size:1px;overflow:hidden;clip-path:inset(50%)}
.content,.list,.form,.state,.question,.card,ol{display:grid;gap:calc(var(--gap) * .75)}
.list,.content{gap:var(--gap)}
li > .form{margin-block-start:.5rem}
.heading,.name{line-height:1.25}
.heading{font-size:1.375em}
.title,.check{display:grid;grid-template-columns:auto 1fr;gap:0 .625rem}
.name{display:flex;flex-wrap:wrap;align-items:center;gap:.25rem .625rem;font-size:1.0625em}
.card{padding:clamp(1rem,4cqi,1.75rem);background:var(--surface);border:1px solid var(--line);
border-radius:var(--radius)}
.card .card{padding:var(--gap) 0 0;border-width:1px 0 0;border-radius:0;background:none}
.icon{inline-size:1.5rem}
.icon,.hint,.term,.badge{color:var(--muted)}
.hint,.details,.code{font-size:.9375em}
.badge{padding:0 .6em;border:1px solid;border-radius:1em;font-size:.8125rem}
.details{display:grid;grid-template-columns:fit-content(40%) 1fr;gap:.125rem var(--gap)}
.actions{display:flex;flex-wrap:wrap;gap:.625rem}
.button,.input{min-block-size:2.75rem;padding:.5rem 1rem;background:transparent;color:inherit;
border:1px solid var(--control);border-radius:var(--small);font:inherit}
.button,.label,.badge{font-weight:600}
.button,summary{cursor:pointer}
.button:hover{background:var(--sunken)}
.primary{background:var(--accent);color:var(--on-accent);border-color:transparent}
.primary:hover{background:color-mix(in srgb,var(--accent) 85%,var(--text))}
[aria-busy] .button{opacity:.6}
.field{display:grid;gap:.25rem;max-inline-size:32rem}
.check .hint{grid-column:2}
.checkbox{inline-size:1.375rem;block-size:1.375rem;accent-color:var(--accent)}
.alert,.question{padding:.75rem 1rem;border:1px solid;border-radius:var(--small)}
.danger,.error,.alert{color:var(--danger)}
.danger,.question,[aria-invalid="true"]{border-color:var(--danger)}
.success{color:var(--success)}
.warning{color:var(--warning)}
.alert,.badge{background:color-mix(in srgb,currentColor 8%,var(--surface))}
.qr{display:block;inline-size:min(100%,13rem);margin-block:.75rem;background:#fff;border:1px solid var(--line);
border-radius:var(--small);forced-color-adjust:none}
.code{padding:.1em .35em;background:var(--sunken);border-radius:.3em;user-select:all}
.codes{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,13rem),1fr));gap:.5rem}
.row{display:flex;flex-wrap:wrap;align-items:center;gap:.5rem var(--gap);padding-block:.75rem;
border-block-start:1px solid var(--line)}
.row > :first-child{flex:1 1 12rem}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:var(--small)}
[tabindex="-1"]:focus{outline:none}
@media (forced-colors:active){:focus-visible{outline-color:Highlight}}
`;

let sheet: CSSStyleSheet | undefined;

/** Returns the style sheet that all elements of a page have in common. */
export function styleSheet(): CSSStyleSheet {
  if (!sheet) {
    const both = colours((light, dark) => `light-dark(${light},${dark})`);
    sheet = new CSSStyleSheet();
    sheet.replaceSync(`${colours((light) => light)}@supports (color:light-dark(red,red)){${both}}${CSS}`);
  }
  return sheet;
}
