// Tests the twin with Twilio's helper library and its fixed https hosts.
import twilio from 'twilio';
import { ACCOUNT, TOKEN, main, refused, same, truth } from './lib.mjs';

await main('twilio 6.2.0', async () => {
  const client = twilio(ACCOUNT, TOKEN);

  // Verify services.
  const verify = client.verify.v2;
  const service = await verify.services.create({ friendlyName: 'Acme Clients', codeLength: 5, customCodeEnabled: true });
  truth('a service SID', /^VA[0-9a-f]{32}$/.test(service.sid));
  same('the account', service.accountSid, ACCOUNT);
  same('custom codes', [service.customCodeEnabled, service.codeLength], [true, 5]);
  truth('dates are dates', service.dateCreated instanceof Date && !Number.isNaN(+service.dateCreated));
  const one = verify.services(service.sid);
  const renamed = await one.update({ friendlyName: 'Acme Two' });
  same('left out is unchanged', [renamed.friendlyName, renamed.codeLength], ['Acme Two', 5]);
  same('read', (await one.fetch()).friendlyName, 'Acme Two');
  for (let n = 0; n < 4; n += 1) await verify.services.create({ friendlyName: 'Acme Page' });
  const listed = await verify.services.list({ pageSize: 2 });
  same('all pages', listed.length, 5);
  const bad = await refused('a name too long', 400, () => verify.services.create({ friendlyName: 'x'.repeat(31) }));
  same('vendor code', bad.code, 60200);

  // Rate limits, buckets.
  const limit = await one.rateLimits.create({ uniqueName: 'per_user', description: 'five in an hour' });
  same('a limit', [limit.uniqueName, limit.description], ['per_user', 'five in an hour']);
  const again = await refused('the same name', 400, () => one.rateLimits.create({ uniqueName: 'per_user' }));
  same('vendor code', again.code, 60208);
  const bucket = await one.rateLimits(limit.sid).buckets.create({ max: 5, interval: 3600 });
  same('a bucket', [bucket.max, bucket.interval], [5, 3600]);
  same('changed', (await one.rateLimits(limit.sid).buckets(bucket.sid).update({ max: 6 })).max, 6);
  same('listed', (await one.rateLimits(limit.sid).buckets.list()).length, 1);
  same('description', (await one.rateLimits(limit.sid).update({ description: 'x' })).description, 'x');
  truth('bucket removed', await one.rateLimits(limit.sid).buckets(bucket.sid).remove());

  // Messaging configurations, by country.
  const messaging = `MG${'0'.repeat(31)}1`;
  const config = await one.messagingConfigurations.create({ country: 'DE', messagingServiceSid: messaging });
  same('a country', config.messagingServiceSid, messaging);
  const twice = await refused('the same country', 400, () =>
    one.messagingConfigurations.create({ country: config.country, messagingServiceSid: messaging }));
  same('vendor code', twice.code, 60213);
  const other = `MG${'0'.repeat(31)}2`;
  const moved = await one.messagingConfigurations(config.country).update({ messagingServiceSid: other });
  same('changed', moved.messagingServiceSid, other);
  same('listed', (await one.messagingConfigurations.list()).length, 1);
  truth('removed', await one.messagingConfigurations(config.country).remove());

  // Templates.
  const templates = await verify.templates.list();
  truth('a template', templates.length > 0 && templates.every((template) => /^HJ/.test(template.sid)));

  // Verifications: as the Action sends them, and the feedback.
  const to = '+15005550006';
  const sent = await one.verifications.create({
    to, channel: 'sms', customCode: '123456', rateLimits: JSON.stringify({ per_user: 'auth0|1' }),
  });
  same('sent', [sent.status, sent.to, sent.channel], ['pending', to, 'sms']);
  const resent = await one.verifications.create({ to, channel: 'call', customCode: '654321' });
  same('one verification, two attempts', [resent.sid, resent.sendCodeAttempts.length], [sent.sid, 2]);
  same('read by number', (await one.verifications(encodeURIComponent(to)).fetch()).sid, sent.sid);
  same('approved', (await one.verifications(sent.sid).update({ status: 'approved' })).status, 'approved');
  const late = await refused('approved twice', 404, () => one.verifications(sent.sid).update({ status: 'approved' }));
  same('vendor code', late.code, 20404);

  // Serverless: service, environment, variables, Function.
  const serverless = client.serverless.v1;
  const base = await serverless.services.create({
    uniqueName: 'acme-feedback', friendlyName: 'Acme feedback', includeCredentials: false, uiEditable: false,
  });
  same('no credentials in it', base.includeCredentials, false);
  await refused('the same unique name', 409, () =>
    serverless.services.create({ uniqueName: 'acme-feedback', friendlyName: 'Again' }));
  same('found by name', (await serverless.services('acme-feedback').fetch()).sid, base.sid);
  const home = serverless.services(base.sid);
  const environment = await home.environments.create({ uniqueName: 'production', domainSuffix: 'prod' });
  truth('a domain', environment.domainName.endsWith('-prod.twil.io'));
  const inside = home.environments(environment.sid);
  const variable = await inside.variables.create({ key: 'TWILIO_VERIFY_SID', value: service.sid });
  same('changed', (await inside.variables(variable.sid).update({ value: 'other' })).value, 'other');
  same('readable', (await inside.variables.list()).map((v) => [v.key, v.value]), [['TWILIO_VERIFY_SID', 'other']]);
  const func = await home.functions.create({ friendlyName: 'feedback' });
  same('renamed', (await home.functions(func.sid).update({ friendlyName: 'feedback 2' })).friendlyName, 'feedback 2');
  truth('removed', await home.functions(func.sid).remove());
  truth('removed', await inside.variables(variable.sid).remove());
  truth('removed', await serverless.services(base.sid).remove());
  await refused('gone', 404, () => serverless.services(base.sid).fetch());

  // Keys: made with the account's token, shown once, refused after their deletion.
  const key = await client.iam.v1.newApiKey.create({ accountSid: ACCOUNT, friendlyName: 'sender' });
  truth('a secret, once', key.secret.length > 8);
  const byKey = twilio(key.sid, key.secret, { accountSid: ACCOUNT });
  same('the key reads', (await byKey.verify.v2.services(service.sid).fetch()).sid, service.sid);
  truth('removed', await client.iam.v1.apiKey(key.sid).remove());
  await refused('a deleted key', 401, () => byKey.verify.v2.services(service.sid).fetch());

  // Errors, and the end of the script.
  for (const found of await verify.services.list()) truth('removed', await verify.services(found.sid).remove());
  const gone = await refused('gone', 404, () => one.fetch());
  same('vendor code', gone.code, 20404);
});
