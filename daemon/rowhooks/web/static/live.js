// Live pages: what has come since is put into the page. Without this script a link shows it.
"use strict";

const MOST_CHILDREN = 2000;  // Of a list that is live; the oldest go.

// Follow the stream that an element names: <div data-live="/runs/7/events?cursor=...">. In it, [data-live-status] says how
// it stands, and [data-live-part] with an id is fetched anew when everything is told.
class Live {
  constructor(element) {
    this.element = element;
    this.address = new URL(element.dataset.live, location.href);
    this.status = element.querySelector("[data-live-status]");
    this.isOver = false;
    document.addEventListener("visibilitychange", () => this.look());
    window.addEventListener("pagehide", () => this.close());
    window.addEventListener("pageshow", () => this.look());
    this.look();
  }

  // A page that nobody sees follows nothing: a browser has few connections for each server.
  look() {
    if (document.hidden || this.isOver) this.close();
    else if (!this.source) this.open();
  }

  open() {
    const source = this.source = new EventSource(this.address);
    source.addEventListener("open", () => this.say("Live."));
    source.addEventListener("put", (event) => this.put(event));
    source.addEventListener("end", (event) => this.end(event.data));
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) this.end("Not live any more: load the page again.");
      else this.say("The connection is lost. Trying again …");
    });
  }

  close() {
    this.source?.close();
    this.source = null;
  }

  put(event) {
    if (event.lastEventId) this.address.searchParams.set("cursor", event.lastEventId);
    const template = document.createElement("template");
    template.innerHTML = event.data;
    for (const element of [...template.content.children]) place(element);
  }

  end(reason) {
    this.isOver = true;
    this.close();
    if (reason === "finished") this.refresh();
    else this.say(`Not live any more: ${reason}.`);
  }

  async refresh() {
    this.say("");
    const answer = await fetch(location.href, {headers: {accept: "text/html"}}).catch(() => null);
    if (!answer?.ok) {
      this.say("It has ended. Load the page again to see how.");
      return;
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const old of this.element.querySelectorAll("[data-live-part]")) {
      const part = page.getElementById(old.id);
      if (part) replace(old, document.adoptNode(part));
      else old.remove();
    }
    this.say("It has ended.");
  }

  say(text) {
    if (this.status) this.status.textContent = text;
  }
}

// Put an element where one with its id is, or into the list that it names.
function place(element) {
  const old = document.getElementById(element.id);
  if (old) {
    replace(old, element);
    return;
  }
  const list = document.getElementById(element.dataset.in);
  if (!list) return;
  insert(list, element);
  enhance(element);
}

// A list that is `data-newest="first"` has the greatest order at its top; another one at its end.
function insert(list, element) {
  const order = element.dataset.order ?? "";
  const isFirst = list.dataset.newest === "first";
  let next = isFirst ? list.firstElementChild : null;
  if (isFirst) while (next && (next.dataset.order ?? "") > order) next = next.nextElementSibling;
  else {
    let last = list.lastElementChild;
    while (last && (last.dataset.order ?? "") > order) [next, last] = [last, last.previousElementSibling];
  }
  const most = Number(list.dataset.most) || MOST_CHILDREN;
  list.insertBefore(element, next);
  while (list.children.length > most) (isFirst ? list.lastElementChild : list.firstElementChild).remove();
  document.getElementById(list.dataset.empty)?.remove();
}

// What had the focus has it again, by its place; what was opened is open again.
function replace(old, element) {
  const before = places(old);
  const focused = old.contains(document.activeElement) ? before.indexOf(document.activeElement) : null;
  const open = opened(old).map((one) => one.open);
  old.replaceWith(element);
  enhance(element);
  opened(element).forEach((one, place) => { one.open ||= open[place] ?? false; });
  if (focused === null) return;
  const after = places(element);
  (after[focused] ?? after[0] ?? document.getElementById("main")).focus({preventScroll: true});
}

// Not the questions before an act: they are asked anew.
function opened(element) {
  return [...element.querySelectorAll("details:not(.confirm)")];
}

function places(element) {
  return [...element.querySelectorAll("a, button, summary, input, select, [tabindex]")];
}

for (const element of document.querySelectorAll("[data-live]")) new Live(element);
