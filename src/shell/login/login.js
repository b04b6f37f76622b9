'use strict';
// Asks the twin what is new, a few times a second, and shows it. Texts become text nodes: nothing of others is markup.
const by = (id) => document.getElementById(id);
let since = 0;
let shown = '';

function item(list, parts, isBad) {
  const li = document.createElement('li');
  for (const [tag, text] of parts) {
    const part = document.createElement(tag);
    part.textContent = text;
    li.append(part);
  }
  li.classList.toggle('bad', isBad);
  list.append(li);
}

const clock = (ms) => new Date(ms).toISOString().slice(11, 23);

async function refresh() {
  try {
    const reply = await fetch(`/__twin/login/state.json?since=${since}`, { cache: 'no-store' });
    if (!reply.ok) throw new Error(String(reply.status));
    const news = await reply.json();
    for (const hop of news.hops) {
      since = hop.number;
      const words = hop.failure ? `${hop.what}: ${hop.failure}` : hop.what;
      item(by('hops'), [['time', clock(hop.at_ms)], ['span', words]], Boolean(hop.failure));
      // The list alone scrolls: a page that moves under the pointer would be a nuisance.
      by('hops').scrollTop = by('hops').scrollHeight;
    }
    const lists = JSON.stringify([news.messages, news.verifications]);
    if (lists !== shown) {
      shown = lists;
      by('phone').replaceChildren();
      for (const one of [...news.messages].reverse()) {
        const head = one.channel === 'call' ? `Call to ${one.to}` : `Message to ${one.to}`;
        item(by('phone'), [['time', `${clock(one.at_ms)} ${head}`], ['p', one.text]], false);
      }
      by('verifications').replaceChildren();
      for (const one of news.verifications) {
        item(by('verifications'), [['span', `${one.to}: ${one.status}, ${one.sends} sent`]], false);
      }
    }
    for (const [name, on] of Object.entries(news.switches)) {
      const box = document.querySelector(`input[name="${name}"]`);
      if (box && document.activeElement !== box) box.checked = on;
    }
    by('state').textContent = '';
  } catch {
    by('state').textContent = 'no connection to the twin';
  }
}

document.addEventListener('change', async (event) => {
  if (!event.target.matches('.switch input')) return;
  const body = new URLSearchParams({ name: event.target.name, on: String(event.target.checked) });
  await fetch('/__twin/login/switch', { method: 'POST', body });
});

by('wait').addEventListener('click', () => fetch('/__twin/login/wait', { method: 'POST' }));

async function repeat() {
  await refresh();
  setTimeout(repeat, 250);
}
repeat();
