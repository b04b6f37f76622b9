// Twilio's deploy toolkit puts a Function into the twin: upload, build, wait, variables, deployment; then again.
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
    assets: [{ name: 'note.txt', path: '/note.txt', access: 'private', content: Buffer.from('a note') }],
  };
  delete project.assets;
  project.assets = [];
  const first = await client.deployProject(project);
  truth('a build', /^ZB[0-9a-f]{32}$/.test(first.buildSid));
  truth('a domain', first.domain.endsWith('.twil.io'));
  same('the Function', first.functionResources.map((one) => one.functionPath), ['/feedback']);
  truth('it went through the build', states.includes('building') && states.includes('activating'));
  const second = await client.deployProject({ ...project, env: { FEEDBACK: 'two' } });
  same('the same service and domain', [second.serviceSid, second.domain], [first.serviceSid, first.domain]);
  truth('another build', second.buildSid !== first.buildSid);
  const list = await client.list({
    username: ACCOUNT, password: TOKEN, serviceName: 'toolkit', environment: 'production',
    types: ['services', 'environments', 'functions', 'variables', 'builds', 'deployments'],
  });
  truth('the service is listed', list.services.some((one) => one.unique_name === 'toolkit'));
  same('its variable', list.variables.entries.map((one) => [one.key, one.value]), [['FEEDBACK', 'two']]);
  const code = await client.download({ serviceSid: first.serviceSid, environment: 'production' });
  truth('the code comes back', code.functions.some((one) => String(one.content).includes('exports.handler')));
});
