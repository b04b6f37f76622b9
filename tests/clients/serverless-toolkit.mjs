// Tests the twin with Twilio's deploy toolkit, which puts a Function into it (upload, build, wait, variables,
// deployment), twice.
import { TwilioServerlessApiClient } from '@twilio-labs/serverless-api';
import { ACCOUNT, TOKEN, main, same, truth } from './lib.mjs';

await main('@twilio-labs/serverless-api 5.7.0', async () => {
  const client = new TwilioServerlessApiClient({ username: ACCOUNT, password: TOKEN });
  const states = [];
  client.on('status-update', (event) => states.push(event.status));
  const project = {
    serviceName: 'toolkit', overrideExistingService: true, env: { FEEDBACK: 'one' }, pkgJson: {},
    functionsEnv: 'production', uiEditable: false, runtime: 'node22',
    functions: [{
      name: 'feedback', path: '/feedback', access: 'public',
      content: 'exports.handler = (context, event, callback) => callback(null, {});\n',
    }],
    assets: [],
  };
  const first = await client.deployProject(project);
  truth('a build', /^ZB[0-9a-f]{32}$/.test(first.buildSid));
  truth('a domain', first.domain.endsWith('.twil.io'));
  same('the Function', first.functionResources.map((one) => one.path), ['/feedback']);
  truth('it went through the build', ['building', 'activating-deployment'].every((state) => states.includes(state)));
  const second = await client.deployProject({ ...project, env: { FEEDBACK: 'two' } });
  same('the same service and domain', [second.serviceSid, second.domain], [first.serviceSid, first.domain]);
  truth('another build', second.buildSid !== first.buildSid);
  const list = await client.list({
    username: ACCOUNT, password: TOKEN, serviceName: 'toolkit', environment: 'production',
    types: ['environments', 'functions', 'variables', 'builds', 'deployments'],
  });
  same('one environment', list.environments.map((one) => one.domain_suffix), ['production']);
  same('its variable', list.variables.entries.map((one) => [one.key, one.value]), [['FEEDBACK', 'two']]);
  same('two builds', list.builds.map((one) => one.status), ['completed', 'completed']);
});
