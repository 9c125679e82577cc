"""Head, style and script of a report's page. The page works from 320 pixels up and prints."""

HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<script>
document.documentElement.dataset.errors = "";
(function () {
  var kept = null;
  try { kept = localStorage.getItem("shockmesh-theme"); } catch (error) { kept = null; }
  var dark = window.matchMedia && window.matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = kept || (dark ? "dark" : "light");
})();
window.addEventListener("error", function (event) {
  document.documentElement.dataset.errors += event.message + "; ";
});
</script>
<style>
:root {
  --ink: #1f2933; --muted: #52606d; --line: #e4e7eb; --soft: #f5f7fa; --accent: #0072b2; color-scheme: light;
  --card: #ffffff; --link: #005a8e; --edge: #9aa5b1; --notice: #fff8e6;
}
:root[data-theme="dark"] {
  --ink: #e6eaf0; --muted: #a9b4c0; --line: #334050; --soft: #10161e; --accent: #56b4e9; color-scheme: dark;
  --card: #18202a; --link: #7cc4f0; --edge: #64748b; --notice: #33290f;
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 3.5rem; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--soft); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
header, main, nav { max-width: 1180px; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
main { padding-bottom: 4rem; }
h1 { font-size: clamp(1.5rem, 1.1rem + 1.6vw, 2.1rem); line-height: 1.2; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 2.5rem 0 0.9rem; }
h3 { font-size: 1rem; margin: 0; }
h1, .sub { overflow-wrap: anywhere; }
.sub { color: var(--muted); margin: 0.4rem 0 0.8rem; }
nav {
  position: sticky; top: 0; z-index: 5; display: flex; gap: 1.4rem; overflow-x: auto; white-space: nowrap;
  background: var(--soft); border-bottom: 1px solid var(--line);
  padding-top: 0.6rem; padding-bottom: 0.6rem; font-size: 0.92rem;
}
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.cards { display: flex; flex-wrap: wrap; gap: 0.9rem; margin-top: 1.25rem; }
.card, figure, details, .scroll > table { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.card { padding: 0.9rem 1.05rem; flex: 1 1 250px; }
.card p { margin: 0; }
.label, .note, figcaption, .pick, caption { color: var(--muted); font-size: 0.88rem; }
.value {
  font-size: 1.6rem; font-weight: 650; line-height: 1.25; letter-spacing: -0.01em; padding: 0.15rem 0;
  font-variant-numeric: tabular-nums;
}
figure { margin: 0 0 1rem; padding: 1rem 1.05rem 0.8rem; min-width: 0; }
.top {
  display: flex; flex-wrap: wrap; gap: 0.4rem 1rem; align-items: center; justify-content: space-between;
  margin-bottom: 0.3rem;
}
select, .tools button, .theme, .find {
  font: inherit; color: var(--ink); background: var(--card); padding: 0.2rem 0.4rem; max-width: 100%;
  border: 1px solid var(--edge); border-radius: 6px;
}
.pair { display: grid; gap: 0 1rem; grid-template-columns: repeat(2, minmax(0, 1fr)); align-items: start; }
.scroll { overflow-x: auto; }
.plot { width: 100%; }
table {
  border-collapse: separate; border-spacing: 0; width: 100%; font-size: 0.92rem; margin-bottom: 1rem;
  font-variant-numeric: tabular-nums;
}
caption { text-align: left; padding: 0 0 0.4rem; }
th, td { padding: 0.4rem 0.8rem; text-align: right; border-top: 1px solid var(--line); white-space: nowrap; }
thead th { border-top: 0; color: var(--muted); font-weight: 600; }
tbody th { font-weight: 500; }
th:first-child, .words th, .words td { text-align: left; }
.words td { white-space: normal; overflow-wrap: anywhere; width: 100%; }
details { padding: 0.7rem 1.05rem; margin-bottom: 0.8rem; }
summary { cursor: pointer; font-weight: 600; }
details .scroll { margin-top: 0.6rem; max-height: 28rem; overflow-y: auto; }
pre {
  overflow-x: auto; margin: 0.7rem 0 0.2rem;
  font: 0.84rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
}
.notice {
  background: var(--notice); border: 1px solid #e69f00; border-left-width: 5px; border-radius: 8px;
  padding: 0.7rem 1rem; margin: 0 0 1rem;
}
@media (max-width: 860px) { .pair { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 560px) {
  header, main, nav { padding-left: 0.8rem; padding-right: 0.8rem; }
  figure { padding: 0.8rem 0.5rem; }
  .cards { gap: 0.6rem; }
  .card { padding: 0.7rem 0.8rem; flex-basis: 150px; }
  .value { font-size: 1.2rem; }
  th, td { padding: 0.35rem 0.5rem; }
}
.tools { display: flex; gap: 0.4rem; justify-content: flex-end; font-size: 0.8rem; margin: 0.2rem 0 0; }
.tools button, .theme { cursor: pointer; font-size: 0.8rem; color: var(--muted); }
.find { font-size: 0.85rem; width: 11rem; flex: none; margin-left: auto; }
tr[hidden] { display: none; }
@media print {
  :root, :root[data-theme="dark"] {
    --ink: #1f2933; --muted: #52606d; --line: #e4e7eb; --soft: #ffffff; --card: #ffffff; --link: #005a8e;
    --notice: #fff8e6; color-scheme: light;
  }
  nav, .tools, .pick { display: none; }
  figure, .card, tr { break-inside: avoid; }
  .scroll, details .scroll { overflow: visible; max-height: none; }
}
</style></head><body>
<noscript><p class="notice">The figures need JavaScript; the numbers and tables do not.</p></noscript>
"""
