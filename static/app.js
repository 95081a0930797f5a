// Small helps on top of pages that work without them. All wording comes from the page, in its language.
(() => {
  "use strict";

  const SENDING_MS = 20000; // a form that answers with a download never leaves the page: free it again

  // --- A form is sent once ---------------------------------------------------------------------------

  function release(form) {
    delete form.dataset.sent;
    form.removeAttribute("aria-busy");
    for (const button of form.querySelectorAll("[data-idle-label]")) {
      button.textContent = button.dataset.idleLabel;
      delete button.dataset.idleLabel;
    }
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.target || (event.submitter || form).formTarget) return;
    const method = (event.submitter && event.submitter.getAttribute("formmethod")) || form.getAttribute("method") || "get";
    if (method.toLowerCase() !== "post") return;
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "yes";
    form.setAttribute("aria-busy", "true");
    const button = event.submitter;
    if (button && button.dataset.sending) {
      button.dataset.idleLabel = button.textContent;
      button.textContent = button.dataset.sending;
    }
    setTimeout(release, SENDING_MS, form);
  });

  // The back button may bring the page back as it was left.
  window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach(release));

  // --- The time that is left to a hold ---------------------------------------------------------------
  // <time data-countdown-until="…+09:00" data-now="…+09:00" data-minutes="あと{m}分" data-seconds="あと{s}秒"
  //       data-over="…" data-say-5="…" data-say-1="…">; spoken in the nearest [data-countdown-say].

  function say(time, text) {
    const voice = (time.closest("[data-countdown]") || document).querySelector("[data-countdown-say]");
    if (voice && text) voice.textContent = text;
  }

  function tick(time) {
    const data = time.dataset;
    // The server's clock counts, not the phone's: remember once how far they are apart.
    if (!data.skew) data.skew = String(data.now ? Date.parse(data.now) - Date.now() : 0);
    const left = Math.floor((Date.parse(data.countdownUntil) - Date.now() - Number(data.skew)) / 1000);
    if (Number.isNaN(left)) return;
    const template = left <= 0 ? data.over : left < 60 ? data.seconds : data.minutes;
    const minutes = Math.floor(Math.max(left, 0) / 60);
    const seconds = left < 60 ? Math.max(left, 0) : left % 60;
    const text = (template || "").replace("{m}", minutes).replace("{s}", seconds);
    if (text && time.textContent !== text) time.textContent = text;

    const stage = left <= 0 ? "over" : left <= 60 ? "1" : left <= 300 ? "5" : "early";
    if (data.stage !== stage) {
      // Nothing is spoken for the stage the page was opened in, except that time is over.
      if (data.stage || stage === "over") say(time, { over: data.over, 1: data["say-1"], 5: data["say-5"] }[stage]);
      data.stage = stage;
      const box = time.closest("[data-countdown]");
      if (box) box.dataset.stage = stage;
    }
  }

  const tickAll = () => document.querySelectorAll("time[data-countdown-until]").forEach(tick);
  setInterval(tickAll, 1000);
  document.addEventListener("visibilitychange", tickAll);

  // --- Copy a token ----------------------------------------------------------------------------------
  // <button hidden data-copy="id-of-the-code" data-copied="コピーしました">コピー</button>

  const offerCopy = (root) => {
    if (!navigator.clipboard) return;
    root.querySelectorAll("button[data-copy][hidden]").forEach((button) => { button.hidden = false; });
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    const source = button && document.getElementById(button.dataset.copy);
    if (!source) return;
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      button.textContent = button.dataset.copied || button.textContent;
    } catch {
      getSelection().selectAllChildren(source); // refused by the browser: at least select it for the hand
    }
  });

  // --- The language menu closes with Escape or a click elsewhere --------------------------------------

  const closeMenus = (except) => document.querySelectorAll("details.languages[open]").forEach((menu) => {
    if (menu !== except) menu.open = false;
  });
  document.addEventListener("click", (event) => closeMenus(event.target.closest("details.languages")));
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && event.target.closest("details.languages[open]");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
  });

  // --- htmx --------------------------------------------------------------------------------------------
  // <div id="trouble" role="alert"><template>…</template></div> holds the words for a request that failed.

  const calm = () => document.querySelectorAll("#trouble > :not(template)").forEach((words) => words.remove());
  const trouble = () => {
    const words = document.querySelector("#trouble > template");
    calm();
    if (words) words.after(words.content.cloneNode(true));
  };
  for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.addEventListener(name, trouble);
  document.addEventListener("htmx:beforeRequest", calm);
  document.addEventListener("htmx:load", (event) => { offerCopy(event.target); tickAll(); });

  offerCopy(document);
  tickAll();
})();
