// Makes pages live. Everything works without it.
"use strict";

// What is within [data-live] is fetched anew when a record of one of its kinds changes elsewhere.
const live = () => [...document.querySelectorAll("[data-live][id]")];

let dirty = false;

// Screen readers hear that something changed, once for all that changed together.
function say() {
  const heard = document.getElementById("heard");
  if (!heard) return;
  heard.textContent = heard.dataset.said;
  setTimeout(() => { heard.textContent = ""; }, 3000);
}

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const here of live()) {
    const there = page.getElementById(here.id);
    if (!there || here.innerHTML === there.innerHTML) continue;
    // Nobody's typing is taken from under their hands.
    if (here.contains(document.activeElement) && document.activeElement.matches("input, textarea, select")) continue;
    here.innerHTML = there.innerHTML;
    here.classList.add("fresh");
    setTimeout(() => here.classList.remove("fresh"), 1500);
    say();
  }
}

function follow() {
  const kinds = new Set(live().flatMap((part) => part.dataset.live.split(" ")));
  if (!kinds.size) return;
  let timer = null;
  let events = null;
  // A browser keeps few connections to one host: pages nobody looks at hold none.
  const listen = () => {
    events?.close();
    events = null;
    if (document.hidden) return;
    events = new EventSource("/events?kinds=" + encodeURIComponent([...kinds].join(" ")));
    events.addEventListener("changed", () => {
      clearTimeout(timer);
      timer = setTimeout(refresh, 200);
    });
  };
  listen();
  document.addEventListener("visibilitychange", () => { listen(); refresh(); });
}

// A form that was typed into is not left by accident.
function guard() {
  document.addEventListener("input", (event) => {
    if (event.target.closest("form.careful")) dirty = true;
  });
  document.addEventListener("submit", () => { dirty = false; });
  addEventListener("beforeunload", (event) => {
    if (dirty) event.preventDefault();
  });
}

async function preview(button) {
  const text = document.getElementById(button.dataset.preview);
  const shown = document.getElementById(button.dataset.preview + "-preview");
  const body = new URLSearchParams({ text: text.value });
  const answer = await fetch("/preview", { method: "POST", body });
  if (answer.ok) {
    shown.innerHTML = await answer.text();
    shown.hidden = false;
  }
}

// 签到: one tap marks everybody.
function markAll(button) {
  for (const radio of document.querySelectorAll(`input[type=radio][value="${button.dataset.mark}"]`)) radio.checked = true;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.preview) preview(button);
  if (button?.dataset.mark) markAll(button);
  if (button?.dataset.print !== undefined) print();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, textarea, select")) {
    event.preventDefault();
    document.querySelector("form.search input")?.focus();
  }
});

if (matchMedia("(max-width: 46rem)").matches) document.querySelector("details.menu")?.removeAttribute("open");
guard();
follow();
