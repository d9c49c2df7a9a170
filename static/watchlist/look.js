// Changes the appearance without a load of the page, which would lose a preview and what is typed in forms.

const root = document.documentElement;
const form = document.querySelector(".look form");
let isUnanswered = false;

async function change({ name, value }) {
  const body = new FormData(form);
  body.append(name, value);
  const answer = await fetch(form.action, { method: "POST", body });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  Object.assign(root.dataset, { ...page.documentElement.dataset });
  for (const button of form.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.value === root.dataset[button.name]));
  }
}

form.addEventListener("submit", (event) => {
  if (isUnanswered) return;
  event.preventDefault();
  const { submitter } = event;
  change(submitter).catch(() => {
    isUnanswered = true; // The browser sends the form and shows the answer.
    form.requestSubmit(submitter);
  });
});
