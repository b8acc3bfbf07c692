// The form works without this: here a file can be dropped anywhere, and waiting is told.
"use strict";
const form = document.getElementById("upload");
const input = document.getElementById("recording");
const state = document.getElementById("state");

function mayBeSent() {
  const file = input.files[0];
  if (file && file.size > Number(form.dataset.bytes)) {
    state.textContent = "This file is too large; at most " + form.dataset.bytes / 1e6 + " MB.";
    return false;
  }
  state.textContent = "Looking for the song, which takes some seconds.";
  return true;
}

form.addEventListener("submit", (event) => {
  if (!mayBeSent()) event.preventDefault();
});

for (const kind of ["dragenter", "dragover"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
}
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (!event.dataTransfer.files.length) return;
  input.files = event.dataTransfer.files;
  form.requestSubmit();
});
