// Logins in a browser, over `lockstep twin --login`: deployed code runs, messages arrive, feedback goes back.
//
//     node run.mjs PATH/OF/lockstep
//
// Needs Node.js 22 and Chromium (CHROMIUM names another one). Each case starts a twin of its own.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { chromium } from 'playwright-core';

const binary = path.resolve(process.argv[2]);
const here = import.meta.dirname;
const manifests = { unified: `${here}/unified.yaml`, legacy: `${here}/../../manifests/howto-2023.yaml`, rules: `${here}/rules.yaml`, reported: `${here}/reported.yaml` };
const PHONE = '+15005550006';
let logins = 0;

// Largest memory of a twin and the processes of its code, in MB, by how many of these there were.
const memory = [];

function read(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

// Pages that processes share count once.
function megabytes(pid) {
  return Number(read(`/proc/${pid}/smaps_rollup`).match(/^Pss: +(\d+) kB/m)?.[1] ?? 0) / 1000;
}

function look(pid) {
  const of = read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean);
  for (const task of fs.existsSync(`/proc/${pid}/task`) ? fs.readdirSync(`/proc/${pid}/task`) : []) {
    if (task !== String(pid)) of.push(...read(`/proc/${pid}/task/${task}/children`).split(' ').filter(Boolean));
  }
  // Not npm, which is there before a first start.
  const runsCode = (child) => read(`/proc/${child}/cmdline`).includes('child.js');
  if (!of.every(runsCode)) return;
  const children = of.map(megabytes);
  const sum = children.reduce((total, size) => total + size, megabytes(pid));
  memory[children.length] = Math.max(memory[children.length] ?? 0, sum);
}

// Starts a twin with a manifest applied.
async function twin(manifest) {
  const process_ = spawn(binary, ['twin', '--login', manifest, '--port', '0'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  const address = await new Promise((resolve, reject) => {
    process_.stderr.on('data', (text) => {
      said += text;
      const found = said.match(/sign in, and see the code arrive: (\S+)\n.*as (\S+) with the password (\S+)\n/);
      if (found) resolve({ page: found[1], email: found[2], password: found[3] });
    });
    process_.on('exit', (code) => reject(new Error(`the twin ended with ${code}:\n${said}`)));
  });
  const looks = setInterval(() => look(process_.pid), 200);
  const end = () => {
    clearInterval(looks);
    return new Promise((resolve) => process_.once('exit', resolve) && process_.kill('SIGTERM'));
  };
  return { ...address, end, said: () => said };
}

// What a person does and sees on the page.
class Person {
  constructor(page, at) {
    Object.assign(this, { page, at });
    this.frame = page.frameLocator('iframe');
  }
  async open() {
    await this.page.goto(this.at.page);
  }
  async password() {
    await this.frame.getByRole('button', { name: /^Sign in/ }).click();
    await this.frame.getByLabel('E-mail address').fill(this.at.email);
    await this.frame.getByLabel('Password').fill(this.at.password);
    await this.frame.getByRole('button', { name: 'Continue' }).click();
  }
  async enrol(way = 'Send a text message') {
    await this.frame.getByLabel('Phone number').fill(PHONE);
    await this.frame.getByRole('button', { name: way }).click();
  }
  messages() {
    return this.page.locator('#phone li p').allTextContents();
  }
  // Waits for message number `count`, and reads the code in it.
  async code(count) {
    await this.page.locator('#phone li p').nth(count - 1).waitFor();
    const text = (await this.messages())[0];
    return text.match(/is: ([\d ]+)$/)[1].replaceAll(' ', '');
  }
  async answer(code) {
    await this.frame.getByLabel('The code').fill(code);
    await this.frame.getByRole('button', { name: 'Continue' }).click();
  }
  async isIn(withPhone = true) {
    await this.frame.locator('#signed-in').waitFor();
    const words = withPhone ? 'A second factor was proven.' : 'No second factor was asked for.';
    assert.equal(await this.frame.locator('#mfa').textContent(), words);
    logins += 1;
  }
  async out() {
    await this.frame.getByRole('link', { name: 'Sign out' }).click();
    await this.frame.getByText('You are not signed in').waitFor();
  }
  async sees(text) {
    await this.frame.getByText(text).waitFor();
  }
  async hop(text) {
    await this.page.locator('#hops li', { hasText: text }).first().waitFor();
  }
  async turn(words, on = true) {
    await this.page.getByLabel(words).setChecked(on);
    await this.hop(`switch ${on ? 'on' : 'off'}: ${words}`);
  }
  async wait() {
    await this.page.getByRole('button', { name: 'Let five minutes pass' }).click();
    await this.hop('5 minutes pass');
  }
  async verify(text) {
    await this.page.locator('#verifications li', { hasText: text }).first().waitFor();
  }
  // A phone is enrolled, and the person is signed out again.
  async begin() {
    await this.open();
    await this.password();
    await this.enrol();
    await this.answer(await this.code(1));
    await this.isIn();
    await this.verify('approved');
    await this.out();
  }
}

// What is the same in both ways of delivery.
const both = {
  'a phone is enrolled by a text message, and asked the next time': async (person) => {
    await person.begin();
    await person.password();
    await person.answer(await person.code(2));
    await person.isIn();
    await person.verify('approved');
  },
  'a phone is enrolled by a call, and "get a call instead" works': async (person) => {
    await person.open();
    await person.password();
    await person.enrol('Get a call instead');
    await person.answer(await person.code(1));
    await person.isIn();
    await person.page.locator('#phone', { hasText: 'Call to' }).waitFor();
    await person.verify('approved');
    await person.out();
    await person.password();
    await person.code(2);
    await person.frame.getByRole('button', { name: 'Get a call instead' }).click();
    await person.answer(await person.code(3));
    await person.isIn();
  },
  'a wrong code is refused, and the right one taken': async (person) => {
    await person.begin();
    await person.password();
    const code = await person.code(2);
    await person.answer(code === '000000' ? '111111' : '000000');
    await person.sees('The code is wrong');
    await person.hop('tenant log: gd_auth_failed');
    await person.answer(code);
    await person.isIn();
  },
  'an expired code is refused, and a new one taken': async (person) => {
    await person.begin();
    await person.password();
    const code = await person.code(2);
    await person.wait();
    await person.answer(code);
    await person.sees('The code has expired');
    await person.frame.getByRole('button', { name: 'Send it again' }).click();
    await person.answer(await person.code(3));
    await person.isIn();
  },
  'a blocked number gets nothing': async (person) => {
    await person.begin();
    await person.turn('Fraud Guard blocks all numbers');
    await person.password();
    await person.sees('The code could not be sent');
    await person.hop('60410');
    assert.equal((await person.messages()).length, 1);
    await person.turn('Fraud Guard blocks all numbers', false);
    await person.frame.getByRole('button', { name: 'Send it again' }).click();
    await person.answer(await person.code(2));
    await person.isIn();
  },
  'an Action that throws sends nothing': async (person) => {
    await person.begin();
    await person.turn('The Action throws');
    await person.password();
    await person.sees('The code could not be sent');
    await person.hop('tenant log: actions_execution_failed');
    await person.turn('The Action throws', false);
    await person.frame.getByRole('button', { name: 'Send it again' }).click();
    await person.answer(await person.code(2));
    await person.isIn();
  },
  'a revoked key sends nothing': async (person) => {
    await person.begin();
    await person.turn('The key of the Action is revoked');
    await person.password();
    await person.sees('The code could not be sent');
    await person.hop('20003');
    await person.turn('The key of the Action is revoked', false);
    await person.frame.getByRole('button', { name: 'Send it again' }).click();
    await person.answer(await person.code(2));
    await person.isIn();
  },
  'a paused stream gives no feedback': async (person) => {
    await person.begin();
    await person.turn('The log stream is paused');
    await person.password();
    await person.answer(await person.code(2));
    await person.isIn();
    await person.hop('nothing is posted');
    await person.verify('pending');
  },
  'six logins in ten minutes pass with feedback': async (person) => {
    await person.begin();
    for (let at = 2; at <= 7; at += 1) {
      await person.password();
      await person.answer(await person.code(at));
      await person.isIn();
      await person.page.waitForFunction(() => !document.querySelector('#verifications').textContent.includes('pending'));
      await person.out();
    }
  },
  'without feedback the sixth login is locked out': async (person) => {
    await person.begin();
    await person.turn('Nothing reaches the Function');
    for (let at = 2; at <= 6; at += 1) {
      await person.password();
      await person.answer(await person.code(at));
      await person.isIn();
      await person.out();
    }
    await person.password();
    await person.sees('The code could not be sent');
    await person.hop('60203');
  },
};

const cases = [];
for (const mode of ['unified', 'legacy']) {
  for (const [name, run] of Object.entries(both)) cases.push([`${mode}: ${name}`, manifests[mode], run]);
}
cases.push([
  'rules: one application asks for the phone',
  manifests.rules,
  async (person) => {
    await person.open();
    await person.password();
    await person.enrol();
    await person.answer(await person.code(1));
    await person.isIn();
  },
]);
cases.push([
  'feedback by an Action alone: six logins in ten minutes pass, and the page shows the hop',
  manifests.reported,
  async (person) => {
    await both['six logins in ten minutes pass with feedback'](person);
    await person.hop('console of "Lockstep feedback (reported)": feedback approved');
    assert.equal(await person.page.locator('#hops li', { hasText: 'log stream' }).count(), 0);
  },
]);
cases.push([
  'feedback by an Action alone: the clock of the world may be ahead',
  manifests.reported,
  async (person) => {
    await both['an expired code is refused, and a new one taken'](person);
    await person.page.waitForFunction(() => !document.querySelector('#verifications').textContent.includes('pending'));
  },
]);
cases.push([
  'feedback by an Action alone: a code by a call is reported, too',
  manifests.reported,
  async (person) => {
    await person.begin();
    await person.password();
    await person.code(2);
    await person.frame.getByRole('button', { name: 'Get a call instead' }).click();
    await person.answer(await person.code(3));
    await person.isIn();
    await person.page.waitForFunction(() => !document.querySelector('#verifications').textContent.includes('pending'));
  },
]);
cases.push([
  'the page fits 360 px and works by keyboard',
  manifests.unified,
  async (person) => {
    await person.page.setViewportSize({ width: 360, height: 740 });
    await person.open();
    const tooWide = () => document.documentElement.scrollWidth > document.documentElement.clientWidth;
    assert.equal(await person.page.evaluate(tooWide), false);
    const { keyboard } = person.page;
    await person.frame.getByRole('button', { name: 'Sign in' }).focus();
    await keyboard.press('Enter');
    await person.frame.getByLabel('E-mail address').waitFor();
    // Browsers do not move the focus by themselves in a frame of a page that has it.
    await person.frame.getByLabel('E-mail address').focus();
    await keyboard.type(person.at.email);
    await keyboard.press('Tab');
    await keyboard.type(person.at.password);
    await keyboard.press('Enter');
    await person.frame.getByLabel('Phone number').focus();
    await keyboard.type(PHONE);
    await keyboard.press('Enter');
    const code = await person.code(1);
    await person.frame.getByLabel('The code').focus();
    await keyboard.type(code);
    await keyboard.press('Enter');
    await person.isIn();
    assert.equal(await person.page.evaluate(tooWide), false);
  },
]);

// A call of the Management API, as an operator makes it: `host` says whose API is meant.
function api(at, host, method, route, body, token) {
  const { port } = new URL(at.page);
  const headers = { host, 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, method, path: route, headers }, (reply) => {
      let text = '';
      reply.on('data', (part) => (text += part));
      reply.on('end', () => resolve({ status: reply.statusCode, body: JSON.parse(text || 'null') }));
    });
    request.on('error', reject);
    request.end(body && JSON.stringify(body));
  });
}

// Makes an application as the Console does, and returns its client id.
async function client(at, domain, origin) {
  const token = await api(at, domain, 'POST', '/oauth/token', {
    grant_type: 'client_credentials',
    client_id: 'operator',
    client_secret: 'operator-secret',
    audience: `https://${domain}/api/v2/`,
  });
  const made = await api(
    at,
    domain,
    'POST',
    '/api/v2/clients',
    {
      name: 'Sample application',
      app_type: 'spa',
      callbacks: [origin],
      web_origins: [origin],
      allowed_logout_urls: [origin],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
      oidc_conformant: true,
      jwt_configuration: { alg: 'RS256' },
    },
    token.body.access_token,
  );
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body.client_id;
}

// The application of `examples/spa`, with Auth0's own SDK, over https with the tenant's real host name.
async function sample(manifest, run) {
  const at = await twin(manifest);
  const domain = 'acme-twin.eu.auth0.example';
  const port = 20_000 + (process.pid % 20_000);
  const origin = `http://localhost:${port}`;
  const id = await client(at, domain, origin);
  const served = spawn(process.execPath, [`${here}/../../examples/spa/serve.mjs`, '--domain', domain, '--client-id', id, '--port', String(port)]);
  await new Promise((resolve) => served.stdout.once('data', resolve));
  const own = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', `--host-resolver-rules=MAP ${domain}:443 127.0.0.1:${new URL(at.page).port}`],
  });
  try {
    const page = await (await own.newContext({ ignoreHTTPSErrors: true })).newPage();
    page.setDefaultTimeout(30_000);
    await run(page, at, origin);
  } finally {
    await own.close();
    served.kill();
    await at.end();
  }
}

// The last message of the phone of a twin.
async function phone(at, count) {
  for (let tries = 0; tries < 200; tries += 1) {
    const state = await (await fetch(`${at.page}/state.json`)).json();
    if (state.messages.length >= count) return state.messages.at(-1).text.match(/(\d{6})/)[1];
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('no message came');
}

async function signIn(page, at) {
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByLabel('E-mail address').fill(at.email);
  await page.getByLabel('Password').fill(at.password);
  await page.getByRole('button', { name: 'Continue' }).click();
}

const samples = {
  "Auth0's own SDK signs in with the phone, gets tokens that say so, and signs out": [
    manifests.unified,
    async (page, at, origin) => {
      await page.goto(origin);
      await signIn(page, at);
      await page.getByLabel('Phone number').fill(PHONE);
      await page.getByRole('button', { name: 'Send a text message' }).click();
      await page.getByLabel('The code').fill(await phone(at, 1));
      await page.getByRole('button', { name: 'Continue' }).click();
      await page.getByText('A second factor was proven.').waitFor();
      const claims = JSON.parse(await page.locator('#claims').textContent());
      assert.deepEqual(claims.amr, ['mfa']);
      logins += 1;
      // The SDK keeps nothing over a reload, and the browser hides the tenant's cookie from its frame. The session is there.
      await page.reload();
      await page.getByText('You are not signed in.').waitFor();
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByText('A second factor was proven.').waitFor();
      logins += 1;
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByText('You are not signed in.').waitFor();
      await signIn(page, at);
      await page.getByLabel('The code').waitFor();
    },
  ],
  'an application without a rule is not asked, beside one that is': [
    manifests.rules,
    async (page, at, origin) => {
      await page.goto(origin);
      await signIn(page, at);
      await page.getByText('No second factor was asked for.').waitFor();
      logins += 1;
    },
  ],
};

const only = process.argv[3];
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
let failed = 0;
let ran = 0;
for (const [name, manifest, run] of cases) {
  if (only && !name.includes(only)) continue;
  const at = await twin(manifest);
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const faults = [];
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  try {
    await run(new Person(page, at));
    // The statuses of refused forms are told on the console, too.
    const others = faults.filter((text) => !text.includes('status of 400'));
    assert.deepEqual(others, []);
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}: ${error.message}`);
    console.log((await page.locator('#hops').innerText().catch(() => '')).split('\n').slice(-40).join('\n'));
    if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${ran}.png`, fullPage: true });
  }
  ran += 1;
  await context.close();
  await at.end();
}
await browser.close();
for (const [name, [manifest, run]] of Object.entries(samples)) {
  if (only && !name.includes(only)) continue;
  ran += 1;
  try {
    await sample(manifest, run);
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}: ${error.message}`);
  }
}
for (const [children, size] of memory.entries()) {
  if (size) console.log(`largest memory of a twin with ${children} processes of its code: ${size.toFixed(0)} MB`);
}
console.log(`${ran - failed} of ${ran} cases, ${logins} logins`);
process.exitCode = failed || !ran ? 1 : 0;
