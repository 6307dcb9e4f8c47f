// Follows a task's log. Every text is put in as text, never as HTML: it comes from agents and repositories.
"use strict";
(function () {
  const list = document.getElementById("log");
  const state = document.getElementById("state");
  const source = new EventSource(list.dataset.events);

  function atEnd() {
    return window.innerHeight + window.scrollY >= document.body.scrollHeight - 80;
  }

  function add(entry) {
    const follow = atEnd();
    const item = document.createElement("li");
    item.className = entry.kind;
    const time = document.createElement("time");
    time.textContent = entry.at;
    item.append(time);
    if (entry.head) {
      const head = document.createElement("b");
      head.textContent = entry.head;
      item.append(head);
    }
    if (entry.text) {
      const long = entry.text.length > 600 && entry.kind === "result";
      const body = document.createElement("pre");
      body.textContent = entry.text;
      if (long) {
        const fold = document.createElement("details");
        const summary = document.createElement("summary");
        summary.textContent = entry.text.split("\n").length + " lines";
        fold.append(summary, body);
        item.append(fold);
      } else {
        item.append(body);
      }
    }
    list.append(item);
    if (follow) window.scrollTo(0, document.body.scrollHeight);
  }

  source.onopen = function () { state.textContent = "Live."; };
  source.onmessage = function (event) { JSON.parse(event.data).forEach(add); };
  source.addEventListener("end", function () {
    source.close();
    state.textContent = "The task has ended. This is the whole log.";
  });
  source.onerror = function () {
    state.textContent = source.readyState === EventSource.CLOSED
      ? "There is no log by that name."
      : "The connection is lost. Trying again.";
  };
})();
