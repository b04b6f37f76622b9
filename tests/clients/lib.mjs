// Shared by the client scripts: the address of the twin, counted checks, a wait with an end.
import { readFileSync } from 'node:fs';
import { ProxyAgent, setGlobalDispatcher } from 'undici';

/** The clients' credentials, all made up. */
export const DOMAIN = 'acme-clients.eu.auth0.com';
export const CLIENT = { id: 'client-id-of-the-tests', secret: 'Client-Secret-Of-The-Tests' };
export const ACCOUNT = 'AC00000000000000000000000000c11e47';
export const TOKEN = 'Auth-Token-Of-The-Tests';

const proxy = process.env.HTTPS_PROXY;
if (!proxy || !process.env.NODE_EXTRA_CA_CERTS) {
  throw new Error('start this through run.mjs: HTTPS_PROXY and NODE_EXTRA_CA_CERTS are missing');
}

/** Before version 24 Node's own fetch reads no proxy variable; this dispatcher is the usual remedy. */
export const throughProxy = () =>
  setGlobalDispatcher(new ProxyAgent({ uri: proxy, requestTls: { ca: readFileSync(process.env.NODE_EXTRA_CA_CERTS) } }));

let checks = 0;

/** Makes one check, and shows both sides if they differ. */
export function same(what, seen, wanted) {
  checks += 1;
  const [a, b] = [JSON.stringify(seen), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`${what}: ${a}, not ${b}`);
}

export function truth(what, value) {
  checks += 1;
  if (!value) throw new Error(`${what}: does not hold`);
}

/** Expects a refusal with that status, and returns the error. */
export async function refused(what, status, call) {
  checks += 1;
  let result;
  try {
    result = await call();
  } catch (error) {
    const seen = error.statusCode ?? error.status;
    if (seen !== status) throw new Error(`${what}: status ${seen}, not ${status}: ${error.message}`);
    return error;
  }
  throw new Error(`${what}: was not refused: ${JSON.stringify(result)}`);
}

/** Repeats a question until the answer is right, for at most thirty seconds. */
export async function until(what, ask, right) {
  checks += 1;
  const end = Date.now() + 30_000;
  for (;;) {
    const answer = await ask();
    if (right(answer)) return answer;
    if (Date.now() > end) throw new Error(`${what}: still ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Runs a script's body: prints its count, or fails the process. */
export async function main(name, body) {
  try {
    await body();
  } catch (error) {
    console.error(`${name}: FAILED after ${checks} checks: ${error.stack ?? error}`);
    process.exit(1);
  }
  console.log(`${name}: ${checks} checks`);
  process.exit(0);
}
