// Blind listening: who stands left is drawn anew for each prompt, and told after the choice.
const list = document.querySelector(".pairs");
const names = JSON.parse(list.dataset.names);
const blind = document.getElementById("blind");
const tally = document.getElementById("tally");
const wins = [0, 0, 0];

function fairCoin() {
  return crypto.getRandomValues(new Uint8Array(1))[0] & 1;
}

function shuffle(item) {
  const takes = item.querySelector(".takes");
  const [first, second] = takes.children;
  // Both are put in anew: a player that was moved looks different from one that was not.
  if (blind.checked) takes.replaceChildren(...(fairCoin() ? [second, first] : [first, second]));
  label(item, blind.checked);
}

function label(item, hide) {
  [...item.querySelectorAll(".take")].forEach((take, place) => {
    const side = Number(take.dataset.side);
    const number = item.querySelector("h3").textContent;
    const name = hide ? ["left", "right"][place] : `${"AB"[side]}, ${names[side]}`;
    take.querySelector("h4").textContent = hide ? ["Left", "Right"][place] : `${"AB"[side]} · ${names[side]}`;
    take.setAttribute("aria-label", `${number}, ${name}`);
    take.querySelector("audio").setAttribute("aria-label", `${number}, ${name}`);
  });
}

function choose(item, button) {
  const takes = [...item.querySelectorAll(".take")];
  const place = button.dataset.choice;
  const side = place === "none" ? 2 : Number(takes[Number(place)].dataset.side);
  wins[side] += 1;
  label(item, false);
  if (side < 2) takes[Number(place)].classList.add("is-chosen");
  for (const other of item.querySelectorAll(".choose button")) other.disabled = true;
  button.setAttribute("aria-pressed", "true");
  item.querySelector(".reveal").textContent =
    side === 2 ? "You heard no difference." : `You chose ${"AB"[side]}, ${names[side]}.`;
  tally.textContent = `A ${wins[0]} · B ${wins[1]} · no difference ${wins[2]}`;
  tally.hidden = false;
}

function begin() {
  document.body.classList.toggle("is-blind", blind.checked);
  document.querySelector(".blind-note").hidden = !blind.checked;
  for (const item of list.querySelectorAll("li:not(.empty)")) {
    shuffle(item);
    item.querySelector(".choose").hidden = false;
  }
}

blind.closest(".switch").hidden = false;
blind.addEventListener("change", () => {
  const address = new URL(location.href);
  address.searchParams.set("blind", blind.checked ? "1" : "0");
  location.href = address.href;
});
list.addEventListener("click", (event) => {
  const button = event.target.closest(".choose button");
  if (button) choose(button.closest("li"), button);
});
begin();
