// Tests the twin with Auth0's own SDK.
import { ManagementClient } from 'auth0';
import { CLIENT, DOMAIN, main, refused, same, throughProxy, truth, until } from './lib.mjs';

throughProxy();

await main('auth0 7.1.0', async () => {
  const auth0 = new ManagementClient({
    domain: DOMAIN, clientId: CLIENT.id, clientSecret: CLIENT.secret, maxRetries: 0,
  });
  const collect = async (page) => {
    const all = [];
    for await (const one of page) all.push(one);
    return all;
  };

  // Actions: draft, build, versions, deploy, rollback.
  const trigger = { id: 'custom-phone-provider', version: 'v1' };
  const code = 'exports.onExecuteCustomPhoneProvider = async (event, api) => {};';
  const made = await auth0.actions.create({
    name: 'Phone', supported_triggers: [trigger], code, runtime: 'node22',
    dependencies: [{ name: 'twilio', version: '6.2.0' }],
    secrets: [{ name: 'TWILIO_VERIFY_SID', value: 'VA-first' }],
  });
  same('a draft', [made.name, made.all_changes_deployed], ['Phone', false]);
  truth('no secret in a read', made.secrets.every((secret) => secret.value === undefined && secret.updated_at));
  const early = await refused('deployed before it is built', 400, () => auth0.actions.deploy(made.id));
  truth('the reason', /built/.test(JSON.stringify(early.body ?? early.message)));
  await until('built', () => auth0.actions.get(made.id), (action) => action.status === 'built');
  const version = await auth0.actions.deploy(made.id);
  same('a version', [version.number, version.code], [1, code]);
  await until('deployed', () => auth0.actions.get(made.id),
    (action) => action.deployed_version?.id === version.id && action.all_changes_deployed);
  const listed = await collect(await auth0.actions.list({ triggerId: 'custom-phone-provider', per_page: 1 }));
  same('listed by trigger', listed.map((action) => action.id), [made.id]);
  const changed = await auth0.actions.update(made.id, { code: `${code}\n` });
  same('a change is not live', changed.all_changes_deployed, false);
  same('the secrets stayed', changed.secrets.map((secret) => secret.name), ['TWILIO_VERIFY_SID']);
  await until('built again', () => auth0.actions.get(made.id), (action) => action.status === 'built');
  same('the next version', (await auth0.actions.deploy(made.id)).number, 2);
  const versions = await collect(await auth0.actions.versions.list(made.id, { per_page: 50 }));
  same('two versions', versions.map((one) => one.number).sort(), [1, 2]);
  same('rolled back', (await auth0.actions.versions.deploy(made.id, version.id, { update_draft: true })).number, 3);
  truth('triggers', (await auth0.actions.triggers.list()).triggers.some((one) => one.id === 'custom-phone-provider'));

  // Bindings: replaced as a whole, new ids with every write.
  const entry = { ref: { type: 'action_id', value: made.id }, display_name: 'Phone' };
  const bind = () => auth0.actions.triggers.bindings.updateMany('custom-phone-provider', { bindings: [entry] });
  const bound = await until('bindable', () => bind().catch((error) => error), (reply) => Array.isArray(reply.bindings));
  same('bound', bound.bindings.map((one) => one.action.id), [made.id]);
  truth('new ids', (await bind()).bindings[0].id !== bound.bindings[0].id);
  same('read', (await collect(await auth0.actions.triggers.bindings.list('custom-phone-provider'))).length, 1);
  await refused('a bound Action goes with force only', 409, () => auth0.actions.delete(made.id));

  // The phone provider, its templates.
  const providers = auth0.branding.phone.providers;
  same('none yet', (await providers.list()).providers.length, 0);
  const provider = await providers.create({
    name: 'custom', configuration: { delivery_methods: ['text', 'voice'] }, credentials: {},
  });
  same('made', [provider.name, provider.channel], ['custom', 'phone']);
  await refused('only one', 409, () => providers.create({
    name: 'custom', configuration: { delivery_methods: ['text'] }, credentials: {},
  }));
  const textOnly = await providers.update(provider.id, { configuration: { delivery_methods: ['text'] } });
  same('replaced as a whole', textOnly.configuration, { delivery_methods: ['text'] });
  same('read', (await providers.get(provider.id)).id, provider.id);
  const templates = auth0.branding.phone.templates;
  truth('built in ones', (await templates.list()).templates.length > 0);
  const template = await templates.create({
    type: 'otp_verify', disabled: false, content: { syntax: 'liquid', body: { text: '{{ code }}', voice: '{{ code }}' } },
  });
  same('its type', template.type, 'otp_verify');
  same('disabled', (await templates.update(template.id, { disabled: true })).disabled, true);
  await templates.reset(template.id, {});
  await templates.delete(template.id);
  await refused('gone', 404, () => templates.get(template.id));

  // MFA.
  const factors = await auth0.guardian.factors.list();
  same('eight factors', factors.length, 8);
  same('on', await auth0.guardian.factors.set('sms', { enabled: true }), { enabled: true });
  same('message types', await auth0.guardian.factors.phone.setMessageTypes({ message_types: ['sms'] }),
    { message_types: ['sms'] });
  await refused('voice without a provider for it', 409, () =>
    auth0.guardian.factors.phone.setMessageTypes({ message_types: ['sms', 'voice'] }));
  same('read', await auth0.guardian.factors.phone.getMessageTypes(), { message_types: ['sms'] });
  same('policy', await auth0.guardian.policies.set(['all-applications']), ['all-applications']);
  same('read', await auth0.guardian.policies.list(), ['all-applications']);
  await refused('legacy provider on a unified tenant', 403, () => auth0.guardian.factors.phone.getSelectedProvider());
  same('policy off', await auth0.guardian.policies.set([]), []);

  // Log streams.
  const sink = {
    httpEndpoint: 'https://acme.example/logs', httpContentFormat: 'JSONARRAY', httpContentType: 'application/json',
    httpAuthorization: 'Bearer Stream-Secret-Of-The-Tests',
  };
  const filters = [{ type: 'category', name: 'other' }];
  const stream = await auth0.logStreams.create({ name: 'feedback', type: 'http', sink, filters });
  same('active', [stream.status, stream.type], ['active', 'http']);
  same('readable', (await auth0.logStreams.get(stream.id)).sink.httpAuthorization, sink.httpAuthorization);
  same('paused', (await auth0.logStreams.update(stream.id, { status: 'paused', filters })).status, 'paused');
  same('listed', (await auth0.logStreams.list()).length, 1);
  await auth0.logStreams.delete(stream.id);
  same('gone', (await auth0.logStreams.list()).length, 0);

  // Settings, prompts, branding.
  truth('unified', (await auth0.tenants.settings.get()).phone_consolidated_experience);
  const settings = await auth0.tenants.settings.update({ friendly_name: 'Acme' });
  same('settings', settings.friendly_name, 'Acme');
  const prompts = await auth0.prompts.updateSettings({ universal_login_experience: 'classic' });
  same('prompts', prompts.universal_login_experience, 'classic');
  same('read', (await auth0.prompts.getSettings()).universal_login_experience, 'classic');
  await auth0.branding.update({ colors: { primary: '#0059d6' } });
  same('branding', (await auth0.branding.get()).colors.primary, '#0059d6');
  const app = await auth0.clients.create({ name: 'Sample', app_type: 'spa' });
  same('an application', (await auth0.clients.get(app.client_id)).name, 'Sample');
  await auth0.clients.delete(app.client_id);

  // Cleans up, in the order that keeps logins working.
  await auth0.guardian.factors.set('sms', { enabled: false });
  await providers.delete(provider.id);
  await auth0.actions.triggers.bindings.updateMany('custom-phone-provider', { bindings: [] });
  await auth0.actions.delete(made.id);
  await refused('gone', 404, () => auth0.actions.get(made.id));
  await refused('no such id', 400, () => auth0.actions.get('nonsense'));

  const stranger = new ManagementClient({ domain: DOMAIN, token: 'no-token', maxRetries: 0 });
  await refused('a made-up token', 401, () => stranger.actions.list());
});
