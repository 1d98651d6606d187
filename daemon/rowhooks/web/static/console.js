// The console's one script. Everything works without it: it only adds.
"use strict";

const PAUSE = 300;  // Milliseconds before work goes on by itself.
const SENT_FOR = 10000;  // Milliseconds after which a form that was sent can be sent again.

// Show times in the viewer's zone. The exact time stays as the title.
function showLocalTimes(root) {
  const format = new Intl.DateTimeFormat(undefined, {dateStyle: "medium", timeStyle: "medium"});
  for (const element of root.querySelectorAll("time[datetime]:not([data-local])")) {
    const at = new Date(element.dateTime);
    if (!Number.isNaN(at.getTime())) {
      element.textContent = format.format(at);
      element.dataset.local = "";
    }
  }
}

// Send a form once, however often its button is pressed.
function guardSubmits() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented) return;
    if ("sent" in form.dataset) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "";
    event.submitter?.setAttribute("aria-disabled", "true");
    setTimeout(() => allowAgain(form), SENT_FOR);
  });
  // The page comes back as it was left, with the browser's back button.
  window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach(allowAgain));
}

function allowAgain(form) {
  delete form.dataset.sent;
  form.querySelectorAll("[aria-disabled=true]").forEach((button) => button.removeAttribute("aria-disabled"));
}

// Ask in a dialog what is asked below the button otherwise.
function askInDialogs(root) {
  for (const details of root.querySelectorAll("details.confirm:not([data-asks])")) {
    details.dataset.asks = "";
    const summary = details.querySelector("summary");
    summary.setAttribute("role", "button");
    summary.setAttribute("aria-haspopup", "dialog");
    summary.addEventListener("click", (event) => {
      event.preventDefault();
      openDialog(details, summary);
    });
  }
}

function openDialog(details, summary) {
  const form = details.querySelector("form");
  const dialog = document.createElement("dialog");
  const heading = document.createElement("h2");
  const cancel = document.createElement("button");
  heading.textContent = summary.textContent;
  heading.id = "dialog-heading";
  dialog.setAttribute("aria-labelledby", heading.id);
  cancel.type = "button";
  cancel.textContent = "Cancel";
  cancel.addEventListener("click", () => dialog.close());
  form.querySelector(".acts")?.append(cancel);
  dialog.append(heading, form);
  dialog.addEventListener("close", () => {
    cancel.remove();
    details.append(form);
    dialog.remove();
    summary.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
}

// A form that came back with what is wrong with it is not sent again when the browser goes back to it.
function forgetSending() {
  if (document.querySelector("form[data-answered]")) history.replaceState(null, "", location.href);
}

// Offer to copy what is long: a traceback, a command. Browsers let pages do so over TLS and on this machine alone.
function offerCopies(root) {
  if (!navigator.clipboard) return;
  for (const text of root.querySelectorAll("pre:not([data-copied])")) {
    text.dataset.copied = "";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", () => navigator.clipboard.writeText(text.textContent).then(
      () => { button.textContent = "Copied"; },
      () => { button.textContent = "Not copied: select the text and copy it"; },
    ));
    text.after(button);
  }
}

// Add to a part of the page what the script adds: to the whole page once, and to whatever is put into it later.
function enhance(root) {
  showLocalTimes(root);
  askInDialogs(root);
  offerCopies(root);
}

// Go on with work that is done part by part: a form that has nothing to ask is sent by itself.
function goOn(root) {
  const form = root.querySelector("form[data-goes-on]");
  if (form) setTimeout(() => form.isConnected && form.requestSubmit(), PAUSE);
}

guardSubmits();
forgetSending();
enhance(document);
goOn(document);
