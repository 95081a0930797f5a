// Small helps at the desk; every page works without them.
(() => {
  "use strict";

  // The change to give back while cash is being counted: <input data-cash> beside <output data-owed="1500" data-words="お釣り {yen}円">
  document.addEventListener("input", (event) => {
    const cash = event.target.closest("[data-cash]");
    const output = cash && cash.form.querySelector("output[data-owed]");
    if (!output) return;
    const back = Number(cash.value.normalize("NFKC")) - Number(output.dataset.owed);
    output.textContent = cash.value && back >= 0 ? output.dataset.words.replace("{yen}", back.toLocaleString("ja-JP")) : "";
  });
})();
