// The keys of a case's page: A, R and C choose a verdict, T takes the case, N the next one, L leaves it for later, and
// Ctrl+Enter settles. Letters count only where nobody writes.
"use strict";

(() => {
  const settle = document.getElementById("settle");
  const other = document.getElementById("other-outcome");

  const press = (label) => {
    const buttons = [...document.querySelectorAll(".ih-panel button")];
    const found = buttons.find((button) => button.querySelector("kbd")?.textContent === label);
    found?.click();
    return Boolean(found);
  };

  const showOther = () => {
    if (other) {
      other.hidden = settle.querySelector("[name=verdict]:checked")?.value !== "changed";
    }
  };

  const choose = (key) => {
    const way = settle?.querySelector(`[data-key="${key}"]`);
    if (!way) return false;
    way.checked = true;
    showOther();
    (key === "c" ? settle.elements.outcome : settle.elements.reason).focus();
    return true;
  };

  settle?.addEventListener("change", showOther);
  showOther();
  document.querySelector("[name=outcome]")?.addEventListener("change", () => settle.elements.reason.focus());

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && settle?.contains(event.target)) {
      event.preventDefault();
      settle.querySelector("button[name=next]").click();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=radio]), textarea, select")) return;
    const key = event.key.toLowerCase();
    if (choose(key) || (key.length === 1 && press(key.toUpperCase()))) event.preventDefault();
  });
})();
