// What every page can do: the colour switch, copying, finding without a new page, live updates.
// Everything works without it too.
const root = document.documentElement;
root.classList.add("scripted");

export function say(text) {
  document.querySelector(".said").textContent = text;
}

function enhance(part) {
  for (const button of part.querySelectorAll(".copy")) button.hidden = false;
}

// Colours

const dark = matchMedia("(prefers-color-scheme: dark)");
const themeButton = document.querySelector(".theme");
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);

function nameTheme() {
  themeButton.textContent = isDark() ? "Light" : "Dark";
  themeButton.hidden = false;
}

themeButton.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
  nameTheme();
  document.dispatchEvent(new Event("theme"));
});
dark.addEventListener("change", () => {
  nameTheme();
  document.dispatchEvent(new Event("theme"));
});
nameTheme();

// Copying

document.addEventListener("click", async (event) => {
  const button = event.target.closest(".copy");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    say("The browser does not allow copying");
    return;
  }
  button.classList.add("is-done");
  say("Copied");
  setTimeout(() => button.classList.remove("is-done"), 1500);
});

// Showing another state of the same page: parts with data-live are exchanged, rows one by one.

let asked = 0;
let shown = document.body.dataset.state;

async function show(address, { quietly }) {
  const turn = ++asked;
  const answer = await fetch(address, { headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(`${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (turn !== asked) return;
  shown = page.body.dataset.state;
  holdPlace(() => {
    for (const old of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(old.id);
      if (fresh) exchange(old, fresh, quietly);
    }
  }, quietly);
  const hasSound = (part) => part.querySelector(".prompts") !== null;
  // A score has come while somebody waited for it: the page gets its other sections.
  if (quietly && hasSound(page) && !hasSound(document)) location.reload();
}

function exchange(old, fresh, quietly) {
  if (old.innerHTML === fresh.innerHTML) return;
  const rows = old.querySelector(".board tbody");
  const freshRows = fresh.querySelector(".board tbody");
  const sameHead = rows && freshRows &&
    old.querySelectorAll("thead th").length === fresh.querySelectorAll("thead th").length;
  if (!sameHead) {
    old.replaceChildren(...fresh.childNodes);
    enhance(old);
    return;
  }
  exchangeRows(rows, freshRows, quietly);
  const heads = old.querySelector("thead");
  const focused = heads.contains(document.activeElement) ? [...heads.querySelectorAll("a")].indexOf(document.activeElement) : -1;
  heads.replaceWith(fresh.querySelector("thead"));
  if (focused >= 0) old.querySelectorAll("thead a")[focused]?.focus();
  old.querySelector(".pager")?.remove();
  const pager = fresh.querySelector(".pager");
  if (pager) old.append(pager);
}

function exchangeRows(rows, freshRows, quietly) {
  const known = new Map([...rows.children].map((row) => [row.id, row]));
  const next = [...freshRows.children].map((fresh) => {
    const old = known.get(fresh.id);
    if (old && (old.outerHTML === fresh.outerHTML || old.contains(document.activeElement))) return old;
    if (quietly && old?.dataset.value !== fresh.dataset.value) fresh.classList.add("is-new");
    enhance(fresh);
    return fresh;
  });
  // Rows that stay are not taken out, so that focus and selection survive.
  next.forEach((row, place) => {
    if (rows.children[place] !== row) rows.insertBefore(row, rows.children[place] ?? null);
  });
  while (rows.children.length > next.length) rows.lastChild.remove();
}

// The first row on the screen stays where it is, whatever comes before it.
function holdPlace(change, quietly) {
  const seen = quietly && scrollY > 0 &&
    [...document.querySelectorAll("main tr[id]")].find((row) => row.getBoundingClientRect().top >= 0);
  const before = seen && seen.getBoundingClientRect().top;
  change();
  const now = seen && document.getElementById(seen.id);
  if (now) scrollBy(0, now.getBoundingClientRect().top - before);
}

// Finding and sorting

const find = document.getElementById("find");
if (find) {
  const go = async (address, keep) => {
    history[keep ? "pushState" : "replaceState"](null, "", address);
    await show(address, { quietly: false });
    say(document.getElementById("found").textContent);
  };
  const addressOf = () => {
    const values = new URLSearchParams(new FormData(find));
    const here = new URLSearchParams(location.search);
    for (const name of ["sort", "reverse"]) {
      if (here.get(name)) values.set(name, here.get(name));
      else values.delete(name);
    }
    if (!values.get("q")) values.delete("q");
    if (values.get("show") === "all") values.delete("show");
    return values.size ? `/?${values}` : "/";
  };
  let timer = 0;
  find.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => go(addressOf(), false).catch(() => find.submit()), 200);
  });
  find.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    go(addressOf(), true).catch(() => find.submit());
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".sort, #board .pager a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    const place = link.closest(".pager") ? null : [...document.querySelectorAll(".sort")].indexOf(link);
    go(link.href, true).then(() => {
      if (place === null) scrollTo(0, 0);
      else document.querySelectorAll(".sort")[place]?.focus();
    }, () => { location.href = link.href; });
  });
  addEventListener("popstate", () => location.reload());
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    find.elements.q.focus();
  });
}

// Live updates

let newest = shown;
let following = false;

// The process that answers may learn of a change a second after the one that told of it.
async function follow() {
  if (following) return;
  following = true;
  for (let tries = 0; shown !== newest && tries < 10; tries++) {
    await show(location.href, { quietly: true }).catch(() => {});
    if (shown !== newest) await new Promise((done) => setTimeout(done, 1000));
  }
  following = false;
}

// A browser has few connections for one site, so pages that nobody sees give theirs back.
let source = null;

function listen() {
  if (source || document.hidden) return;
  source = new EventSource(document.body.dataset.events);
  source.addEventListener("message", ({ data }) => {
    newest = data;
    root.dataset.listening = "1";
    follow();
  });
  source.addEventListener("error", () => {
    // Where there was no place, the browser does not ask again by itself.
    if (source?.readyState === EventSource.CLOSED) {
      source = null;
      setTimeout(listen, 60_000);
    }
  });
}

function pause() {
  source?.close();
  source = null;
}

enhance(document);
if (document.querySelector("[data-live]")) {
  listen();
  document.addEventListener("visibilitychange", () => (document.hidden ? pause() : listen()));
}
