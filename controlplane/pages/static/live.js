// Renews in place the elements of a page that are marked `data-live`, each with an id: the page is fetched again, and what
// changed in such an element is put in its place. Without JavaScript the page itself is loaded again.
"use strict";

(() => {
  let seconds = Number(document.body.dataset.liveSeconds);
  if (!seconds) return;

  // What a reader has opened or closed stays so; what is new at the end is as the page has it.
  const keepOpen = (element, other) => {
    const fresh = other.querySelectorAll("details");
    element.querySelectorAll("details").forEach((one, index) => { if (fresh[index]) fresh[index].open = one.open; });
  };

  const replace = (fresh) => {
    for (const element of document.querySelectorAll("[data-live][id]")) {
      const other = fresh.getElementById(element.id);
      if (other === null) continue;
      keepOpen(element, other);
      if (other.isEqualNode(element)) continue;
      const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
      element.replaceWith(document.importNode(other, true));
      if (focused) document.getElementById(focused)?.focus();
    }
  };

  const renew = async () => {
    if (document.visibilityState !== "visible") return;
    const reply = await fetch(location.href, { headers: { Accept: "text/html", "X-Live": "1" }, redirect: "error" });
    if (!reply.ok) return;
    const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
    if (fresh.body.dataset.liveSeconds === undefined) return location.reload();  // what was waited for is there
    seconds = Number(fresh.body.dataset.liveSeconds);
    replace(fresh);
  };

  const turn = () => renew().catch(() => {}).finally(() => setTimeout(turn, seconds * 1000));
  setTimeout(turn, seconds * 1000);
})();
