// Lists what is wrong with the page: run in it as the body of a function.
const language = arguments[0];
const wrong = [];
const shown = (e) => e.getClientRects().length > 0 && getComputedStyle(e).visibility !== "hidden";
const told = (e) => e.outerHTML.slice(0, 140);

if (document.documentElement.lang !== language) wrong.push(`lang is ${document.documentElement.lang}`);
if (document.documentElement.scrollWidth > innerWidth) {
  const wide = [...document.querySelectorAll("main *")].find((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".wide, figure, svg"));
  wrong.push(`wider than the screen: ${wide ? told(wide) : "?"}`);
}
if (document.querySelectorAll("h1:not(.prose h1)").length !== 1) wrong.push("not one h1");

// Everything that is worked has a name for whoever hears it.
for (const e of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
  const name = e.getAttribute("aria-label") || [...(e.labels ?? [])].map((l) => l.textContent).join("").trim();
  if (shown(e) && !name) wrong.push(`no label: ${told(e)}`);
}
for (const e of document.querySelectorAll("a, button")) {
  const name = e.textContent.trim() || e.getAttribute("aria-label");
  if (shown(e) && !name) wrong.push(`no name: ${told(e)}`);
}
for (const e of document.querySelectorAll("svg")) {
  if (e.getAttribute("role") !== "img" || !e.getAttribute("aria-label")) wrong.push(`a drawing without words: ${told(e)}`);
}
const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) wrong.push(`twice: #${id}`);

// In English nothing of the console's own is Chinese, but the switch to it. Names are not its own.
if (language === "en") {
  const text = document.body.innerText.replaceAll("中文", "").replaceAll("局机关", "");
  const left = text.match(/.*[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef].*/g);
  if (left) wrong.push(`not in English: ${left.slice(0, 5).join(" | ")}`);
}

// Contrast, as WCAG 2.2 has it (1.4.3): 4.5 for text, 3 for large text.
const parse = (text) => text.match(/[\d.]+/g).map(Number);
const light = ([r, g, b]) => {
  const part = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const behind = (e) => {
  for (let at = e; at; at = at.parentElement) {
    const colour = parse(getComputedStyle(at).backgroundColor);
    if (colour.length < 4 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
const seen = new Set();
for (const e of document.querySelectorAll("body *")) {
  const speaks = [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
  if (!speaks || !shown(e) || e.closest("svg, option")) continue;
  const style = getComputedStyle(e);
  const [a, b] = [light(parse(style.color)), light(behind(e))].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  const size = parseFloat(style.fontSize);
  const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
  const key = `${style.color} on ${behind(e)}`;
  if (ratio < least && !seen.has(key)) {
    seen.add(key);
    wrong.push(`contrast ${ratio.toFixed(2)}: ${key}: ${told(e)}`);
  }
}
return wrong;
