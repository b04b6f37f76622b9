// Starts the twin, runs every client script against it, stops it, and prints the counts.
//
//   node run.mjs PATH-OF-LOCKSTEP [SCRIPT …]
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ALL = ['twilio-helper.mjs', 'auth0-sdk.mjs', 'serverless-toolkit.mjs', 'deploy-cli.mjs'];
const [binary, ...named] = process.argv.slice(2);
if (!binary) throw new Error('usage: node run.mjs PATH-OF-LOCKSTEP [SCRIPT …]');
const scripts = named.length > 0 ? named : ALL;
const folder = await mkdtemp(join(tmpdir(), 'lockstep-clients-'));
const [ca, log] = [join(folder, 'ca.pem'), join(folder, 'log.jsonl')];
const args = ['twin', '--port', '0', '--tls', '--ca-out', ca, '--log', log, '--build', '300ms', '--rate', 'unlimited'];
const twin = spawn(binary, args, { stdio: ['ignore', 'ignore', 'pipe'] });
const ended = new Promise((resolve) => twin.on('exit', (code) => resolve(code)));
let failed = 0;
try {
  const port = await new Promise((resolve, reject) => {
    let said = '';
    const timer = setTimeout(() => reject(new Error(`the twin does not start: ${said}`)), 20_000);
    twin.on('error', reject);
    twin.on('exit', () => reject(new Error(`the twin ended: ${said}`)));
    twin.stderr.on('data', (data) => {
      said += data;
      const found = /listening on http:\/\/127\.0\.0\.1:(\d+)\n/.exec(said);
      if (found && said.includes('HTTPS_PROXY')) {
        clearTimeout(timer);
        resolve(found[1]);
      }
    });
  });
  const proxy = `http://127.0.0.1:${port}`;
  // Twilio's libraries read only the variable `HTTP_PROXY`, and use it for https hosts too.
  const env = { ...process.env, HTTPS_PROXY: proxy, HTTP_PROXY: proxy, NODE_EXTRA_CA_CERTS: ca };
  for (const name of ['NO_PROXY', 'no_proxy', 'https_proxy', 'http_proxy', 'ALL_PROXY', 'all_proxy']) delete env[name];
  const count = async () => (await readFile(log, 'utf8')).split('\n').filter(Boolean).length;
  for (const script of scripts) {
    const before = await count();
    const path = fileURLToPath(new URL(script, import.meta.url));
    const child = spawn(process.execPath, [path], { env, stdio: 'inherit' });
    const timer = setTimeout(() => child.kill('SIGKILL'), 600_000);
    const code = await new Promise((resolve) => child.on('exit', resolve));
    clearTimeout(timer);
    console.log(`  ${script}: ${(await count()) - before} requests, exit code ${code}`);
    if (code !== 0) failed += 1;
  }
  const text = await readFile(log, 'utf8');
  for (const secret of ['Secret-Of-The-Tests', 'Auth-Token-Of-The-Tests', '15005550006']) {
    if (text.includes(secret)) throw new Error(`the log shows ${secret}`);
  }
  if (text.split('\n').filter(Boolean).some((line) => JSON.parse(line).operation === 'unknown')) {
    const unknown = text.split('\n').filter(Boolean).map((line) => JSON.parse(line)).filter((line) => line.operation === 'unknown');
    for (const line of unknown) console.log(`  not simulated: ${line.method} ${line.host} ${line.path} ${line.status}`);
  }
} finally {
  twin.kill('SIGTERM');
  const code = await ended;
  await rm(folder, { recursive: true, force: true });
  if (code !== 0) {
    console.log(`the twin ended with ${code}`);
    failed += 1;
  }
}
console.log(`${scripts.length - failed} of ${scripts.length} client scripts went through`);
process.exit(failed === 0 ? 0 : 1);
