// A token is good for a few minutes. When it has expired, the page asks its own server for another one.
document.addEventListener("rowhooks:error", async ({ target, detail }) => {
  if (detail.status !== 401) return;
  const answer = await fetch("token");
  if (answer.ok) target.setAttribute("token", await answer.text());
});
