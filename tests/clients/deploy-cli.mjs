// Tests the twin with Auth0's unpatched Deploy CLI, by its command line and settings: it exports a tenant, imports a
// changed one, and exports that again.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import yaml from 'js-yaml';
import { CLIENT, main, same, truth } from './lib.mjs';

const DOMAIN = 'acme-deploy.eu.auth0.com';
const CLI = fileURLToPath(new URL('node_modules/auth0-deploy-cli/lib/index.js', import.meta.url));
const KINDS = ['actions', 'triggers', 'guardianFactors', 'guardianPolicies', 'guardianPhoneFactorMessageTypes',
  'phoneProviders', 'logStreams', 'tenant', 'branding', 'phoneTemplates'];

await main('auth0-deploy-cli 8.44.0', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lockstep-deploy-cli-'));
  const config = join(folder, 'config.json');
  await writeFile(config, JSON.stringify({
    AUTH0_DOMAIN: DOMAIN, AUTH0_CLIENT_ID: CLIENT.id, AUTH0_CLIENT_SECRET: CLIENT.secret,
    AUTH0_ALLOW_DELETE: true, AUTH0_INCLUDED_ONLY: KINDS,
  }));
  const cli = (...args) => promisify(execFile)(process.execPath,
    [CLI, ...args, '--config_file', config, '--proxy_url', process.env.HTTPS_PROXY],
    { env: process.env, timeout: 600_000, maxBuffer: 1 << 26 })
    .catch((error) => { throw new Error(`${args.join(' ')}\n${error.stdout}\n${error.stderr}`); });
  const dump = async (name) => {
    const place = join(folder, name);
    await mkdir(place);
    await cli('export', '--format', 'yaml', '--output_folder', place);
    return yaml.load(await readFile(join(place, 'tenant.yaml'), 'utf8'));
  };
  try {
    const empty = await dump('empty');
    same('no Action', empty.actions, []);
    truth('all factors off', empty.guardianFactors.every((factor) => !factor.enabled));

    const place = join(folder, 'wanted');
    await mkdir(place);
    await writeFile(join(place, 'phone.js'), 'exports.onExecuteCustomPhoneProvider = async (event, api) => {};\n');
    await writeFile(join(place, 'login.js'), 'exports.onExecutePostLogin = async (event, api) => {};\n');
    const action = (name, code, id, version) => ({
      name, code, deployed: true, runtime: 'node22', status: 'built', supported_triggers: [{ id, version }],
      dependencies: [{ name: 'twilio', version: '6.2.0' }], secrets: [{ name: 'KEY', value: 'Deploy-Secret-Of-The-Tests' }],
    });
    const wanted = {
      actions: [action('Phone', './phone.js', 'custom-phone-provider', 'v1'), action('Login', './login.js', 'post-login', 'v3')],
      triggers: { 'post-login': [{ action_name: 'Login', display_name: 'Login' }] },
      guardianFactors: empty.guardianFactors.map((factor) => ({ ...factor, enabled: ['sms', 'otp'].includes(factor.name) })),
      guardianPhoneFactorMessageTypes: { message_types: ['sms'] },
      guardianPolicies: { policies: ['all-applications'] },
      phoneProviders: [{ name: 'custom', disabled: false, configuration: { delivery_methods: ['text'] }, credentials: {} }],
      logStreams: [{
        name: 'feedback', type: 'http', status: 'active', filters: [{ type: 'category', name: 'other' }],
        sink: {
          httpEndpoint: 'https://acme.example/logs', httpContentFormat: 'JSONARRAY',
          httpContentType: 'application/json', httpAuthorization: 'Stream-Secret-Of-The-Tests',
        },
      }],
      tenant: { friendly_name: 'Acme Deploy' },
      branding: { colors: { primary: '#0059d6' } },
    };
    const input = join(place, 'tenant.yaml');
    // On a tenant with the unified phone experience the first run in the CLI's own order (message types before the
    // provider) is refused. The provider therefore comes first, and before it the Action that it needs.
    const { phoneProviders, guardianPhoneFactorMessageTypes, ...first } = wanted;
    for (const step of [first, { ...first, phoneProviders }, wanted]) {
      await writeFile(input, yaml.dump(step));
      await cli('import', '--input_file', input);
    }

    const full = await dump('full');
    same('both Actions', full.actions.map((one) => one.name).sort(), ['Login', 'Phone']);
    truth('deployed', full.actions.every((one) => one.deployed));
    same('bound', full.triggers['post-login'].map((one) => one.action_name), ['Login']);
    same('factors', full.guardianFactors.filter((one) => one.enabled).map((one) => one.name).sort(), ['otp', 'sms']);
    same('message types', full.guardianPhoneFactorMessageTypes.message_types, ['sms']);
    same('policy', full.guardianPolicies.policies, ['all-applications']);
    same('provider', full.phoneProviders.map((one) => [one.name, one.configuration.delivery_methods]), [['custom', ['text']]]);
    same('stream', full.logStreams.map((one) => [one.name, one.status]), [['feedback', 'active']]);
    same('settings', full.tenant.friendly_name, 'Acme Deploy');

    // A second import changes what exists and makes nothing twice.
    await cli('import', '--input_file', input);
    const again = await dump('again');
    same('still two Actions', again.actions.length, 2);
    same('still one stream', again.logStreams.length, 1);

    // Then the CLI deletes what the file no longer has.
    await writeFile(input, yaml.dump({
      guardianPolicies: { policies: [] }, triggers: { 'post-login': [] }, logStreams: [],
      guardianFactors: empty.guardianFactors, phoneProviders: [], actions: [],
    }));
    await cli('import', '--input_file', input);
    const end = await dump('end');
    same('no Action', end.actions, []);
    same('no stream', end.logStreams, []);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
