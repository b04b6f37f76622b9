'use strict';
// Every two seconds, and when the filter changes, this script loads the page again and replaces its changed parts. The
// server has escaped every name in the page; the script never makes markup from text.
const pause = document.getElementById('pause');
const state = document.getElementById('state');
const filter = document.getElementById('filter');
const folded = new Map();
let asked = 0;
document.addEventListener('toggle', (event) => {
  if (event.target.id) folded.set(event.target.id, event.target.open);
}, true);
async function refresh() {
  const mine = ++asked;
  const query = filter.value ? '?' + new URLSearchParams({ filter: filter.value }) : '';
  try {
    const reply = await fetch(location.pathname + query, { cache: 'no-store' });
    if (!reply.ok) throw new Error(String(reply.status));
    const fresh = new DOMParser().parseFromString(await reply.text(), 'text/html');
    // A newer request is under way, with the current filter; its answer counts.
    if (mine !== asked) return;
    for (const id of ['facts', 'world', 'requests']) {
      const [now, next] = [document.getElementById(id), fresh.getElementById(id)];
      if (!next) continue;
      for (const one of next.querySelectorAll('details[id]')) {
        if (folded.has(one.id)) one.open = folded.get(one.id);
      }
      if (!now.isEqualNode(next)) now.replaceWith(document.adoptNode(next));
    }
    state.textContent = '';
  } catch (error) {
    state.textContent = 'no connection';
  }
}
filter.addEventListener('input', refresh);
async function repeat() {
  if (!pause.checked && !document.hidden) await refresh();
  setTimeout(repeat, 2000);
}
setTimeout(repeat, 2000);
