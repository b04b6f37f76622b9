'use strict';
// Every two seconds the page is asked for again and its parts are put in place of the old ones. The server has
// escaped every name in it; nothing is made from text here.
const pause = document.getElementById('pause');
const state = document.getElementById('state');
const opened = new Map();
document.addEventListener('toggle', (event) => {
  if (event.target.id) opened.set(event.target.id, event.target.open);
}, true);
async function refresh() {
  if (!pause.checked && !document.hidden) {
    try {
      const reply = await fetch(location.pathname, { cache: 'no-store' });
      if (!reply.ok) throw new Error(String(reply.status));
      const fresh = new DOMParser().parseFromString(await reply.text(), 'text/html');
      for (const id of ['facts', 'world', 'requests']) {
        const [now, next] = [document.getElementById(id), fresh.getElementById(id)];
        if (next && !now.isEqualNode(next)) {
          for (const one of next.querySelectorAll('details[id]')) {
            if (opened.has(one.id)) one.open = opened.get(one.id);
          }
          now.replaceWith(document.adoptNode(next));
        }
      }
      state.textContent = '';
    } catch (error) {
      state.textContent = 'no connection';
    }
  }
  setTimeout(refresh, 2000);
}
setTimeout(refresh, 2000);
